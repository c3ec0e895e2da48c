// process.scheduler, ioPriority and execCPUAffinity, linux.memoryPolicy and linux.personality: how the kernel treats the
// program beside its rights. What needs rights of the host is set from outside: inside a user namespace init has none.

import {
  CPU_MOST,
  IOPRIO_CLASS_SHIFT,
  ioPriorityClasses,
  memoryPolicyFlags,
  memoryPolicyModes,
  NODE_MOST,
  personalities,
  schedulerFlags,
  schedulerPolicies,
} from '../linux/scheduling.ts';
import { parseNumberList } from '../spec/number-list.ts';
import type { CPUAffinity, Linux, Process } from '../spec/types.ts';
import type { HostStep, InitStep, SetAffinity } from './steps.gen.ts';

/** The host's steps once the container process stands. */
export function planScheduling(process: Process): HostStep[] {
  const steps: HostStep[] = [resetAffinity];
  const { scheduler, ioPriority } = process;
  if (scheduler !== undefined) {
    steps.push({
      op: 'setScheduler',
      policy: schedulerPolicies[scheduler.policy],
      flags: sum((scheduler.flags ?? []).map((flag) => schedulerFlags[flag])),
      nice: scheduler.nice ?? 0,
      priority: scheduler.priority ?? 0,
      runtime: exact64(scheduler.runtime),
      deadline: exact64(scheduler.deadline),
      period: exact64(scheduler.period),
      from: '/process/scheduler',
      why: 'from outside, where the rights for it are; the program inherits it',
    });
  }
  if (ioPriority !== undefined) {
    steps.push({
      op: 'setIoPriority',
      value: (ioPriorityClasses[ioPriority.class] << IOPRIO_CLASS_SHIFT) | ioPriority.priority,
      from: '/process/ioPriority',
      why: 'from outside, where the rights for it are; the program inherits it',
    });
  }
  return steps;
}

/** Init's own: both are inherited by the program and can be set for oneself only. */
export function planExecutionDomain(linux: Linux): InitStep[] {
  const steps: InitStep[] = [];
  const { personality, memoryPolicy } = linux;
  if (personality !== undefined) {
    steps.push({
      op: 'setPersonality',
      persona: personalities[personality.domain],
      from: '/linux/personality',
      why: 'what uname(2) says, and how the kernel lays out memory',
    });
  }
  if (memoryPolicy !== undefined) {
    steps.push({
      op: 'setMemoryPolicy',
      mode: memoryPolicyModes[memoryPolicy.mode],
      flags: sum((memoryPolicy.flags ?? []).map((flag) => memoryPolicyFlags[flag])),
      nodes: evenWords(parseNumberList(memoryPolicy.nodes ?? '', NODE_MOST) ?? []),
      from: '/linux/memoryPolicy',
      why: 'the program inherits it; pages of init are placed already',
    });
  }
  return steps;
}

/** What `exec` does with process.execCPUAffinity: before its process is born in the container's cgroup, and after. */
export function planExecAffinity(affinity: CPUAffinity | undefined): { before: HostStep[]; after: HostStep[] } {
  const from = '/process/execCPUAffinity';
  const before: HostStep[] =
    affinity?.initial === undefined
      ? []
      : [
          {
            op: 'setAffinity',
            cpus: parseNumberList(affinity.initial, CPU_MOST) ?? [],
            own: 1,
            optional: 0,
            from: `${from}/initial`,
            why: 'of the runtime, from which the process inherits it until it stands in the cgroup',
          },
        ];
  const after: HostStep[] =
    affinity?.final === undefined
      ? [resetAffinity]
      : [
          {
            op: 'setAffinity',
            cpus: parseNumberList(affinity.final, CPU_MOST) ?? [],
            own: 0,
            optional: 0,
            from: `${from}/final`,
            why: 'of the process, once it stands in the cgroup',
          },
        ];
  return { before, after };
}

/** Linux 6.2 and later remember the mask of the caller over the move into a cgroup. */
const resetAffinity: SetAffinity = {
  op: 'setAffinity',
  cpus: [],
  own: 0,
  optional: 1,
  from: '',
  why: "all CPUs of its cgroup, not only those of the runtime's caller",
};

const sum = (bits: readonly number[]): number => bits.reduce((all, bit) => all | bit, 0);

/** The kernel reads masks in words of 64 bits. */
const evenWords = (words: readonly number[]): number[] => (words.length % 2 === 0 ? [...words] : [...words, 0]);

/** All bits set is what JSON numbers round up to 2^64. */
const exact64 = (value = 0): bigint | number => (value >= 2 ** 64 ? 2n ** 64n - 1n : value);
