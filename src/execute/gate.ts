// The gate from the host side: how `start` and the foreground let init go on, and hear of what then fails.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { decodeReport, type StepDone, type StepFailed } from './report.ts';

/** What init did after the gate. */
export interface AfterGate {
  readonly done: readonly StepDone[];
  readonly failed: StepFailed | undefined;
}

const ENOENT = 2;
const EPIPE = 32;
const ECONNRESET = 104;
const ECONNREFUSED = 111;

/**
 * Lets the init that waits at a gate go on, and hears it until it is the program or has failed.
 * @throws {TsrunError} if nobody waits there: the container was started, or has ended, in between.
 */
export function openGate(path: string): AfterGate {
  let socket = -1;
  try {
    socket = sys.connect(path);
    send(socket);
    return readAfterGate(socket);
  } catch (error) {
    if (!isSysError(error)) throw error;
    if (error.errno === ENOENT) throw new TsrunError('cannot start an already running container');
    if (error.errno === EPIPE || error.errno === ECONNRESET || error.errno === ECONNREFUSED)
      throw new TsrunError('cannot start a container that has stopped');
    throw sysError('start', error);
  } finally {
    if (socket >= 0) sys.close(socket);
  }
}

/** The word at which init goes on. */
export const send = (socket: number): void => void sys.write(socket, new Uint8Array(1));

/** Reads until init closes the socket, by becoming the program or by giving up. Reports may come in pieces. */
export function readAfterGate(socket: number): AfterGate {
  let pending = new Uint8Array(0);
  for (;;) {
    const bytes = sys.read(socket, 65536);
    if (bytes.length === 0) break;
    const longer = new Uint8Array(pending.length + bytes.length);
    longer.set(pending);
    longer.set(bytes, pending.length);
    pending = longer;
  }
  const { done, failed } = decodeReport(pending);
  return { done, failed };
}
