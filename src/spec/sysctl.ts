// Which kernel parameters a container may have. /proc/sys is namespaced only in parts, and a parameter of any other
// part would be the host's; so this is a list of what is allowed, the same as runc's and crun's.

import { addNamespace } from './id-mappings.ts';
import { pointer, type Report } from './report.ts';
import type { LinuxNamespaceType, Spec } from './types.ts';

const ipcNames: readonly string[] = [
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
];

const namespacedTrees: readonly { readonly start: string; readonly type: LinuxNamespaceType }[] = [
  { start: 'fs.mqueue.', type: 'ipc' },
  { start: 'net.', type: 'network' },
  { start: 'user.', type: 'user' },
];

/** Reports parameters that no namespace of the container has, and names that would leave /proc/sys. */
export function checkSysctl(spec: Spec, report: Report): void {
  const sysctl = spec.linux.sysctl;
  for (const name in sysctl) checkParameter(name, spec, report);
}

function checkParameter(name: string, spec: Spec, report: Report): void {
  const where = pointer(['linux', 'sysctl', name]);
  const path = sysctlPath(name);
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..') || name.indexOf('\0') >= 0) {
    report.at(where, 'a name such as net.ipv4.ip_forward', name);
    return;
  }
  const dotted = swap(path);
  if (dotted === 'kernel.hostname') {
    report.at(where, '(nothing)', name, 'use the field /hostname');
    return;
  }
  const type = namespaceOf(dotted);
  if (type === undefined) report.at(where, 'a kernel parameter that belongs to a namespace', name);
  else if (spec.linux.namespaces?.every((namespace) => namespace.type !== type) ?? true) {
    report.at(where, `a namespace of type ${type} for this parameter`, name, addNamespace(type));
  }
}

function namespaceOf(dotted: string): LinuxNamespaceType | undefined {
  if (dotted === 'kernel.domainname') return 'uts';
  if (ipcNames.includes(dotted)) return 'ipc';
  return namespacedTrees.find(({ start }) => dotted.startsWith(start))?.type;
}

/**
 * The path under /proc/sys of a parameter in either notation: whichever of `.` and `/` comes first separates, and the
 * other stands for it, as in `net.ipv4.conf.eno2/100.rp_filter` for the interface `eno2.100` (sysctl.d(5)).
 */
export function sysctlPath(name: string): string {
  const dot = name.indexOf('.');
  const slash = name.indexOf('/');
  return slash >= 0 && (dot < 0 || slash < dot) ? name : swap(name);
}

function swap(text: string): string {
  let swapped = '';
  for (const char of text) swapped += char === '.' ? '/' : char === '/' ? '.' : char;
  return swapped;
}
