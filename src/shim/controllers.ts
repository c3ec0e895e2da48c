// What containerd's clients read of a container is counted by controllers. A runtime enables those that its limits need;
// a shim all that count something, as containerd's own does.

import { O_WRONLY } from '../linux/flags.ts';
import { isSysError, sys } from '../linux/sys.ts';

const counting = ['cpu', 'memory', 'pids', 'io', 'hugetlb', 'rdma'];

/**
 * Hands them down from the root of the hierarchy. One that cannot be is left out: another cgroup on the way may have
 * processes of its own, or be somebody else's.
 * @param cgroup The container's directory.
 */
export function enableControllers(cgroup: string): void {
  const above: string[] = [];
  let all: readonly string[] = [];
  for (let directory = parentOf(cgroup); ; directory = parentOf(directory)) {
    const controllers = controllersOf(directory);
    if (controllers === undefined) break;
    above.unshift(directory);
    all = controllers;
  }
  const there = controllersOf(cgroup) ?? [];
  const missing = counting.filter((name) => all.includes(name) && !there.includes(name));
  for (const directory of above) for (const name of missing) enable(directory, name);
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** Undefined above the root of the hierarchy. */
function controllersOf(directory: string): readonly string[] | undefined {
  try {
    return sys.readFile(`${directory}/cgroup.controllers`, 4096).split(/\s+/).filter(Boolean);
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}

function enable(directory: string, controller: string): void {
  try {
    const fd = sys.open(`${directory}/cgroup.subtree_control`, O_WRONLY, 0);
    try {
      sys.writeText(fd, `+${controller}`);
    } finally {
      sys.close(fd);
    }
  } catch (error) {
    if (!isSysError(error)) throw error;
  }
}
