// A Runtime from the global flags.

import { TsrunError } from '../errors.ts';
import { sys } from '../linux/sys.ts';
import { Runtime } from '../runtime.ts';
import type { Context } from './main.ts';

export function runtimeOf({ globals, log }: Context): Runtime {
  const manager = globals.cgroupManager ?? (globals.systemdCgroup ? 'systemd' : 'cgroupfs');
  return new Runtime({
    root: stateRoot(globals.root),
    cgroupManager: manager,
    warn: (message) => log.write('warning', message),
    error: (message) => log.write('error', message),
  });
}

function stateRoot(given: string | undefined): string {
  if (given !== undefined && given !== '') {
    const root = (given.startsWith('/') ? given : `${sys.currentDir()}/${given}`).replace(/\/+$/, '');
    if (root === '') throw new TsrunError('--root: / cannot hold the state of containers');
    return root;
  }
  if (sys.userId() === 0) return '/run/tsrun';
  const directory = environment('XDG_RUNTIME_DIR');
  if (directory === undefined)
    throw new TsrunError('without root, give --root or set XDG_RUNTIME_DIR: there the state of containers is kept');
  return `${directory}/tsrun`;
}

export function environment(name: string): string | undefined {
  const entry = sys.environment().find((text) => text.startsWith(`${name}=`));
  const value = entry?.slice(name.length + 1);
  return value === '' ? undefined : value;
}
