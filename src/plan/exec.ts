// One more process in a container that is there: `exec`. The steps from the runtime's rights to the container's are those
// of the first process; what comes before them is not made but joined.
//
// Init joins, becomes the container's user, and only then forks into the pid namespace: what others inside can see, and
// may trace, has no more rights than they could have given it themselves (CVE-2016-9962).

import { namespaceFlags } from '../linux/namespaces.ts';
import type { Spec } from '../spec/types.ts';
import { keepsGroups } from './annotations.ts';
import type { HostFacts } from './host.ts';
import { becomeRoot } from './namespaces.ts';
import type { Plan } from './plan.ts';
import { noSeccomp, openConsole, planProcess } from './process.ts';
import { joinResctrl } from './resctrl.ts';
import { planExecAffinity } from './scheduling.ts';
import { planSeccomp } from './seccomp.ts';
import { type HostStep, type InitStep, SYNC_FORKED, SYNC_READY } from './steps.gen.ts';

/** What the plan is made for, beside the process and the container's configuration. */
export interface ExecRequest {
  readonly id: string;
  /** The container's root on the host; used where it has no mount namespace. */
  readonly rootfs: string;
  /** Where the process is born; undefined for a container without a cgroup. */
  readonly cgroup: string | undefined;
  /** A pidfd of the container's first process. */
  readonly pidfd: number;
  readonly noNewKeyring: boolean;
  readonly preserveFds: number;
  readonly env: readonly string[];
  readonly bundle: string;
  /** What linux.seccomp was compiled to; undefined where there is none. */
  readonly seccomp: Uint8Array | undefined;
}

const forked = { from: '', why: 'the host side follows the new process' };

/** @param spec Of the container, with the process that is to run. */
export function planExec(spec: Spec, request: ExecRequest, facts: HostFacts): Plan {
  const list = spec.linux.namespaces ?? [];
  const has = (type: keyof typeof namespaceFlags) => list.some((entry) => entry.type === type);
  const seccomp = request.seccomp === undefined ? noSeccomp : planSeccomp(spec, request);
  const process = planProcess(spec, request, facts, has('user'), seccomp);
  const forks = has('pid');
  // The agent of a filter that is loaded behind the fork is told the pid of the process that the fork makes.
  const stops = forks && seccomp.created.length > 0;
  const sync = forks && !stops ? SYNC_FORKED : SYNC_READY;

  const init: InitStep[] = [];
  if (process.labels.length > 0) {
    // Here and not inside, where the container's /proc has no entry for a process of the host.
    const from = process.labels[0]?.from ?? '';
    init.push({ op: 'openProc', from, why: 'a procfs that nothing of the container can cover' }, ...process.labels);
  }
  if (list.length > 0) {
    init.push({
      op: 'joinProcess',
      namespaces: list.reduce((flags, { type }) => flags + namespaceFlags[type], 0),
      from: '/linux/namespaces',
      why: 'all namespaces of the container, which its first process is in',
    });
  }
  if (has('user')) init.push(becomeRoot('/linux/namespaces', keepsGroups(spec.annotations) ? 1 : 0));
  if (!has('mount')) {
    init.push({
      op: 'changeRoot',
      path: request.rootfs,
      from: '/root/path',
      why: 'without a mount namespace the root is only a directory',
    });
  }
  // Before anything of the container is looked at: what a caller left open would lead out of it.
  init.push(...process.close);
  if (!request.noNewKeyring) {
    init.push({
      op: 'joinKeyring',
      name: `_ses.${request.id}`,
      from: '',
      why: "the container's session keyring, in place of the caller's (keyrings(7))",
    });
  }
  if (spec.process?.terminal === true) {
    init.push(
      { op: 'openRoot', from: '/process/terminal', why: "the terminal is one of the container's devpts" },
      openConsole(spec.process),
    );
  }
  init.push(...process.become);
  if (forks) {
    init.push({
      op: 'fork',
      from: '/linux/namespaces',
      why: 'a pid namespace holds only processes born into it; whom they see there has their own rights',
    });
  }
  init.push(
    ...process.session,
    ...process.console,
    ...process.find,
    ...(stops ? [{ op: 'sync', sync: SYNC_FORKED, wait: 1, ...forked } satisfies InitStep] : []),
    ...seccomp.created,
    { op: 'sync', sync, wait: 0, from: '', why: 'all that can fail has been done' },
    { op: 'awaitStart', from: '', why: 'the program runs when the host side is ready' },
    ...process.exec,
  );

  const cpus = spec.process?.execCPUAffinity;
  const affinity = planExecAffinity(cpus);
  const host: HostStep[] = [...affinity.before];
  if (request.cgroup !== undefined) {
    host.push({
      op: 'openCgroup',
      path: request.cgroup,
      occupied: 1,
      from: '/linux/cgroupsPath',
      why: 'init is born inside it, with the limits and the device filter of the container',
    });
  }
  host.push(
    {
      op: 'launch',
      namespaces: 0,
      inCgroup: request.cgroup === undefined ? 0 : 1,
      preserveFds: request.preserveFds,
      process: request.pidfd,
      from: '',
      why: 'init is born outside of the namespaces: inside, others could look into it before it is another program',
    },
    ...(stops
      ? ([
          { op: 'awaitInit', sync: SYNC_FORKED, ...forked },
          { op: 'releaseInit', sync: SYNC_FORKED, ...forked },
        ] satisfies HostStep[])
      : []),
    ...seccomp.host,
    { op: 'awaitInit', sync, from: '', why: 'init has done all but the last steps' },
    ...(spec.linux.intelRdt === undefined ? [] : joinResctrl(spec, request.id, facts.resctrl)),
    ...process.limits,
    // The limits end with all CPUs; these are for the process alone.
    ...(cpus?.final === undefined ? [] : affinity.after),
  );
  return { host, init, cgroup: undefined, resctrl: [] };
}
