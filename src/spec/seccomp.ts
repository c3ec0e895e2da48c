// What one field of linux.seccomp says about another (config-linux.md#seccomp).

import type { Report } from './report.ts';
import { isObject } from './walk.ts';
import type { LinuxSeccompAction, LinuxSyscall, Spec } from './types.ts';

/** A profile that says nothing means none, as in runc. Some writers leave it so where they want no filter. */
export function dropEmptySeccomp(linux: Record<string, unknown>): void {
  const profile = linux['seccomp'];
  if (!isObject(profile)) return;
  const { defaultAction, syscalls } = profile;
  if ((defaultAction ?? '') === '' && (!Array.isArray(syscalls) || syscalls.length === 0)) delete linux['seccomp'];
}

export function checkSeccomp(spec: Spec, report: Report): void {
  const seccomp = spec.linux.seccomp;
  if (seccomp === undefined) return;
  const { defaultAction, defaultErrnoRet, syscalls = [], listenerPath, listenerMetadata } = seccomp;
  const at = (place: string, expected: string, found: unknown, hint?: string) =>
    report.at(`/linux/seccomp/${place}`, expected, found, hint);
  if (defaultErrnoRet !== undefined && !hasErrno(defaultAction))
    at('defaultErrnoRet', `(nothing) with ${defaultAction}`, defaultErrnoRet, only);
  if (defaultAction === 'SCMP_ACT_NOTIFY')
    at('defaultAction', 'another action than SCMP_ACT_NOTIFY', defaultAction, deadlock);
  let notifies = false;
  for (let i = 0; i < syscalls.length; i++) {
    const { action, errnoRet, names } = syscalls[i] as LinuxSyscall;
    if (errnoRet !== undefined && !hasErrno(action))
      at(`syscalls/${i}/errnoRet`, `(nothing) with ${action}`, errnoRet, only);
    if (action !== 'SCMP_ACT_NOTIFY') continue;
    notifies = true;
    const place = names.indexOf(HANDING_OVER);
    if (place >= 0) at(`syscalls/${i}/names/${place}`, 'another call with SCMP_ACT_NOTIFY', HANDING_OVER, deadlock);
  }
  if (notifies && listenerPath === undefined)
    at('listenerPath', 'the socket of the agent that SCMP_ACT_NOTIFY asks', undefined);
  if (listenerMetadata !== undefined && listenerPath === undefined)
    at('listenerMetadata', '(nothing) without listenerPath', listenerMetadata);
}

const hasErrno = (action: LinuxSeccompAction) => action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
const only = 'only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a number';

/** With this call init hands over the listener, under the filter: it would wait for an agent that has no listener yet. */
const HANDING_OVER = 'sendmsg';
const deadlock = 'init hands the listener over with sendmsg(2), which would wait for the agent without it';
