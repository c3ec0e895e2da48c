// Signals to the processes of a container. Each goes through a pidfd whose process was looked at first: a pid alone may
// be somebody else's by now.

import { notRunning, sysError, TsrunError } from '../errors.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { removeCgroup } from '../plan/undo.ts';
import { type ContainerRecord, isAlive } from './container.ts';
import { POLLIN } from '../linux/flags.ts';
import { runHostSteps } from '../execute/execute.ts';

const SIGKILL = 9;
const KILL_WAIT_MS = 10_000;

/** The pids in a cgroup; none where it is gone. */
export function processesOf(cgroup: string): number[] {
  const text = unlessMissing(() => sys.readFile(`${cgroup}/cgroup.procs`, 1 << 20)) ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '' && line !== '0')
    .map(Number);
}

/**
 * @param record Given for the container's first process, whose start time is checked.
 * @throws {TsrunError} `container not running` if that one is gone.
 */
export function signalProcess(pid: number, signal: number, record: ContainerRecord | undefined): void {
  const pidfd = open(pid, record);
  if (pidfd === undefined) {
    if (record !== undefined) throw notRunning(record.id);
    return;
  }
  try {
    sys.pidfdSignal(pidfd, signal);
  } catch (error) {
    if (!isSysError(error)) throw error;
    throw error.errno === 3 && record !== undefined
      ? notRunning(record.id)
      : sysError(`signal ${signal} to process ${pid}`, error);
  } finally {
    sys.close(pidfd);
  }
}

/** SIGKILL to the first process and to all of its cgroup, and the wait for the end. */
export function killAndWait(record: ContainerRecord): void {
  const pidfd = openProcess(record);
  if (pidfd !== undefined) {
    try {
      sys.pidfdSignal(pidfd, SIGKILL);
      const [ended] = sys.poll(new Uint32Array([pidfd, POLLIN]), KILL_WAIT_MS);
      if (ended === undefined)
        throw new TsrunError(
          `container ${JSON.stringify(record.id)}: process ${record.pid} is still there ${KILL_WAIT_MS / 1000} s after SIGKILL`,
        );
    } catch (error) {
      // ESRCH: it ended by itself.
      if (!isSysError(error)) throw error;
    } finally {
      sys.close(pidfd);
    }
  }
  if (record.cgroup !== undefined) runHostSteps(removeCgroup(record.cgroup.path, []));
}

/** A pidfd of the container's first process; undefined if it has ended. */
export const openProcess = (record: ContainerRecord): number | undefined =>
  record.pid === 0 ? undefined : open(record.pid, record);

function open(pid: number, record: ContainerRecord | undefined): number | undefined {
  let pidfd: number;
  try {
    pidfd = sys.pidfdOpen(pid);
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
  if (record === undefined || isAlive(pid, record.startTime)) return pidfd;
  sys.close(pidfd);
  return undefined;
}
