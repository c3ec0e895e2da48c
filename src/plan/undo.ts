// Every host step that leaves something behind knows how to take it back. What init did ends with init.

import type { Plan } from './plan.ts';
import type { HostStep } from './steps.gen.ts';

/** @param result What the step answered: for a directory, whether it was made by it. */
export function undoOf(step: HostStep, plan: Pick<Plan, 'cgroup'>, result: number): HostStep[] {
  const { from } = step;
  switch (step.op) {
    case 'makeDir':
      return result === 1 ? [removeDir(step.path, step.path === plan.cgroup?.path, from)] : [];
    case 'makeResctrlGroup':
      return result === 1 ? removeResctrl([step.path]) : [];
    case 'openCgroup':
      // The cgroup that a further process is born in is the container's, and stays.
      if (step.path !== plan.cgroup?.path) return [];
      return [{ op: 'killCgroup', path: step.path, from, why: 'a process that init left' }];
    case 'openGate':
      return [{ op: 'removeFile', path: step.path, from, why: 'nobody waits there any more' }];
    default:
      return [];
  }
}

/** The steps that take a container's cgroup away, and the directories that were made on the way to it. */
export function removeCgroup(path: string, made: readonly string[]): HostStep[] {
  const from = '/linux/cgroupsPath';
  return [
    { op: 'killCgroup', path, from, why: 'processes that outlived the first one' },
    ...[...made].reverse().map((directory) => removeDir(directory, directory === path, from)),
  ];
}

/** The steps that take groups of resctrl away; tasks that are still in them fall back to the group above. */
export const removeResctrl = (paths: readonly string[]): HostStep[] =>
  paths.map((path) => removeDir(path, false, '/linux/intelRdt'));

const removeDir = (path: string, own: boolean, from: string): HostStep => ({
  op: 'removeDir',
  path,
  below: own ? 1 : 0,
  from,
  why: own ? 'with the cgroups that the container made below it' : 'made on the way; kept where others use it',
});
