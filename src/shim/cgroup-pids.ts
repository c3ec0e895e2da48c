import { sys, unlessMissing } from '../linux/sys.ts';
import { processesOf } from '../state/processes.ts';

/** The pids in a cgroup and in all below it: a container may sort its processes into cgroups of its own. */
export function pidsOf(cgroup: string): number[] {
  const names = unlessMissing(() => sys.readDir(cgroup)) ?? [];
  // Files of a cgroup have a dot in their name. A directory may have one too, as units of systemd do.
  const directories = names.filter((name) => !isInterfaceFile(name));
  return [...processesOf(cgroup), ...directories.flatMap((name) => pidsOf(`${cgroup}/${name}`))];
}

const isInterfaceFile = (name: string): boolean =>
  /^(cgroup|cpu|cpuset|memory|io|pids|hugetlb|rdma|misc|irq|dmem|perf_event)\.[a-z0-9._]+$/i.test(name) &&
  !/\.(slice|scope|service|mount|socket)$/.test(name);
