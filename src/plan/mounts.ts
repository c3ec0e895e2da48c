// mounts: each entry becomes a detached mount, its attributes, and its place inside the root.

import { ConfigError } from '../errors.ts';
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  MS_SLAVE,
} from '../linux/flags.ts';
import { cleanPath } from '../spec/text.ts';
import type { LinuxNamespace, Mount, Spec } from '../spec/types.ts';
import type { HostFacts } from './host.ts';
import { makeFileSystem } from './mount-data.ts';
import { planIdMap, sharedIdMaps } from './mount-ids.ts';
import { checkLabel, labelOptions } from './mount-label.ts';
import { type Change, type MountOptions, parseMountOptions, propagations } from './mount-options.ts';
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

export interface MountsPlan {
  /** Before a user namespace is entered: what is bound from the host. */
  readonly early: readonly InitStep[];
  /** Inside the root, in the order of the configuration. */
  readonly steps: readonly InitStep[];
}

/** What all mounts of a plan share. */
interface Context {
  readonly spec: Spec;
  readonly request: PlanRequest;
  /** What is bound for a cgroup mount where there is no cgroup namespace; undefined without a cgroup. */
  readonly cgroups: string | undefined;
  readonly namespaces: NamespacePlan;
  /** Sources are opened with the rights of the host's root, before the user namespace takes them away. */
  readonly opensEarly: boolean;
}

/** File systems that show a namespace: where it is joined, it may be owned by a user namespace outside of the container's. */
const shows: Readonly<Record<string, LinuxNamespace['type']>> = {
  sysfs: 'network',
  mqueue: 'ipc',
  cgroup: 'cgroup',
  cgroup2: 'cgroup',
};

function showsJoined(mount: Mount, namespaces: NamespacePlan): boolean {
  const type = shows[mount.type ?? ''];
  return type !== undefined && namespaces.joins(type);
}

export function planMounts(
  spec: Spec,
  request: PlanRequest,
  facts: HostFacts,
  cgroup: string | undefined,
  namespaces: NamespacePlan,
): MountsPlan {
  const mounts = spec.mounts ?? [];
  if (!namespaces.hasMount) refuseMounts(spec);
  if (spec.linux.mountLabel !== undefined) checkLabel(spec, facts);
  const opensEarly = namespaces.inUser && facts.euid === 0;
  // The paths in /proc/PID/cgroup lead from the top of the hierarchy then, and engines' users expect to find them.
  const cgroups = namespaces.inUser || cgroup === undefined ? cgroup : facts.cgroup?.mount;
  const context: Context = { spec, request, cgroups, namespaces, opensEarly };
  const early: InitStep[] = [];
  const steps: InitStep[] = [];
  mounts.forEach((mount, index) => {
    const plan = planMount(mount, index, context);
    early.push(...plan.early);
    steps.push(...plan.steps);
  });
  const mapped = (step: InitStep) => step.op === 'makeIdMap';
  return early.some(mapped) || steps.some(mapped)
    ? { early: sharedIdMaps(early), steps: sharedIdMaps(steps) }
    : { early, steps };
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

function planMount(mount: Mount, index: number, context: Context): MountsPlan {
  const from = `/mounts/${index}`;
  const options = parseMountOptions(mount.options ?? []);
  const target = cleanPath(mount.destination);
  checkMount(mount, options, target, from);
  const late = target === '/dev' && isLate(options);
  if (options.again)
    return { early: [], steps: planRemount(target, late ? withoutReadonly(options) : options, `${from}/options`) };
  // A tmpfs that is filled first cannot be read-only before.
  const sealed = options.copyUp && isLate(options);
  const source = sourceOf(mount, late || sealed ? withoutReadonly(options) : options, from, context);
  const make: InitStep[] = [source.step];
  const early = context.opensEarly && (source.bound || showsJoined(mount, context.namespaces));
  if (early && source.bound) make.push(apart(context.spec, mount, from));
  if (source.bound) make.push(...changes(options, from, mount.destination));
  if (mount.uidMappings !== undefined || options.idmap !== undefined)
    make.push(...planIdMap(context.spec, mount, options, from));
  const label = context.spec.linux.mountLabel;
  if (label !== undefined && mount.type === 'mqueue' && !source.bound) {
    const why = 'its file system takes no context as an option';
    make.push({ op: 'labelMount', label, from: '/linux/mountLabel', why, about: mount.destination });
  }
  if (options.copyUp) make.push(...copyUp(mount, options, target, from));
  if (sealed && !late) make.push(...changes({ ...options, tree: none }, from, mount.destination));
  const steps: InitStep[] = early ? [] : make;
  if (early) {
    const why = 'until the root is there';
    make.push({ op: 'keepMount', index, from, why, about: mount.destination });
    steps.push({ op: 'takeMount', index, from, why: 'opened with the rights of the host', about: mount.destination });
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
  if (options.remount !== 0 && !source.bound)
    steps.push(...superblockFlags(late ? withoutReadonly(options) : options, from, mount.destination));
  return { early: early ? make : [], steps };
}

function checkMount(mount: Mount, options: MountOptions, target: string, from: string): void {
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
  if (options.copyUp && (mount.type !== 'tmpfs' || options.bind !== undefined || options.again)) {
    throw new ConfigError('config.json', [
      { pointer: `${from}/options`, expected: 'a new tmpfs with tmpcopyup', found: JSON.stringify(mount.type ?? '') },
    ]);
  }
}

const none: Change = { set: 0, clear: 0 };

/** Attributes of a mount before it can be seen. */
function changes(options: Pick<MountOptions, 'single' | 'tree'>, from: string, about: string): InitStep[] {
  const change = (part: Change, recursive: number): InitStep[] =>
    part.set === 0 && part.clear === 0
      ? []
      : [
          {
            op: 'setMount',
            slot: SLOT_MOUNT,
            ...part,
            propagation: 0,
            recursive,
            from: `${from}/options`,
            why: 'before it can be seen at its place',
            about,
          },
        ];
  return [...change(options.single, 0), ...change(options.tree, 1)];
}

/** In the mount namespace of a new user namespace all would be slaves at least; a clone of before is made one. */
function apart(spec: Spec, mount: Mount, from: string): InitStep {
  const { flag } = propagations[spec.linux.rootfsPropagation ?? 'rslave'] ?? { flag: MS_SLAVE };
  const isPrivate = flag !== MS_SLAVE && flag !== propagations['shared']?.flag;
  return {
    op: 'setMount',
    slot: SLOT_MOUNT,
    set: 0,
    clear: 0,
    propagation: isPrivate ? MS_PRIVATE : MS_SLAVE,
    recursive: 1,
    from,
    why: 'a clone of the host is its peer: what is mounted there inside would appear outside',
    about: mount.destination,
  };
}

function copyUp(mount: Mount, options: MountOptions, target: string, from: string): InitStep[] {
  const named = options.data.some((option) => /^(mode|uid|gid)=/.test(option));
  return [
    {
      op: 'copyUp',
      target,
      attributes: named ? 0 : 1,
      from: `${from}/options`,
      why: 'what the image has there is there again, and can be changed',
      about: mount.destination,
    },
  ];
}

function superblockFlags({ single, tree, data, remount }: MountOptions, from: string, about: string): InitStep[] {
  const reason = { from: `${from}/options`, about };
  const flags = data.reduce((sum, name) => sum | (remountFlags[name] ?? 0), remount);
  return [
    { op: 'remount', flags, why: 'a superblock flag that only mount(2) can set', ...reason },
    {
      op: 'setMount',
      slot: SLOT_MOUNT,
      set: single.set | tree.set,
      clear: MOUNT_ATTR__ATIME,
      propagation: 0,
      recursive: 0,
      why: 'mount(2) has reset the attributes that it was not told of',
      ...reason,
    },
  ];
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

function sourceOf(mount: Mount, options: MountOptions, from: string, context: Context): Source {
  const { spec, request, cgroups, namespaces } = context;
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
  // A new mount of cgroup2 in the host's cgroup namespace would change the options of the host's, nsdelegate among them.
  if (isCgroup && !namespaces.hasCgroup && cgroups !== undefined) return bind(mount, cgroups, false, from);
  const fallback = namespaces.inUser ? hostTrees[type] : undefined;
  const absent = (kind: LinuxNamespace['type']) => !namespaces.owns(kind) && !namespaces.joins(kind);
  const instead = fallback !== undefined && absent(fallback.shows) ? fallback : undefined;
  const data = isCgroup ? [] : options.data;
  return {
    bound: false,
    step: makeFileSystem({
      source: mount.source ?? type,
      fstype: isCgroup ? 'cgroup2' : type,
      options: spec.linux.mountLabel === undefined ? data : [...data, ...labelOptions(spec, type, data)],
      attributes: options.single.set | options.tree.set,
      instead: instead?.path ?? '',
      also: instead?.also ?? 0,
      from,
      why: whyOf(type),
      about: mount.destination,
    }),
  };
}

interface HostTree {
  readonly path: string;
  /** The namespace whose state the file system shows: only its owner may mount it. */
  readonly shows: LinuxNamespace['type'];
  readonly also: number;
}

/** What is bound where a user namespace may not mount the file system, which shows what is the host's. */
const hostTrees: Readonly<Record<string, HostTree>> = {
  sysfs: {
    path: '/sys',
    shows: 'network',
    // It is the host's own, devices and all.
    also: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
  },
  proc: { path: '/proc', shows: 'pid', also: 0 },
  mqueue: { path: '/dev/mqueue', shows: 'ipc', also: 0 },
};

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
