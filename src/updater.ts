// Writes new limits to a cgroup: all, or after a failure those that were. And new shares to a class of resctrl.

import type { UnitProperty } from './cgroup/unit.ts';
import { stepError, TsrunError } from './errors.ts';
import { runHostSteps } from './execute/execute.ts';
import { noFacts, readHostFacts } from './execute/facts.ts';
import { sys, unlessMissing } from './linux/sys.ts';
import { planSchemaChange } from './plan/resctrl.ts';
import { removeResctrl } from './plan/undo.ts';
import { planUpdate } from './plan/update.ts';
import { parseSpec } from './spec/parse.ts';
import type { LinuxResources } from './spec/types.ts';

const ESRCH = 3;

/**
 * New lines for the schemata of the container's class of service, which is made if there is none.
 * @param config The text of its config.json. @param pids All of its processes.
 * @returns the classes that were made, and that end with the container.
 */
export function updateSchemas(
  { id, resctrl: own = [] }: { readonly id: string; readonly resctrl?: readonly string[] },
  config: string,
  lines: readonly string[],
  pids: readonly number[],
): string[] {
  const { resctrl } = readHostFacts({ ...noFacts, resctrlGroup: '' });
  if (resctrl === undefined)
    throw new TsrunError('update: resctrl is not mounted; hint: mount -t resctrl resctrl /sys/fs/resctrl');
  const rdt = parseSpec(config, 'config.json').linux.intelRdt ?? {};
  const tasks = pids.flatMap((pid) => unlessMissing(() => sys.readDir(`/proc/${pid}/task`).map(Number)) ?? []);
  const { group, isNew, steps } = planSchemaChange(rdt, id, resctrl, lines, tasks);
  for (const step of steps) {
    const failed = runHostSteps([step]);
    // A thread may end meanwhile.
    if (failed === undefined || failed.errno === ESRCH) continue;
    if (isNew && !own.includes(group)) runHostSteps(removeResctrl([group]));
    throw stepError(step, failed);
  }
  return isNew && !own.includes(group) ? [group] : [];
}

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
  const hierarchy = readHostFacts({ ...noFacts, manager: 'cgroupfs' }).cgroup;
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
