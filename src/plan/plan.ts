// Spec + host facts -> Plan. Pure: nothing here asks the host, so every order and every flag can be tested as data.
// The order is the lesson: each phase stands where a rule of the kernel or of the specification puts it.

import type { Spec } from '../spec/types.ts';
import { planCgroup, type CgroupPlan } from './cgroup.ts';
import { planDevices } from './devices.ts';
import { hookEnvironment, hookSteps, type HookState, planHookOutput } from './hooks.ts';
import type { HostFacts } from './host.ts';
import { planMasks } from './masks.ts';
import { planMounts } from './mounts.ts';
import { planNamespaces } from './namespaces.ts';
import { planNetDevices } from './net-devices.ts';
import { noSeccomp, planProcess } from './process.ts';
import { planResctrl, type ResctrlPlan } from './resctrl.ts';
import { planRootEnter, planRootOpen } from './rootfs.ts';
import { planSeccomp } from './seccomp.ts';
import { type HostStep, type InitStep, SYNC_HOOKS, SYNC_READY } from './steps.gen.ts';

/** What a plan is made for, beside the configuration: paths are absolute. */
export interface PlanRequest {
  readonly id: string;
  readonly bundle: string;
  /** The root filesystem's directory, without symbolic links. */
  readonly rootfs: string;
  /** Layers that are mounted there, if it is not itself the root file system. Absolute paths, the uppermost first. */
  readonly overlay: OverlayRequest | undefined;
  /** Where a created container waits to be started; undefined in the foreground, where the engine itself starts it. */
  readonly gate: string | undefined;
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** Descriptors from 3 on that the container gets. */
  readonly preserveFds: number;
  /** What the runtime itself adds to the environment, as NAME=value. */
  readonly env: readonly string[];
  /** What linux.seccomp was compiled to; undefined where there is none. */
  readonly seccomp: Uint8Array | undefined;
}

export interface OverlayRequest {
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  /** Set where nothing of it is to survive a crash of the host. */
  readonly volatile: boolean;
}

/** All that a run will do. Each list is in order; init's steps run between the host's await and release steps. */
export interface Plan {
  readonly host: readonly HostStep[];
  readonly init: readonly InitStep[];
  readonly cgroup: CgroupPlan | undefined;
  /** Groups of resctrl that end with the container. */
  readonly resctrl: readonly string[];
}

const noResctrl: ResctrlPlan = { before: [], after: [], remove: [] };
const noSteps = { init: [], host: [] };

export function compile(spec: Spec, request: PlanRequest, facts: HostFacts): Plan {
  const state: HookState = {
    spec,
    id: request.id,
    bundle: request.bundle,
    environment: facts.environment,
    inside: hookEnvironment(spec),
  };
  const namespaces = planNamespaces(spec, request, facts);
  const cgroup = planCgroup(spec, request.id, facts);
  const { intelRdt } = spec.linux;
  const resctrl = intelRdt === undefined ? noResctrl : planResctrl(intelRdt, request.id, facts.resctrl);
  const devices = planDevices(spec, namespaces.inUser);
  const mounts = planMounts(spec, request, facts, cgroup?.path, namespaces);
  const seccomp = request.seccomp === undefined ? noSeccomp : planSeccomp(spec, request);
  const process = planProcess(spec, request, facts, namespaces.inUser, seccomp);
  const root = planRootOpen(spec, request, namespaces, facts);
  const netDevices = spec.linux.netDevices === undefined ? noSteps : planNetDevices(spec.linux);
  const createHooks = [
    ...hookSteps(state, 'prestart', 'creating'),
    ...hookSteps(state, 'createRuntime', 'creating'),
  ] satisfies HostStep[];

  const init: InitStep[] = [
    ...planHookOutput(spec),
    // The root and what is bound are opened while the host's own rights and paths are at hand: inside a user namespace
    // they are not.
    ...root.before,
    ...namespaces.first,
    ...mounts.early,
    ...namespaces.enter,
    ...netDevices.init,
    ...process.session,
    ...root.attach,
    ...mounts.steps,
    // /dev is filled after the mounts, because one of them may be /dev itself.
    ...devices,
    ...process.prepare,
  ];
  if (createHooks.length > 0) {
    // runtime-spec, config.md#prestart and #createRuntime: after the namespaces, before pivot_root.
    init.push({
      op: 'sync',
      sync: SYNC_HOOKS,
      wait: 1,
      from: '/hooks',
      why: 'the host runs its hooks before the root changes',
    });
  }
  init.push(
    ...hookSteps(state, 'createContainer', 'creating'),
    // Masks come after the hooks, which may still bind things below /proc and /sys, and before pivot_root, while the
    // host's /dev/null can be opened by its own path.
    ...planMasks(spec),
    ...planRootEnter(spec, request, namespaces, facts),
    ...process.console,
    ...process.labels,
    ...process.close,
    ...process.become,
    ...process.find,
    ...seccomp.created,
    {
      op: 'sync',
      sync: SYNC_READY,
      wait: 0,
      from: '',
      why: 'all that can fail has been done: the container is created',
    },
    {
      op: 'awaitStart',
      from: '',
      why:
        request.gate === undefined
          ? 'the program runs when the host side is ready'
          : 'the program runs when `start` is called',
    },
    ...hookSteps(state, 'startContainer', 'created'),
    ...process.exec,
  );

  const host: HostStep[] = [...(cgroup?.before ?? []), ...resctrl.before];
  if (request.gate !== undefined) {
    host.push({ op: 'openGate', path: request.gate, from: '', why: 'the created container waits here for `start`' });
  }
  host.push({
    op: 'launch',
    namespaces: namespaces.birth,
    inCgroup: cgroup === undefined ? 0 : 1,
    preserveFds: request.preserveFds,
    process: -1,
    from: spec.linux.namespaces === undefined ? '' : '/linux/namespaces',
    why: 'init is born inside the namespaces and the cgroup, so that nothing of it is accounted elsewhere',
  });
  host.push(...namespaces.host, ...netDevices.host);
  if (createHooks.length > 0) {
    host.push(
      {
        op: 'awaitInit',
        sync: SYNC_HOOKS,
        from: '/hooks',
        why: 'the namespaces exist and the root is not yet entered',
      },
      ...createHooks,
      { op: 'releaseInit', sync: SYNC_HOOKS, from: '/hooks', why: 'the hooks went well' },
    );
  }
  host.push(
    ...seccomp.host,
    { op: 'awaitInit', sync: SYNC_READY, from: '', why: 'init has done all but the last steps' },
    // After init's own work: a limit meant for the program must not stop the work before it.
    ...process.limits,
    ...resctrl.after,
    ...(cgroup?.after ?? []),
  );
  return { host, init, cgroup, resctrl: resctrl.remove };
}
