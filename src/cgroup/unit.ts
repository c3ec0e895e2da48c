// linux.cgroupsPath as the systemd manager reads it in, the names of a unit and of its cgroup out.

import { ConfigError } from '../errors.ts';
import type { Variant } from '../dbus/types.ts';

export interface UnitName {
  /** Such as `libpod-1234.scope`. */
  readonly name: string;
  /** Such as `machine.slice`. */
  readonly slice: string;
}

/** A property of a unit, as D-Bus takes it. (org.freedesktop.systemd1(5)) */
export type UnitProperty = readonly [name: string, value: Variant];

/**
 * `slice:prefix:name` is the scope `prefix-name.scope` in the slice, as in runc and crun. Without a cgroupsPath it is
 * `tsrun-ID.scope`.
 * @param user True for the service manager of a user, whose scopes are in user.slice unless another is named.
 * @throws {ConfigError} naming /linux/cgroupsPath
 */
export function unitName(cgroupsPath: string | undefined, id: string, user: boolean): UnitName {
  const given = cgroupsPath ?? '';
  const [slice = '', prefix = '', name = '', ...rest] = given === '' ? ['', 'tsrun', id] : given.split(':');
  if (name === '' || rest.length > 0) refuse('"slice:prefix:name", as the systemd cgroup manager is used', given);
  const unit = `${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
  // systemd.unit(5): 255 characters of this set.
  if (!/^[A-Za-z0-9:_.\\@-]{1,255}$/.test(unit)) refuse('a name that a systemd unit can have', given);
  const chosen = slice === '' ? (user ? 'user.slice' : 'system.slice') : slice;
  if (!/^(-|[A-Za-z0-9:_.\\]+(-[A-Za-z0-9:_.\\]+)*)\.slice$/.test(chosen))
    refuse('a slice such as "machine.slice"', given);
  return { name: unit, slice: chosen };
}

function refuse(expected: string, given: string): never {
  throw new ConfigError('config.json', [
    { pointer: '/linux/cgroupsPath', expected, found: JSON.stringify(given.slice(0, 80)) },
  ]);
}

/**
 * The cgroup of a unit: a slice lies below the slices that its name begins with (systemd.slice(5)).
 * @param base The manager's own cgroup: its property ControlGroup, empty for the manager of the whole host.
 */
export function unitPath({ name, slice }: UnitName, mount: string, base: string): string {
  const words = slice === '-.slice' ? [] : slice.slice(0, -'.slice'.length).split('-');
  const slices = words.map((_, index) => `${words.slice(0, index + 1).join('-')}.slice`);
  return [`${mount === '/' ? '' : mount}${base === '/' ? '' : base}`, ...slices, name].join('/');
}
