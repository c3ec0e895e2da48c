// linux.seccomp: when the filter is loaded, with which flags, and who gets its listener (config-linux.md#seccomp).

import { flagsOf } from '../seccomp/flags.ts';
import type { LinuxSeccompFlag, Spec } from '../spec/types.ts';
import type { PlanRequest } from './plan.ts';
import { type HostStep, type InitStep, SYNC_LISTENER } from './steps.gen.ts';

/** One of the first three lists has the filter. */
export interface SeccompPlan {
  /** Before capabilities are dropped: without no_new_privs the kernel wants CAP_SYS_ADMIN. */
  readonly privileged: readonly InitStep[];
  /** With no_new_privs and a listener, as the last thing that `create` does: an agent that is not there is its error. */
  readonly created: readonly InitStep[];
  /** With no_new_privs, right before execve(2): the filter need not allow what the runtime does before. */
  readonly last: readonly InitStep[];
  /** While init goes on under its filter. */
  readonly host: readonly HostStep[];
}

const none: SeccompPlan = { privileged: [], created: [], last: [], host: [] };

/** Unless the profile says otherwise, a filter does not switch on the mitigations that cost speed: as in runc. */
const defaultFlags: readonly LinuxSeccompFlag[] = ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'];

export function planSeccomp(spec: Spec, request: Pick<PlanRequest, 'id' | 'bundle' | 'seccomp'>): SeccompPlan {
  const profile = spec.linux.seccomp;
  if (profile === undefined || request.seccomp === undefined) return none;
  const listens = (profile.syscalls ?? []).some(({ action }) => action === 'SCMP_ACT_NOTIFY');
  const load = (why: string): InitStep => ({
    op: 'loadSeccomp',
    program: request.seccomp as Uint8Array,
    flags: flagsOf(profile.flags ?? defaultFlags, listens),
    listen: listens ? 1 : 0,
    from: '/linux/seccomp',
    why,
  });
  const host = listens ? listenerSteps(spec, request) : [];
  if (spec.process?.noNewPrivileges !== true)
    return { ...none, host, privileged: [load('without no_new_privs it takes CAP_SYS_ADMIN, which is still there')] };
  return listens
    ? { ...none, host, created: [load('the agent hears of the container before it is started')] }
    : { ...none, last: [load('last, so that the filter has to allow nothing but what the program does')] };
}

/** runtime-spec, config-linux.md#containerprocessstate */
function listenerSteps(spec: Spec, { id, bundle }: Pick<PlanRequest, 'id' | 'bundle'>): HostStep[] {
  const path = spec.linux.seccomp?.listenerPath ?? '';
  const metadata = spec.linux.seccomp?.listenerMetadata;
  const version = JSON.stringify(spec.ociVersion);
  const more = metadata === undefined ? '' : `"metadata":${JSON.stringify(metadata)},`;
  const annotations = spec.annotations === undefined ? '' : `,"annotations":${JSON.stringify(spec.annotations)}`;
  return [
    {
      op: 'awaitInit',
      sync: SYNC_LISTENER,
      from: '/linux/seccomp',
      why: 'the filter is loaded, and some calls wait for an answer from now on',
    },
    {
      op: 'sendListener',
      path: path.startsWith('/') ? path : `${bundle}/${path}`,
      head: `{"ociVersion":${version},"fds":["seccompFd"],"pid":`,
      middle: `,${more}"state":{"ociVersion":${version},"id":${JSON.stringify(id)},"status":"creating","pid":`,
      tail: `,"bundle":${JSON.stringify(bundle)}${annotations}}}`,
      from: '/linux/seccomp/listenerPath',
      why: 'the agent answers for the calls that the profile leaves to it',
    },
  ];
}
