// Whether a bundle still uses its layers, also after a crash or a reboot: nobody tells the store that a container ended.

import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import type { UserRecord } from './store.ts';

const ESRCH = 3;

/** Field 22 of proc_pid_stat(5): a pid alone may be somebody else's by now. '' for a process that has ended. */
export function startTimeOf(pid: number): string {
  try {
    const text = unlessMissing(() => sys.readFile(`/proc/${pid}/stat`, 65536)) ?? '';
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch (error) {
    if (isSysError(error) && error.errno === ESRCH) return '';
    throw error;
  }
}

/** A bundle that was unpacked lives as long as its directory; one of a container as long as that, or as its maker. */
export function isAlive({ bundle, container }: UserRecord): boolean {
  if (!isThere(`${bundle}/overlay.json`)) return false;
  if (container === undefined) return true;
  if (startTimeOf(container.pid) === container.startTime) return true;
  return isOfContainer(bundle, container.state);
}

/** Whether the state is that of the bundle's container: an id may be another's. */
export function isOfContainer(bundle: string, state: string): boolean {
  const text = unlessMissing(() => sys.readFile(`${state}/state.json`, 16 << 20));
  return text?.includes(`"bundle":${JSON.stringify(bundle)}`) === true;
}

const isThere = (path: string): boolean => unlessMissing(() => sys.stat(path)) !== undefined;
