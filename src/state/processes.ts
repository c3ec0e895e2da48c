// Signals to the processes of a container. Each goes through a pidfd whose process was looked at first: a pid alone may
// be somebody else's by now.

import { notRunning, stepError, sysError, TsrunError } from '../errors.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import type { HostStep } from '../plan/steps.gen.ts';
import { removeCgroup } from '../plan/undo.ts';
import { type ContainerRecord, isAlive } from './container.ts';
import { POLLIN } from '../linux/flags.ts';
import { runHostSteps } from '../execute/execute.ts';

const SIGKILL = 9;
const ESRCH = 3;
const KILL_WAIT_MS = 10_000;

/** The pids in a cgroup; none where it is gone. */
export function processesOf(cgroup: string): number[] {
  const text = unlessMissing(() => sys.readFile(`${cgroup}/cgroup.procs`, 1 << 20)) ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '' && line !== '0')
    .map(Number);
}

/** @throws {TsrunError} `container not running` if the container's first process is gone. */
export function signalProcess(record: ContainerRecord, signal: number): void {
  const pidfd = openProcess(record);
  if (pidfd === undefined) throw notRunning(record.id);
  try {
    sys.pidfdSignal(pidfd, signal);
  } catch (error) {
    if (!isSysError(error)) throw error;
    throw error.errno === ESRCH ? notRunning(record.id) : sysError(`signal ${signal} to process ${record.pid}`, error);
  } finally {
    sys.close(pidfd);
  }
}

/**
 * Signals every process of a cgroup and of those below it; SIGKILL waits until none is left.
 * @throws {TsrunError} if processes are still there 10 s after SIGKILL.
 */
export function signalCgroup(path: string, signal: number): void {
  const from = '/linux/cgroupsPath';
  const step: HostStep =
    signal === SIGKILL
      ? { op: 'killCgroup', path, from, why: 'kill --all' }
      : { op: 'signalCgroup', path, signal, from, why: 'kill --all' };
  const failed = runHostSteps([step]);
  if (failed !== undefined) throw stepError(step, failed);
}

/** SIGKILL to the first process and to all of its cgroup, and the wait for the end. */
export function killAndWait(record: ContainerRecord): void {
  const pidfd = openProcess(record);
  if (pidfd !== undefined) {
    try {
      sys.pidfdSignal(pidfd, SIGKILL);
      if (!hasEndedWithin(pidfd, KILL_WAIT_MS))
        throw new TsrunError(
          `container ${JSON.stringify(record.id)}: process ${record.pid} is still there ${KILL_WAIT_MS / 1000} s after SIGKILL`,
        );
    } catch (error) {
      if (!isSysError(error) || error.errno !== ESRCH) throw error;
    } finally {
      sys.close(pidfd);
    }
  }
  if (record.cgroup !== undefined) runHostSteps(removeCgroup(record.cgroup.path, []));
}

/** A signal that comes meanwhile ends a poll(2) early, and not the wait. */
function hasEndedWithin(pidfd: number, milliseconds: number): boolean {
  const deadline = uptime() + milliseconds;
  for (let left = milliseconds; left > 0; left = deadline - uptime()) {
    if (sys.poll(new Uint32Array([pidfd, POLLIN]), left).length > 0) return true;
  }
  return false;
}

/** Milliseconds since boot. */
function uptime(): number {
  const [, , seconds = 0, nanoseconds = 0] = sys.clock();
  return seconds * 1000 + Math.ceil(nanoseconds / 1e6);
}

/** A pidfd of the container's first process; undefined if it has ended. */
export function openProcess({ pid, startTime }: ContainerRecord): number | undefined {
  if (pid === 0) return undefined;
  let pidfd: number;
  try {
    pidfd = sys.pidfdOpen(pid);
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
  if (isAlive(pid, startTime)) return pidfd;
  sys.close(pidfd);
  return undefined;
}
