// From a plan, and then from what came of it, to the record that state.json keeps.

import type { Bundle } from '../bundle/bundle.ts';
import { LOCK_SH, O_RDWR } from '../linux/flags.ts';
import { sys, unlessMissing } from '../linux/sys.ts';
import { formatTime } from '../linux/time.ts';
import type { CgroupPlan } from '../plan/cgroup.ts';
import type { Plan } from '../plan/plan.ts';
import { type CgroupRecord, type ContainerRecord, readStat } from './container.ts';
import { madeDirectories } from '../execute/execute.ts';
import type { Report } from '../execute/report.ts';
import type { LinuxResources } from '../spec/types.ts';

/** Before the first step: enough for `delete --force` to clean up after a crash at any point. */
export function draftRecord(
  id: string,
  { spec, dir, rootfs }: Bundle,
  plan: Plan,
  noNewKeyring: boolean,
  bundleUser: string | undefined,
): ContainerRecord {
  const [seconds = 0, nanoseconds = 0] = sys.clock();
  const pid = spec.linux.namespaces?.find((entry) => entry.type === 'pid');
  const gateIndex = plan.init.findIndex((step) => step.op === 'awaitStart') + 1;
  return {
    id,
    ociVersion: spec.ociVersion,
    pid: 0,
    startTime: '',
    stage: 'creating',
    bundle: dir,
    rootfs,
    created: formatTime(seconds, nanoseconds),
    owner: sys.userId(),
    ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
    ...(spec.hooks === undefined ? {} : { hooks: spec.hooks }),
    ...(plan.cgroup === undefined ? {} : { cgroup: cgroupRecord(plan.cgroup, missingDirectories(plan)) }),
    ...(spec.linux.resources === undefined ? {} : { resources: limitsOf(spec.linux.resources) }),
    ...(plan.resctrl.length === 0 ? {} : { resctrl: plan.resctrl }),
    ...(bundleUser === undefined ? {} : { bundleUser }),
    sharedPid: pid === undefined || (pid.path ?? '') !== '',
    noNewKeyring,
    gateIndex,
    afterGate: plan.init.slice(gateIndex).map(({ op, from }) => ({ op, from })),
  };
}

/**
 * Takes away a bundle that was made for the container. What stands for it in the store of images goes first: once the
 * directory is gone, another container may have its name.
 */
export function removeBundle({ bundle, bundleUser }: ContainerRecord): void {
  if (bundleUser === undefined) return;
  const store = bundleUser.slice(0, bundleUser.lastIndexOf('/users/'));
  const lock = unlessMissing(() => sys.open(`${store}/lock`, O_RDWR, 0));
  try {
    // `image prune` would remove a bundle without a user itself, and the name might be another's before this is done.
    if (lock !== undefined) sys.lock(lock, LOCK_SH);
    unlessMissing(() => sys.removeFile(bundleUser));
    sys.removeTree(bundle);
  } finally {
    if (lock !== undefined) sys.close(lock);
  }
}

const cgroupRecord = ({ path, unit }: CgroupPlan, made: readonly string[]): CgroupRecord => ({
  path,
  made,
  ...(unit === undefined ? {} : { unit: unit.name }),
});

const limitsOf = ({ devices: _devices, ...limits }: LinuxResources): LinuxResources => limits;

/** With the process, and with the directories that were really made. */
export function completeRecord(draft: ContainerRecord, plan: Plan, report: Report): ContainerRecord {
  return {
    ...draft,
    pid: report.pid,
    startTime: readStat(report.pid)?.startTime ?? '',
    stage: 'created',
    ...(draft.cgroup === undefined ? {} : { cgroup: { ...draft.cgroup, made: madeDirectories(plan, report) } }),
  };
}

/** Those that the plan will make; a directory that is there already belongs to somebody else. */
const missingDirectories = (plan: Plan): string[] =>
  plan.host.flatMap((step) =>
    step.op === 'makeDir' && unlessMissing(() => sys.stat(step.path)) === undefined ? [step.path] : [],
  );
