// Writes new limits to a cgroup: all, or after a failure those that were.

import { stepError, TsrunError } from './errors.ts';
import { runHostSteps } from './execute/execute.ts';
import { readHostFacts } from './execute/facts.ts';
import { planUpdate } from './plan/update.ts';
import type { LinuxResources } from './spec/types.ts';

/** @returns the limits as they are now. */
export function updateCgroup(cgroup: string, now: LinuxResources, change: LinuxResources): LinuxResources {
  const hierarchy = readHostFacts({ cgroups: true, kernelMounts: false }).cgroup;
  if (hierarchy === undefined) throw new TsrunError('update: no cgroup v2 hierarchy is mounted');
  const { resources, apply, restore } = planUpdate(now, change, cgroup, hierarchy);
  for (const step of apply) {
    const failed = runHostSteps([step]);
    if (failed === undefined) continue;
    runHostSteps(restore);
    throw stepError(step, failed);
  }
  return resources;
}
