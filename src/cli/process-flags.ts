// What exec's flags say of a process. Ids are decimal and nothing else, so that none is read as another (CVE-2026-30892).

import { TsrunError } from '../errors.ts';

/** (uid_t)-1 means "leave unchanged" to every system call that takes an id. */
const MOST = 2 ** 32 - 2;

export function parseId(text: string, flag: string): number {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= MOST) return value;
  throw new TsrunError(`--${flag}: ${JSON.stringify(text)} is no number from 0 to ${MOST}`);
}

/** `UID` or `UID:GID`. */
export function parseUser(text: string): { readonly uid: number; readonly gid?: number } {
  const [uid = '', ...rest] = text.split(':');
  if (rest.length === 0) return { uid: parseId(uid, 'user') };
  return { uid: parseId(uid, 'user'), gid: parseId(rest.join(':'), 'user') };
}

/**
 * `--cgroup [CONTROLLER[,CONTROLLER]:]PATH`, as runc has it for cgroup v1 too: all must name one path here.
 * @throws {TsrunError} where they do not.
 */
export function cgroupArgument(values: readonly string[]): string | undefined {
  let path: string | undefined;
  for (const value of values) {
    const colon = value.indexOf(':');
    const named = value.slice(colon + 1);
    if (colon >= 0 && value.slice(0, colon).split(',').includes(''))
      throw new TsrunError(`invalid --cgroup argument: ${value} (empty <controller> prefix)`);
    if (path !== undefined && (colon < 0 || named !== path))
      throw new TsrunError(`invalid --cgroup argument: ${value} (cgroup v2 has one path for all controllers)`);
    path = named;
  }
  return path;
}
