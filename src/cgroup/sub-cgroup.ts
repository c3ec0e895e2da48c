// Where in a container's cgroup a further process is born. What is written inside the container decides nothing of it.

import { TsrunError } from '../errors.ts';
import { parseOwnCgroup } from './path.ts';

/**
 * `exec --cgroup PATH`: the directory of a cgroup below the container's.
 * @throws {TsrunError} for a path that leads elsewhere.
 */
export function subCgroup(container: string, path: string): string {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..') || path.includes('\0'))
    throw new TsrunError(
      `--cgroup ${JSON.stringify(path)}: bad sub cgroup path: it must stay in the container's cgroup`,
    );
  return [container, ...names].join('/');
}

/**
 * The cgroup of a process that is in the container's or below it.
 * @param mount Where the hierarchy is mounted.
 * @param text The process's /proc/PID/cgroup.
 * @throws {TsrunError} where it has been moved elsewhere, out of the container's limits.
 */
export function ownCgroup(container: string, mount: string, text: string): string {
  const own = parseOwnCgroup(text) ?? '';
  const path = `${mount === '/' ? '' : mount}${own}`;
  if (path === container || (path.startsWith(`${container}/`) && !own.split('/').includes('..'))) return path;
  throw new TsrunError(
    `the container's cgroup ${container} may hold no process, and its first process is not below it: ${JSON.stringify(own)}`,
  );
}
