// linux.cgroupsPath and linux.resources: a directory, its limits, its device filter.

import { deviceFilter } from '../cgroup/devices.ts';
import { type CgroupLimits, type CgroupWrite, cgroupWrites, type IgnoredLimit } from '../cgroup/limits.ts';
import { cgroupPath } from '../cgroup/path.ts';
import { unitName, unitPath } from '../cgroup/unit.ts';
import { ConfigError, type Problem } from '../errors.ts';
import type { Linux, LinuxResources, Spec } from '../spec/types.ts';
import { planDelegation } from './delegation.ts';
import type { CgroupFacts, HostFacts } from './host.ts';
import type { HostStep } from './steps.gen.ts';
import { planUnit, type UnitStep } from './unit.ts';

export interface CgroupPlan {
  /** The container's directory. */
  readonly path: string;
  /** Set where systemd makes the directory, before the host steps. */
  readonly unit: UnitStep | undefined;
  /** Before init is born into it. */
  readonly before: readonly HostStep[];
  /** Once init needs no more processes. */
  readonly after: readonly HostStep[];
  /** Limits that cgroup v2 has nothing for, to be told. */
  readonly ignored: readonly IgnoredLimit[];
}

export function planCgroup(spec: Spec, id: string, facts: HostFacts): CgroupPlan | undefined {
  const resources = spec.linux.resources ?? {};
  if (facts.cgroup === undefined) {
    refuseLimits(resources);
    return undefined;
  }
  const from = spec.linux.cgroupsPath === undefined ? '' : '/linux/cgroupsPath';
  const { writes, controllers, ignored } = limitsOf(resources, facts.cgroup.controllers);
  const { path, unit } = place(spec, id, from, facts.cgroup, writes);
  // pids.max 0 forbids the very fork that makes init, so it is written when init stands.
  const late = (write: CgroupWrite) => write.file === 'pids.max';
  const program = facts.cgroup.filtersDevices ? deviceFilter(resources.devices ?? []) : new Uint8Array(0);
  const before: HostStep[] = [
    ...(unit === undefined ? directories(path, from, facts.cgroup, controllers) : []),
    unit === undefined
      ? { op: 'openCgroup', path, occupied: 0, from, why: 'init is born inside it, and nobody else may be there' }
      : { op: 'openCgroup', path, occupied: 1, from, why: 'init is born inside it, beside what keeps the unit alive' },
    ...writes.filter((write) => !late(write)).flatMap((write) => writeSteps(path, write)),
    ...planDelegation(spec, path, facts.cgroup.delegate),
  ];
  if (program.length > 0) {
    before.push({
      op: 'attachDeviceFilter',
      program,
      from: resources.devices === undefined ? '' : '/linux/resources/devices',
      why: 'cgroup v2 asks a BPF program which devices may be opened',
    });
  }
  return {
    path,
    unit,
    before,
    after: writes.filter(late).flatMap((write) => writeSteps(path, write)),
    ignored: facts.cgroup.filtersDevices || resources.devices === undefined ? ignored : [...ignored, unfilteredDevices],
  };
}

const unfilteredDevices: IgnoredLimit = {
  from: '/linux/resources/devices',
  why: 'without root on the host the kernel takes no device filter; who the caller is decides which devices may be opened',
};

/** Whether the configuration names a cgroup, or limits that need one. */
export function asksForCgroup({ cgroupsPath = '', resources = {} }: Linux): boolean {
  const { devices: _devices, ...limits } = resources;
  return cgroupsPath !== '' || Object.keys(limits).length > 0;
}

/** Device rules are no limits, and many a configuration has nothing else. */
function limitsOf(resources: LinuxResources, controllers: readonly string[]): CgroupLimits {
  const { devices: _devices, ...limits } = resources;
  return Object.keys(limits).length === 0 ? noLimits : cgroupWrites(limits, controllers);
}

const noLimits: CgroupLimits = { writes: [], controllers: [], ignored: [] };

/** The directory, and the systemd unit that it belongs to where systemd makes it. */
function place(
  spec: Spec,
  id: string,
  from: string,
  { mount, own, systemd }: CgroupFacts,
  writes: readonly CgroupWrite[],
): Pick<CgroupPlan, 'path' | 'unit'> {
  const { cgroupsPath } = spec.linux;
  if (systemd === undefined) return { path: cgroupPath({ cgroupsPath, id, mount, own }), unit: undefined };
  const name = unitName(cgroupsPath, id, systemd.user);
  return { path: unitPath(name, mount, systemd.base), unit: planUnit(name, id, from, spec.annotations ?? {}, writes) };
}

/** Each directory on the way, and in each but the last the controllers that those below need, and those that count. */
function directories(path: string, from: string, cgroup: CgroupFacts, controllers: readonly string[]): HostStep[] {
  const counts = counting.filter((name) => cgroup.controllers.includes(name) && !controllers.includes(name));
  const enable = enableControllers(path, cgroup.mount, controllers);
  const offer = enableControllers(path, cgroup.mount, counts, countingReason);
  return ancestors(path, cgroup.mount).flatMap((directory, index) => [
    ...enable.slice(index, index + 1),
    ...offer.slice(index, index + 1),
    {
      op: 'makeDir',
      path: directory,
      mode: 0o755,
      from,
      why: "on the way to the container's cgroup",
    } satisfies HostStep,
  ]);
}

/** Without a limit they tell at least what is used: to `stats`, to `events`, and to the engines that read the cgroup. */
const counting = ['cpu', 'io', 'memory', 'pids', 'hugetlb', 'rdma'];

interface EnablingReason {
  /** 2 where the parent may refuse. */
  readonly optional: 0 | 2;
  readonly from: string;
  readonly why: string;
}

const countingReason: EnablingReason = {
  optional: 2,
  from: '',
  why: 'what no limit needs is counted all the same, where the parent hands it on',
};
const limitReason: EnablingReason = {
  optional: 0,
  from: '/linux/resources',
  why: 'a controller works only where the parent hands it on (cgroup-v2.rst, Enabling and Disabling)',
};

/** Hands controllers down from the root of the hierarchy to a cgroup: one step for each cgroup above it. */
export function enableControllers(
  path: string,
  mount: string,
  controllers: readonly string[],
  reason: EnablingReason = limitReason,
): HostStep[] {
  if (controllers.length === 0) return [];
  return [mount === '/' ? '' : mount, ...ancestors(path, mount).slice(0, -1)].map((directory) => ({
    op: 'writeFile',
    path: `${directory}/cgroup.subtree_control`,
    value: controllers.map((controller) => `+${controller}`).join(' '),
    otherPath: '',
    otherValue: '',
    ...reason,
  }));
}

/** The cgroups from below the mount point to the one at `path`, outermost first. */
function ancestors(path: string, mount: string): string[] {
  const names = path
    .slice(mount.length)
    .split('/')
    .filter((name) => name !== '');
  const root = mount === '/' ? '' : mount;
  return names.map((_, index) => `${root}/${names.slice(0, index + 1).join('/')}`);
}

/** One limit as steps, with the check that it asks for. */
export function writeSteps(path: string, write: CgroupWrite): HostStep[] {
  const step = writeStep(path, write);
  if (write.mustExceed === undefined) return [step];
  const check: HostStep = {
    op: 'checkUsage',
    path: `${path}/${write.mustExceed}`,
    limit: BigInt(write.value),
    from: `${write.from.slice(0, write.from.lastIndexOf('/'))}/checkBeforeUpdate`,
    why: 'a limit below what is in use would end processes at once',
  };
  return [check, step];
}

/** One limit as a step. */
export function writeStep(path: string, write: CgroupWrite): HostStep {
  const other = typeof write.ifMissing === 'object' ? write.ifMissing : undefined;
  return {
    op: 'writeFile',
    path: `${path}/${write.file}`,
    value: write.value,
    optional: write.ifMissing === 'ignore' ? 1 : 0,
    otherPath: other === undefined ? '' : `${path}/${other.file}`,
    otherValue: other?.value ?? '',
    from: write.from,
    why: write.why,
  };
}

/** Without a cgroup no limit can hold; one that is silently dropped would be believed in. */
function refuseLimits(resources: LinuxResources): void {
  const { writes } = limitsOf(resources, allControllers);
  const problems: Problem[] = writes.map((write) => ({
    pointer: write.from,
    expected: 'no limit, as the container gets no cgroup',
    found: JSON.stringify(write.value),
    hint: 'cgroups are disabled, or no cgroup v2 hierarchy is mounted',
  }));
  if (problems.length > 0) throw new ConfigError('config.json', problems);
}

const allControllers = ['cpu', 'cpuset', 'hugetlb', 'io', 'memory', 'misc', 'pids', 'rdma'];
