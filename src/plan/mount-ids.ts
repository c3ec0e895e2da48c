// Id-mapped mounts: mounts[].uidMappings, gidMappings, and the options idmap and ridmap (config.md#linux-mount-options).

import { ConfigError } from '../errors.ts';
import type { Mount, Spec } from '../spec/types.ts';
import type { MountOptions } from './mount-options.ts';
import { idMapText } from './namespaces.ts';
import type { InitStep } from './steps.gen.ts';

/** Mappings as the kernel reads them, or the user namespace that has them. */
interface IdMap {
  readonly path: string;
  readonly uidMap: string;
  readonly gidMap: string;
}

/** @param from The mount's place in config.json. */
export function planIdMap(spec: Spec, mount: Mount, options: MountOptions, from: string): InitStep[] {
  const { uidMappings = [], gidMappings = [] } = mount;
  const own = uidMappings.length > 0;
  if (!own && options.idmap === undefined) return [];
  const source = own ? `${from}/uidMappings` : `${from}/options`;
  const map: IdMap = own
    ? { path: '', uidMap: idMapText(uidMappings), gidMap: idMapText(gidMappings) }
    : mapOfContainer(spec, options, source);
  return [
    { op: 'makeIdMap', ...map, from: source, why: 'the kernel takes mappings of a mount from a user namespace' },
    {
      op: 'mapIds',
      recursive: options.idmap === 'ridmap' ? 1 : 0,
      from: source,
      why: 'owners of files are others inside, and nothing on the disk changes',
      about: mount.destination,
    },
  ];
}

/** A pod's volumes have the same mappings: the namespace that stands for them is made once. */
export function sharedIdMaps(steps: readonly InitStep[]): InitStep[] {
  let last = '';
  return steps.filter((step) => {
    if (step.op !== 'makeIdMap') return true;
    const key = JSON.stringify([step.path, step.uidMap, step.gidMap]);
    if (key === last) return false;
    last = key;
    return true;
  });
}

function mapOfContainer(spec: Spec, options: MountOptions, from: string): IdMap {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = spec.linux;
  const user = namespaces.find(({ type }) => type === 'user');
  if (user === undefined || options.bind === undefined) {
    throw new ConfigError('config.json', [
      {
        pointer: from,
        expected:
          user === undefined
            ? `uidMappings and gidMappings beside ${options.idmap}, or a user namespace`
            : `uidMappings and gidMappings beside ${options.idmap}, as this is no bind mount`,
        found: 'none',
      },
    ]);
  }
  return user.path === undefined
    ? { path: '', uidMap: idMapText(uidMappings), gidMap: idMapText(gidMappings) }
    : { path: user.path, uidMap: '', gidMap: '' };
}
