// What the parts of process.scheduler and linux.memoryPolicy say about each other.

import type { Report } from './report.ts';
import type { Spec } from './types.ts';

const isRealtime = (policy: string): boolean => policy === 'SCHED_FIFO' || policy === 'SCHED_RR';

/** Which parameter belongs to which policy: sched(7). */
export function checkScheduler(spec: Spec, report: Report): void {
  const scheduler = spec.process?.scheduler;
  if (scheduler === undefined) return;
  const { policy, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  const at = '/process/scheduler';
  if (isRealtime(policy)) {
    if (priority === 0) report.at(`${at}/priority`, `a priority from 1 to 99 for ${policy}`, scheduler.priority);
  } else if (priority !== 0) {
    report.at(`${at}/priority`, `(nothing) for ${policy}: only SCHED_FIFO and SCHED_RR have priorities`, priority);
  }
  if (policy !== 'SCHED_DEADLINE') {
    for (const field of ['runtime', 'deadline', 'period'] as const) {
      if (!scheduler[field]) continue;
      report.at(`${at}/${field}`, `(nothing) for ${policy}: only SCHED_DEADLINE has it`, scheduler[field]);
    }
    return;
  }
  if (runtime === 0) report.at(`${at}/runtime`, 'nanoseconds for SCHED_DEADLINE', scheduler.runtime);
  if (deadline < runtime) report.at(`${at}/deadline`, `at least the runtime, ${runtime}`, scheduler.deadline);
  if (period !== 0 && period < deadline) report.at(`${at}/period`, `at least the deadline, ${deadline}`, period);
}

/** Modes that name no nodes, and modes that must: set_mempolicy(2). */
export function checkMemoryPolicy(spec: Spec, report: Report): void {
  const policy = spec.linux.memoryPolicy;
  if (policy === undefined) return;
  const { mode, nodes, flags = [] } = policy;
  const at = '/linux/memoryPolicy';
  const namesNone = mode === 'MPOL_DEFAULT' || mode === 'MPOL_LOCAL';
  if (namesNone && nodes !== undefined) report.at(`${at}/nodes`, `(nothing) for ${mode}`, nodes);
  if (!namesNone && mode !== 'MPOL_PREFERRED' && nodes === undefined)
    report.at(`${at}/nodes`, `a list of NUMA nodes for ${mode}`, nodes);
  if (namesNone && flags.length > 0) report.at(`${at}/flags`, `(nothing) for ${mode}`, flags);
  if (flags.includes('MPOL_F_STATIC_NODES') && flags.includes('MPOL_F_RELATIVE_NODES'))
    report.at(`${at}/flags`, 'not both MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES', flags);
  if (flags.includes('MPOL_F_NUMA_BALANCING') && mode !== 'MPOL_BIND' && mode !== 'MPOL_PREFERRED_MANY')
    report.at(`${at}/flags`, `MPOL_F_NUMA_BALANCING only beside MPOL_BIND and MPOL_PREFERRED_MANY`, flags);
}
