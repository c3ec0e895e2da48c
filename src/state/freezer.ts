// The cgroup v2 freezer. (kernel Documentation/admin-guide/cgroup-v2.rst, cgroup.freeze)

import { sysError, TsrunError } from '../errors.ts';
import { O_RDONLY, O_WRONLY, POLLPRI } from '../linux/flags.ts';
import { isSysError, sys } from '../linux/sys.ts';

const WAIT_MS = 10_000;

/**
 * Stops every process of the cgroup, and returns once all stand.
 * @throws {TsrunError} if they do not within ten seconds; then all run again.
 */
export function freeze(cgroup: string): void {
  try {
    set(cgroup, '1');
    if (!awaitFrozen(cgroup)) {
      set(cgroup, '0');
      throw new TsrunError(`pause: ${cgroup}/cgroup.events: not all processes are frozen after ${WAIT_MS / 1000} s`);
    }
  } catch (error) {
    throw isSysError(error) ? sysError('pause', error) : error;
  }
}

export function thaw(cgroup: string): void {
  try {
    set(cgroup, '0');
  } catch (error) {
    throw isSysError(error) ? sysError('resume', error) : error;
  }
}

const isFrozen = (events: string): boolean => events.includes('frozen 1');

function set(cgroup: string, value: '0' | '1'): void {
  const fd = sys.open(`${cgroup}/cgroup.freeze`, O_WRONLY, 0);
  try {
    sys.writeText(fd, value);
  } finally {
    sys.close(fd);
  }
}

function awaitFrozen(cgroup: string): boolean {
  const path = `${cgroup}/cgroup.events`;
  const fd = sys.open(path, O_RDONLY, 0);
  try {
    const end = seconds() + WAIT_MS / 1000;
    while (!isFrozen(sys.readFile(path, 4096))) {
      if (seconds() > end) return false;
      // The file wakes pollers when it changes; the time is for a change between the read and the poll.
      sys.poll(new Uint32Array([fd, POLLPRI]), 20);
    }
    return true;
  } finally {
    sys.close(fd);
  }
}

/** Since boot. */
function seconds(): number {
  const [, , whole = 0, nanoseconds = 0] = sys.clock();
  return whole + nanoseconds / 1e9;
}
