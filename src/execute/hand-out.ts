// What the caller of create, run and exec asked to be given: a file with the pid, descriptors over sockets, or both at once.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import type { Process } from '../spec/types.ts';
import type { Report } from './report.ts';

export interface HandOut {
  readonly pidFile: string | undefined;
  readonly consoleSocket: string | undefined;
  readonly pidfdSocket: string | undefined;
  /** For a caller in this process: told of the process before its program runs. The master of its terminal is closed afterwards. */
  readonly taken?: (pid: number, master: number | undefined) => void;
}

/** @throws {TsrunError} where a terminal is asked for and nobody would take it, or the other way round. */
export function checkTerminal(process: Process | undefined, options: HandOut, detached: boolean): void {
  const terminal = process?.terminal === true;
  if (terminal && detached && options.consoleSocket === undefined && options.taken === undefined) {
    throw new TsrunError(
      'cannot allocate tty if the container is detached without --console-socket (/process/terminal in config.json)',
    );
  }
  if (options.consoleSocket !== undefined && !(terminal && detached)) {
    throw new TsrunError(
      'cannot use --console-socket if the container is not detached or has no terminal (/process/terminal in config.json)',
    );
  }
}

/** @param kind Tells the receiver of the pidfd whether the process is a container's first, as runc does. */
export function handOut(options: HandOut, report: Report, kind: 'standard' | 'setns' = 'standard'): void {
  const { console, pidfd } = report;
  if (options.consoleSocket !== undefined && console !== undefined)
    send('--console-socket', options.consoleSocket, console, '/dev/ptmx');
  if (options.pidfdSocket !== undefined && pidfd !== undefined)
    send('--pidfd-socket', options.pidfdSocket, pidfd, kind);
  options.taken?.(report.pid, console);
  writePidFile(options, report);
}

export function writePidFile({ pidFile }: HandOut, { pid }: Report): void {
  if (pidFile !== undefined) attempt('--pid-file', () => sys.writeFile(pidFile, String(pid), 0o644));
}

function send(flag: string, path: string, fd: number, text: string): void {
  attempt(flag, () => {
    const socket = sys.connect(path);
    try {
      sys.sendDescriptor(socket, fd, text);
    } finally {
      sys.close(socket);
    }
  });
}

function attempt(doing: string, call: () => void): void {
  try {
    call();
  } catch (error) {
    throw isSysError(error) ? sysError(doing, error) : error;
  }
}

/** Lets go of the container: from now on it is whoever's reaps this process's children. */
export function closeAll({ pidfd, control, console }: Report): void {
  for (const fd of [pidfd, control, console]) if (fd !== undefined) sys.close(fd);
}
