// linux.namespaces: which ones init is born into, which it joins, and in what order.
//
// Most containers need one process: clone3(2) makes init inside all new namespaces at once. Two kinds need a process
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
  /** Init's steps into the namespaces. */
  readonly enter: readonly InitStep[];
  /** The host's part: mappings, and following the fork. */
  readonly host: readonly HostStep[];
  readonly hasMount: boolean;
  readonly newCgroup: boolean;
  /** Inside a user namespace that is not the host's: device nodes cannot be made there. */
  readonly newUser: boolean;
  /** Init forks, so the root has to be opened before. */
  readonly forks: boolean;
}

/** Joined in this order: the user namespace first, for it gives the rights over those that it owns. */
const order = ['user', 'ipc', 'uts', 'network', 'pid', 'cgroup', 'mount', 'time'] as const;

const isNew = (entry: LinuxNamespace | undefined): boolean => entry !== undefined && (entry.path ?? '') === '';

export function planNamespaces(spec: Spec, request: PlanRequest, _facts: HostFacts): NamespacePlan {
  const list = spec.linux.namespaces ?? [];
  const keepGroups = keepsGroups(spec.annotations) ? 1 : 0;
  const at = (type: LinuxNamespace['type']) => list.findIndex((entry) => entry.type === type);
  const find = (type: LinuxNamespace['type']) => list.find((entry) => entry.type === type);
  const from = (type: LinuxNamespace['type']) => `/linux/namespaces/${at(type)}`;

  let fresh = 0;
  const joins: InitStep[] = [];
  let userJoin: InitStep[] = [];
  for (const type of order) {
    const entry = find(type);
    if (entry === undefined) continue;
    if (isNew(entry)) {
      if (type !== 'user' && type !== 'cgroup') fresh += namespaceFlags[type];
      continue;
    }
    const step: InitStep = {
      op: 'joinNamespace',
      path: entry.path ?? '',
      type: namespaceFlags[type],
      from: `${from(type)}/path`,
      why: `shares the ${type} namespace with others`,
    };
    if (type === 'user') userJoin = [step, becomeRoot(from('user'), keepGroups)];
    else joins.push(step);
  }

  const newUser = isNew(find('user'));
  const pid = find('pid');
  const forks = find('user') !== undefined || (pid !== undefined && !isNew(pid));
  const enter: InitStep[] = [...(forks ? userJoin : [])];
  const host: HostStep[] = [];
  if (newUser) {
    enter.push(
      {
        op: 'unshare',
        namespaces: namespaceFlags.user,
        from: from('user'),
        why: 'the user namespace comes first: it owns all that are made after it',
      },
      { op: 'sync', sync: SYNC_USER_NAMESPACE, wait: 1, from: from('user'), why: 'the host writes the mappings' },
      becomeRoot(from('user'), keepGroups),
    );
    host.push(
      { op: 'awaitInit', sync: SYNC_USER_NAMESPACE, from: from('user'), why: 'the user namespace exists' },
      idMap('uid_map', spec.linux.uidMappings ?? [], '/linux/uidMappings'),
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
    enter,
    host,
    hasMount: find('mount') !== undefined,
    newCgroup: isNew(find('cgroup')),
    newUser: find('user') !== undefined,
    forks,
  };
}

const becomeRoot = (from: string, keepGroups: number): InitStep => ({
  op: 'becomeRoot',
  keepGroups,
  from,
  why: 'what follows is done with the ids that the user namespace maps',
});

const idMap = (file: string, mappings: readonly LinuxIDMapping[], from: string): HostStep => ({
  op: 'writeIdMap',
  file,
  map: mappings.map((entry) => `${entry.containerID} ${entry.hostID} ${entry.size}\n`).join(''),
  from,
  why: 'ids mean nothing inside until they are mapped',
});
