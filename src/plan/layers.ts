// A root file system of layers: an overlay, mounted where nobody but the container sees it.

import { ConfigError } from '../errors.ts';
import type { HostFacts } from './host.ts';
import { makeFileSystem, withLayersApart } from './mount-data.ts';
import type { OverlayRequest } from './plan.ts';
import type { InitStep } from './steps.gen.ts';

/**
 * The steps after which the layers are the root file system, as a detached mount.
 * @param place Mounts something for a moment; empty where nothing can be mounted yet.
 */
export function planLayers(overlay: OverlayRequest, facts: HostFacts, place: readonly InitStep[]): InitStep[] {
  const from = '/root/path';
  const options = [
    `lowerdir=${overlay.lower.map(escaped).join(':')}`,
    `upperdir=${escaped(overlay.upper)}`,
    `workdir=${escaped(overlay.work)}`,
    // What a layer says is all that there is to a file: none stands for one elsewhere, and the upper layer can be packed.
    'index=off',
    'metacopy=off',
    'redirect_dir=nofollow',
    ...(overlay.volatile ? ['volatile'] : []),
    ...(facts.euid === 0 ? [] : ['userxattr']),
  ];
  const why = "the layers of the image, and the container's own above them: mounted where nobody else sees it";
  const layers = { source: 'overlay', fstype: 'overlay', options, attributes: 0, instead: '', also: 0, from, why };
  let mount = makeFileSystem(layers);
  // Options too long for fsconfig(2) are for mount(2), which wants a place; without one, layers go one by one.
  const isLong = mount.op === 'legacyMount';
  if (isLong && place.length === 0) mount = makeFileSystem(withLayersApart(layers));
  const take: InitStep = { op: 'takeRoot', from, why: 'in place of a directory' };
  return [...(isLong ? place : []), mount, take];
}

/** Overlayfs takes a colon or a comma for the end of a path, and a backslash to say that it is none. */
const escaped = (path: string): string => path.replace(/[\\:,]/g, '\\$&');

/** What is mounted would be there for all of the host. */
export function withoutMountNamespace(): ConfigError {
  const expected = 'a mount namespace: layers are not mounted where others see them';
  return new ConfigError('config.json', [{ pointer: '/linux/namespaces', expected, found: 'none' }]);
}
