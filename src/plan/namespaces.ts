// linux.namespaces: which ones init is born into, which it joins, and in what order.
//
// Most containers need one process: clone3(2) makes init inside all new namespaces at once (but for cgroup and time). Two kinds need a process
// before it. A user namespace must be entered after execve(2), which would take its capabilities away again, and a pid
// namespace that is joined holds only children (setns(2)); then init makes the new namespaces itself and forks.

import { namespaceFlags } from '../linux/namespaces.ts';
import type { LinuxIDMapping, LinuxNamespace, Spec } from '../spec/types.ts';
import { keepsGroups } from './annotations.ts';
import type { HostFacts } from './host.ts';
import type { PlanRequest } from './plan.ts';
import { type HostStep, type InitStep, SYNC_FORKED, SYNC_USER_NAMESPACE } from './steps.gen.ts';

export interface NamespacePlan {
  /** Flags of clone3(2) for init's birth. */
  readonly birth: number;
  /** Joined before the user namespace is entered. */
  readonly first: readonly InitStep[];
  /** Init's steps into the namespaces. */
  readonly enter: readonly InitStep[];
  /** The host's part: mappings, and following the fork. */
  readonly host: readonly HostStep[];
  readonly hasMount: boolean;
  readonly hasCgroup: boolean;
  /** In a user namespace, new or joined: device nodes cannot be made there, nor most file systems mounted. */
  readonly inUser: boolean;
  /** Whether a namespace of this type is joined; false too where there is none. */
  readonly joins: (type: LinuxNamespace['type']) => boolean;
  /** Whether a namespace of this type is made for the container. */
  readonly owns: (type: LinuxNamespace['type']) => boolean;
  /** Init forks, so the root has to be opened before. */
  readonly forks: boolean;
}

/** The order of joining, and of `unshare` among steps. */
const order = ['user', 'ipc', 'uts', 'network', 'pid', 'cgroup', 'mount', 'time'] as const;

const isNew = (entry: LinuxNamespace | undefined): boolean => entry !== undefined && (entry.path ?? '') === '';

export function planNamespaces(spec: Spec, request: PlanRequest, facts: HostFacts): NamespacePlan {
  const list = spec.linux.namespaces ?? [];
  const keepGroups = keepsGroups(spec.annotations) ? 1 : 0;
  const at = (type: LinuxNamespace['type']) => list.findIndex((entry) => entry.type === type);
  const find = (type: LinuxNamespace['type']) => list.find((entry) => entry.type === type);
  const from = (type: LinuxNamespace['type']) => `/linux/namespaces/${at(type)}`;

  let fresh = 0;
  const first: InitStep[] = [];
  const joins: InitStep[] = [];
  // The host's root may join what any user namespace owns; others get the rights for it only inside the user namespace.
  // A mount namespace is another's files: it is joined when those of the host have been opened.
  const joinsFirst = find('user') !== undefined && facts.euid === 0;
  let userJoin: InitStep[] = [];
  for (const type of order) {
    const entry = find(type);
    if (entry === undefined) continue;
    if (isNew(entry)) {
      if (type !== 'user' && type !== 'cgroup' && type !== 'time') fresh += namespaceFlags[type];
      continue;
    }
    const step: InitStep = {
      op: 'joinNamespace',
      path: entry.path ?? '',
      type: namespaceFlags[type],
      from: `${from(type)}/path`,
      why: `shares the ${type} namespace with others`,
    };
    if (type === 'user') userJoin = [step, ...checkIdMaps(spec), becomeRoot(from('user'), keepGroups)];
    else if (joinsFirst && type !== 'mount') first.push(step);
    else joins.push(step);
  }

  const newUser = isNew(find('user'));
  const pid = find('pid');
  const forks = find('user') !== undefined || (pid !== undefined && !isNew(pid));
  const offsets = timeOffsets(spec);
  const enter: InitStep[] = [];
  if (offsets !== '') {
    enter.push({
      op: 'openTimeOffsets',
      from: '/linux/timeOffsets',
      why: "with the host's rights: inside a user namespace the file is another's",
    });
  }
  enter.push(...userJoin);
  const host: HostStep[] = [];
  if (newUser) {
    enter.push(
      {
        op: 'unshare',
        namespaces: namespaceFlags.user,
        from: from('user'),
        why: 'the user namespace comes first: it owns all that are made after it',
      },
      ...(facts.euid === 0 ? [] : [makeDumpable]),
      { op: 'sync', sync: SYNC_USER_NAMESPACE, wait: 1, from: from('user'), why: 'the host writes the mappings' },
      becomeRoot(from('user'), keepGroups),
    );
    host.push(
      { op: 'awaitInit', sync: SYNC_USER_NAMESPACE, from: from('user'), why: 'the user namespace exists' },
      idMap('uid_map', spec.linux.uidMappings ?? [], '/linux/uidMappings'),
      ...(facts.euid === 0 ? [] : [denySetgroups]),
      idMap('gid_map', spec.linux.gidMappings ?? [], '/linux/gidMappings'),
      { op: 'releaseInit', sync: SYNC_USER_NAMESPACE, from: from('user'), why: 'the mappings are written' },
    );
  }
  enter.push(...joins);
  if (forks && fresh !== 0) {
    enter.push({
      op: 'unshare',
      namespaces: fresh,
      from: '/linux/namespaces',
      why: 'the other new namespaces, owned by the user namespace',
    });
  }
  if (isNew(find('time'))) {
    enter.push(
      {
        op: 'unshare',
        namespaces: namespaceFlags.time,
        from: from('time'),
        why: 'not at birth: whoever is born into it can no longer set its clocks (time_namespaces(7))',
      },
      {
        op: 'enterTimeNamespace',
        offsets,
        from: offsets === '' ? from('time') : '/linux/timeOffsets',
        why: 'unshare(2) makes it for children only',
      },
    );
  }
  if (forks) {
    enter.push(
      {
        op: 'fork',
        from: from('pid') === '/linux/namespaces/-1' ? from('user') : from('pid'),
        why: 'a pid namespace holds only processes born into it',
      },
      { op: 'sync', sync: SYNC_FORKED, wait: 1, from: '', why: 'the host side follows the new process' },
    );
    host.push(
      { op: 'awaitInit', sync: SYNC_FORKED, from: '', why: 'the container process exists' },
      { op: 'releaseInit', sync: SYNC_FORKED, from: '', why: 'the host side follows the new process' },
    );
  }
  if (isNew(find('cgroup'))) {
    // Not at birth: clone3(2) roots the new namespace at the cgroup of its caller, unshare(2) where init stands.
    enter.push({
      op: 'unshare',
      namespaces: namespaceFlags.cgroup,
      from: from('cgroup'),
      why: 'its root is the cgroup in which the process stands (cgroup_namespaces(7))',
    });
  }
  if (isNew(find('network'))) {
    enter.push({
      op: 'bringUpLoopback',
      from: from('network'),
      why: 'a new network namespace has only lo, and it is down',
    });
  }
  if (!request.noNewKeyring) {
    enter.push({
      op: 'joinKeyring',
      name: `_ses.${request.id}`,
      from: '',
      why: "the caller's keys stay outside (keyrings(7))",
    });
  }
  return {
    birth: forks ? 0 : fresh,
    first,
    enter,
    host,
    hasMount: find('mount') !== undefined,
    hasCgroup: find('cgroup') !== undefined,
    inUser: find('user') !== undefined,
    joins: (type) => find(type) !== undefined && !isNew(find(type)),
    owns: (type) => isNew(find(type)),
    forks,
  };
}

/** Lines of /proc/PID/timens_offsets: clock, seconds, nanoseconds. */
const timeOffsets = (spec: Spec): string =>
  Object.entries(spec.linux.timeOffsets ?? {})
    .map(([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`)
    .join('');

export const becomeRoot = (from: string, keepGroups: number): InitStep => ({
  op: 'becomeRoot',
  keepGroups,
  from,
  why: 'what follows is done with the ids that the user namespace maps',
});

/** Engines write the mappings beside the path of the namespace that has them. */
function checkIdMaps(spec: Spec): InitStep[] {
  const { uidMappings = [], gidMappings = [] } = spec.linux;
  const check = (file: string, mappings: readonly LinuxIDMapping[], from: string): InitStep[] =>
    mappings.length === 0
      ? []
      : [{ op: 'checkIdMap', file, map: idMapText(mappings), from, why: 'the joined user namespace brings its own' }];
  return [
    ...check('/proc/self/uid_map', uidMappings, '/linux/uidMappings'),
    ...check('/proc/self/gid_map', gidMappings, '/linux/gidMappings'),
  ];
}

/** Lines of /proc/PID/uid_map. */
export const idMapText = (mappings: readonly LinuxIDMapping[]): string =>
  mappings.map((entry) => `${entry.containerID} ${entry.hostID} ${entry.size}\n`).join('');

const makeDumpable: InitStep = {
  op: 'makeDumpable',
  from: '/linux/uidMappings',
  why: 'without root the mappings can be written only where /proc/PID is the own one',
};

const denySetgroups: HostStep = {
  op: 'writeIdMap',
  file: 'setgroups',
  map: 'deny\n',
  from: '/linux/gidMappings',
  why: 'without root a group that forbids something could be dropped otherwise (user_namespaces(7))',
};

const idMap = (file: string, mappings: readonly LinuxIDMapping[], from: string): HostStep => ({
  op: 'writeIdMap',
  file,
  map: idMapText(mappings),
  from,
  why: 'ids mean nothing inside until they are mapped',
});
