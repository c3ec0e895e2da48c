// Writes new limits to a cgroup: all, or after a failure those that were.

import type { UnitProperty } from './cgroup/unit.ts';
import { stepError, TsrunError } from './errors.ts';
import { runHostSteps } from './execute/execute.ts';
import { readHostFacts } from './execute/facts.ts';
import { planUpdate } from './plan/update.ts';
import type { LinuxResources } from './spec/types.ts';

/**
 * @param setProperties Tells systemd, where it knows the cgroup as a unit; it would take its own limits back otherwise.
 * @returns the limits as they are now.
 */
export function updateCgroup(
  cgroup: string,
  now: LinuxResources,
  change: LinuxResources,
  setProperties: ((properties: readonly UnitProperty[]) => void) | undefined,
): LinuxResources {
  const hierarchy = readHostFacts({
    manager: 'cgroupfs',
    environment: false,
    kernelMounts: false,
    labels: false,
    resctrlGroup: undefined,
    delegate: false,
  }).cgroup;
  if (hierarchy === undefined) throw new TsrunError('update: no cgroup v2 hierarchy is mounted');
  const { resources, properties, apply, restore } = planUpdate(now, change, cgroup, hierarchy);
  try {
    for (const step of apply) {
      const failed = runHostSteps([step]);
      if (failed !== undefined) throw stepError(step, failed);
    }
    setProperties?.(properties);
  } catch (error) {
    runHostSteps(restore);
    throw error;
  }
  return resources;
}
