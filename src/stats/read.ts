// A cgroup's directory in, its numbers out.

import { isSysError, sys } from '../linux/sys.ts';
import { type CgroupStats, parseOomKills, parseStats } from './parse.ts';

/** What one container uses at one moment. */
export interface Sample {
  readonly id: string;
  readonly pid: number;
  /** Seconds that its first process has been there. */
  readonly uptime: number;
  /** Seconds since boot, when this was read. */
  readonly at: number;
  readonly stats: CgroupStats;
}

/** Files of controllers that are not enabled for the cgroup are absent, and so are their numbers. */
export function readStats(cgroup: string): CgroupStats {
  return parseStats((name) => unlessUnreadable(() => sys.readFile(`${cgroup}/${name}`, 1 << 20)), names(cgroup));
}

/** How many processes of the cgroup, and of those below it, were killed for want of memory. */
export const oomKills = (cgroup: string): number =>
  parseOomKills(unlessUnreadable(() => sys.readFile(`${cgroup}/memory.events`, 4096)));

const names = (cgroup: string): string[] => unlessUnreadable(() => sys.readDir(cgroup)) ?? [];

/** Besides a missing file: EOPNOTSUPP where pressure is not counted, ENODEV where the cgroup has just gone. */
function unlessUnreadable<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}
