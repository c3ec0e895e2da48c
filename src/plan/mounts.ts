// mounts: each entry becomes a detached mount, its attributes, and its place inside the root.

import { ConfigError } from '../errors.ts';
import { MOUNT_ATTR__ATIME, MOUNT_ATTR_RDONLY } from '../linux/flags.ts';
import { cleanPath } from '../spec/text.ts';
import type { Mount, Spec } from '../spec/types.ts';
import { type Change, type MountOptions, parseMountOptions } from './mount-options.ts';
import type { NamespacePlan } from './namespaces.ts';
import type { PlanRequest } from './plan.ts';
import { type InitStep, PROC_FILE, PROC_ITSELF, PROC_OUTSIDE, SLOT_DEV, SLOT_MOUNT } from './steps.gen.ts';

/**
 * Files of procfs that lxcfs and others replace to show a container its own limits. A mount anywhere else below /proc
 * could fake what the kernel says of processes (CVE-2019-16884).
 */
const replaceable = new Set([
  '/proc/cpuinfo',
  '/proc/diskstats',
  '/proc/meminfo',
  '/proc/stat',
  '/proc/swaps',
  '/proc/uptime',
  '/proc/loadavg',
  '/proc/slabinfo',
  '/proc/sys/kernel/ns_last_pid',
  '/proc/sys/crypto/fips_enabled',
]);

export function planMounts(
  spec: Spec,
  request: PlanRequest,
  cgroup: string | undefined,
  namespaces: NamespacePlan,
): InitStep[] {
  const mounts = spec.mounts ?? [];
  if (!namespaces.hasMount) refuseMounts(spec);
  return mounts.flatMap((mount, index) => planMount(mount, `/mounts/${index}`, request, cgroup, namespaces));
}

/** Without a mount namespace each of these would be a mount of the host's. */
function refuseMounts(spec: Spec): void {
  const fields: readonly (readonly [pointer: string, given: boolean])[] = [
    ['/mounts', (spec.mounts ?? []).length > 0],
    ['/linux/maskedPaths', (spec.linux.maskedPaths ?? []).length > 0],
    ['/linux/readonlyPaths', (spec.linux.readonlyPaths ?? []).length > 0],
    ['/linux/rootfsPropagation', spec.linux.rootfsPropagation !== undefined],
    ['/root/readonly', spec.root.readonly === true],
    ['/process/terminal', spec.process?.terminal === true],
  ];
  const problems = fields
    .filter(([, given]) => given)
    .map(([pointer]) => ({
      pointer,
      expected: 'nothing, as it would change the mounts of the host',
      found: 'a value',
      hint: 'add {"type": "mount"} to linux.namespaces',
    }));
  if (problems.length > 0) throw new ConfigError('config.json', problems);
}

/** A /dev that is to be read-only: it is made so only after its devices are. `again`: by a remount of what is there. */
export function readonlyDev(spec: Spec): { readonly from: string; readonly again: boolean } | undefined {
  const mounts = spec.mounts ?? [];
  for (let index = 0; index < mounts.length; index++) {
    const mount = mounts[index] as Mount;
    if (!isDev(mount)) continue;
    const options = parseMountOptions(mount.options ?? []);
    if (isLate(options)) return { from: `/mounts/${index}/options`, again: options.again };
  }
  return undefined;
}

const isDev = (mount: Mount): boolean => cleanPath(mount.destination) === '/dev';

const isLate = (options: MountOptions): boolean =>
  options.bind === undefined && (options.single.set & MOUNT_ATTR_RDONLY) !== 0;

/** True where the configuration brings a /dev of its own, which is then left as it is. */
export const bindsDev = (spec: Spec): boolean =>
  (spec.mounts ?? []).some((mount) => isDev(mount) && parseMountOptions(mount.options ?? []).bind !== undefined);

function planMount(
  mount: Mount,
  from: string,
  request: PlanRequest,
  cgroup: string | undefined,
  namespaces: NamespacePlan,
): InitStep[] {
  const options = parseMountOptions(mount.options ?? []);
  const target = cleanPath(mount.destination);
  if (target === '/') {
    throw new ConfigError('config.json', [
      {
        pointer: `${from}/destination`,
        expected: 'a path below /',
        found: '"/"',
        hint: 'the root itself is root.path',
      },
    ]);
  }
  const late = target === '/dev' && isLate(options);
  if (options.again) return planRemount(target, late ? withoutReadonly(options) : options, `${from}/options`);
  const source = sourceOf(mount, options, from, request, cgroup, namespaces, late);
  const steps: InitStep[] = [source.step];
  const change = (part: Change, recursive: number) => {
    if (part.set === 0 && part.clear === 0) return;
    steps.push({
      op: 'setMount',
      slot: SLOT_MOUNT,
      ...part,
      propagation: 0,
      recursive,
      from: `${from}/options`,
      why: 'before it can be seen at its place',
      about: mount.destination,
    });
  };
  if (source.bound) {
    change(options.single, 0);
    change(options.tree, 1);
  }
  steps.push({
    op: 'attachMount',
    target,
    ordinary: mount.type === 'proc' || mount.type === 'sysfs' ? 1 : 0,
    proc: target === '/proc' ? PROC_ITSELF : replaceable.has(target) ? PROC_FILE : PROC_OUTSIDE,
    keep: late ? SLOT_DEV : SLOT_MOUNT,
    from: `${from}/destination`,
    why: 'at its place in the root, which is resolved inside the root and used once',
  });
  steps.push(...propagationSteps(options, `${from}/options`, mount.destination));
  // A bind leaves the superblock alone: it is the host's.
  if (options.remount !== 0 && !source.bound) {
    const reason = { from: `${from}/options`, about: mount.destination };
    const { single, tree, data } = late ? withoutReadonly(options) : options;
    const flags = data.reduce((sum, name) => sum | (remountFlags[name] ?? 0), options.remount);
    steps.push({ op: 'remount', flags, why: 'a superblock flag that only mount(2) can set', ...reason });
    const set = single.set | tree.set;
    const why = 'mount(2) has reset the attributes that it was not told of';
    steps.push({
      op: 'setMount',
      slot: SLOT_MOUNT,
      set,
      clear: MOUNT_ATTR__ATIME,
      propagation: 0,
      recursive: 0,
      why,
      ...reason,
    });
  }
  return steps;
}

const propagationSteps = ({ propagation }: MountOptions, from: string, about: string): InitStep[] =>
  propagation.map(({ flag, recursive }) => ({
    op: 'setMount',
    slot: SLOT_MOUNT,
    set: 0,
    clear: 0,
    propagation: flag,
    recursive: recursive ? 1 : 0,
    from,
    why: 'how mounts below it travel (mount_namespaces(7))',
    about,
  }));

const withoutReadonly = (options: MountOptions): MountOptions => ({
  ...options,
  single: { ...options.single, set: options.single.set & ~MOUNT_ATTR_RDONLY },
  data: options.data.filter((option) => option !== 'ro'),
});

/** Superblock flags that a remount takes away unless they are named again: MS_RMT_MASK of linux/fs.h. */
const remountFlags: Readonly<Record<string, number>> = { ro: 0x1, sync: 0x10, mand: 0x40, lazytime: 0x2000000 };

/** mount(2) with MS_REMOUNT: a bind changes the mount alone, another the file system too. */
function planRemount(target: string, options: MountOptions, from: string): InitStep[] {
  const reason = { from, why: 'changes the mount that is there', about: target };
  const change = (part: Change, recursive: number): InitStep[] =>
    part.set === 0 && part.clear === 0
      ? []
      : [{ op: 'setMount', slot: SLOT_MOUNT, ...part, propagation: 0, recursive, ...reason }];
  return [
    { op: 'findMount', target, ...reason },
    ...change(options.single, 0),
    ...change(options.tree, 1),
    ...(options.bind === undefined && options.data.length > 0
      ? [{ op: 'reconfigure', options: options.data, ...reason } as const]
      : []),
    ...propagationSteps(options, from, target),
  ];
}

interface Source {
  readonly step: InitStep;
  readonly bound: boolean;
}

function sourceOf(
  mount: Mount,
  options: MountOptions,
  from: string,
  request: PlanRequest,
  cgroup: string | undefined,
  namespaces: NamespacePlan,
  late: boolean,
): Source {
  const type = mount.type ?? '';
  if (options.bind !== undefined) {
    if (mount.source === undefined || mount.source === '') {
      throw new ConfigError('config.json', [
        { pointer: `${from}/source`, expected: 'a path to bind', found: 'nothing' },
      ]);
    }
    const source = mount.source.startsWith('/') ? mount.source : `${request.bundle}/${mount.source}`;
    return bind(mount, source, options.bind === 'rbind', `${from}/source`);
  }
  const isCgroup = type === 'cgroup' || type === 'cgroup2';
  // Without a cgroup namespace a new cgroup2 mount would show the host's whole hierarchy.
  if (isCgroup && !namespaces.hasCgroup && cgroup !== undefined) return bind(mount, cgroup, false, from);
  const attributes = options.single.set | options.tree.set;
  return {
    bound: false,
    step: {
      op: 'mount',
      source: mount.source ?? type,
      fstype: isCgroup ? 'cgroup2' : type,
      options: isCgroup ? [] : late ? options.data.filter((option) => option !== 'ro') : options.data,
      attributes: late ? attributes & ~MOUNT_ATTR_RDONLY : attributes,
      from,
      why: whyOf(type),
      about: mount.destination,
    },
  };
}

const bind = (mount: Mount, source: string, recursive: boolean, from: string): Source => ({
  bound: true,
  step: {
    op: 'bind',
    source,
    recursive: recursive ? 1 : 0,
    from,
    why: 'shares a file or directory of the host',
    about: mount.destination,
  },
});

function whyOf(type: string): string {
  switch (type) {
    case 'proc':
      return 'a new pid namespace needs its own view of /proc';
    case 'sysfs':
      return 'shows the network namespace it is mounted in';
    case 'cgroup':
    case 'cgroup2':
      return 'shows the cgroup namespace it is mounted in';
    case 'tmpfs':
      return 'a file system in memory, gone with the container';
    case 'devpts':
      return 'pseudoterminals of its own (pty(7))';
    case 'mqueue':
      return 'message queues of the ipc namespace';
    default:
      return 'a file system of its own';
  }
}
