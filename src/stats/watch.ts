// Waits for what happens to a container: its end, an OOM kill, and the time for the next numbers.

import { POLLIN, POLLPRI, O_RDONLY } from '../linux/flags.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { oomKills, readStats } from './read.ts';
import type { CgroupStats } from './parse.ts';

export interface Watcher {
  readonly stats: (stats: CgroupStats) => void;
  readonly oom: () => void;
}

/**
 * Returns when the process has ended.
 * @param interval Milliseconds between two calls of `stats`; the first comes after one interval, as in runc.
 */
export function watch(pidfd: number, cgroup: string, interval: number, watcher: Watcher): void {
  const events = openEvents(cgroup);
  let kills = oomKills(cgroup);
  let next = now() + interval;
  for (;;) {
    const wanted = events < 0 ? [pidfd, POLLIN] : [pidfd, POLLIN, events, POLLPRI];
    const [ended = 0] = sys.poll(new Uint32Array(wanted), Math.max(0, Math.min(next - now(), 0x7fffffff)));
    const killsNow = oomKills(cgroup);
    if (killsNow > kills) watcher.oom();
    kills = killsNow;
    if (ended !== 0) break;
    if (now() < next) continue;
    watcher.stats(readStats(cgroup));
    next += interval;
  }
  if (events >= 0) sys.close(events);
}

/** memory.events wakes pollers. It is not there without the memory controller. */
function openEvents(cgroup: string): number {
  try {
    return sys.open(`${cgroup}/memory.events`, O_RDONLY, 0);
  } catch (error) {
    if (isSysError(error)) return -1;
    throw error;
  }
}

/** Milliseconds since boot. */
function now(): number {
  const [, , seconds = 0, nanoseconds = 0] = sys.clock();
  return seconds * 1000 + nanoseconds / 1e6;
}
