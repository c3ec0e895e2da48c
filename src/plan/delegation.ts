// config-linux.md#cgroup-ownership: a container that sees its cgroup, and may write there, owns it.

import type { LinuxIDMapping, Spec } from '../spec/types.ts';
import type { HostStep } from './steps.gen.ts';

/** What the specification names where the kernel does not tell (cgroups(7), Cgroups delegation containment rules). */
const FALLBACK = ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'];

/**
 * The steps that give the cgroup's directory, and the files by which it is managed, to the user of the program.
 * @param files Those of /sys/kernel/cgroup/delegate; undefined where it is missing.
 */
export function planDelegation(spec: Spec, path: string, files: readonly string[] = FALLBACK): HostStep[] {
  const mount = ownedMount(spec);
  const uid = hostId(spec.process?.user.uid ?? 0, spec.linux);
  // The host's root owns it already, and an id without a mapping is nobody on the host.
  if (mount < 0 || uid === undefined || uid === 0) return [];
  const from = `/mounts/${mount}`;
  const give = (file: string, optional: number): HostStep => ({
    op: 'changeOwner',
    path: `${path}${file}`,
    uid,
    optional,
    from,
    why: 'the container manages its own cgroup (config-linux.md#cgroup-ownership)',
  });
  // A file may belong to a controller that the cgroup does not have.
  return [give('', 0), ...files.map((file) => give(`/${file}`, 1))];
}

/** The mount that shows the cgroup writable in a new cgroup namespace: its index, or -1. */
export function ownedMount({ linux, mounts = [] }: Spec): number {
  const isNew = (linux.namespaces ?? []).some(({ type, path }) => type === 'cgroup' && (path ?? '') === '');
  if (!isNew) return -1;
  return mounts.findIndex(
    ({ destination, type, options = [] }) =>
      destination === '/sys/fs/cgroup' && (type === 'cgroup' || type === 'cgroup2') && !options.includes('ro'),
  );
}

function hostId(id: number, { namespaces = [], uidMappings = [] }: Spec['linux']): number | undefined {
  if (!namespaces.some(({ type }) => type === 'user')) return id;
  const holds = (entry: LinuxIDMapping) => id >= entry.containerID && id < entry.containerID + entry.size;
  const mapping = uidMappings.find(holds);
  return mapping === undefined ? undefined : mapping.hostID + (id - mapping.containerID);
}
