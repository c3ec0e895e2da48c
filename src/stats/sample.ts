// A container's record in, its numbers and their time out.

import { sys } from '../linux/sys.ts';
import { readStats, type Sample } from './read.ts';

/** Clock ticks a second in proc_pid_stat(5): USER_HZ is 100 on every architecture that tsrun runs on. */
const USER_HZ = 100;

/** @param process Its pid, and its start in clock ticks since boot. */
export function takeSample(process: { id: string; pid: number; startTime: string }, cgroup: string): Sample {
  const stats = readStats(cgroup);
  const [, , seconds = 0, nanoseconds = 0] = sys.clock();
  const at = seconds + nanoseconds / 1e9;
  return { id: process.id, pid: process.pid, uptime: Math.max(0, at - Number(process.startTime) / USER_HZ), at, stats };
}
