// A plan in; a container process out, or an error and nothing left.

import { stepError } from '../errors.ts';
import { sys } from '../linux/sys.ts';
import type { Plan } from '../plan/plan.ts';
import type { HostStep, InitStep, Step } from '../plan/steps.gen.ts';
import { undoOf } from '../plan/undo.ts';
import { encode } from './encode.ts';
import { decodeReport, type Report, type StepFailed } from './report.ts';

/** Looks at what happened, step by step: for `--trace`. Told of a failure by execute, of success by its caller. */
export type Observer = (plan: Plan, report: Report) => void;

/**
 * Runs a plan up to the gate. On success init waits there, and the report has its pid and descriptors.
 * @throws {TsrunError} naming step, system call, errno and field; what the steps before had made is undone.
 */
export function execute(plan: Plan, observe?: Observer): Report {
  const host = encode(plan.host);
  const init = encode(plan.init);
  const traced = observe === undefined ? 0 : 1;
  const report = decodeReport(sys.execute(host.words, host.pool, host.blob, init.words, init.pool, init.blob, traced));
  if (report.failed === undefined) return report;
  observe?.(plan, report);
  // The last step that was tried: on init's failure, the host side stood waiting for it.
  const reached = report.failed.side === 'host' ? report.failed.step : plan.host.length;
  runHostSteps(
    plan.host
      .slice(0, reached)
      .flatMap((step, index) => undoOf(step, plan, resultOf(report, index)))
      .reverse(),
  );
  throw failure(plan, report.failed);
}

/** Runs host steps that start no process; the first that failed, by its index in the list. Undoing goes on after a failure, so each step is a program of its own. */
export function runHostSteps(steps: readonly HostStep[]): StepFailed | undefined {
  let failed: StepFailed | undefined;
  for (const [index, step] of steps.entries()) {
    const { words, pool, blob } = encode([step]);
    const report = decodeReport(sys.execute(words, pool, blob, new Uint32Array(0), '', new Uint8Array(0), 0));
    // In a program of its own each step is the first.
    if (report.failed !== undefined) failed ??= { ...report.failed, step: index };
  }
  return failed;
}

/** Directories that the plan made and that were not there before, outermost first. */
export function madeDirectories(plan: Plan, report: Report): string[] {
  return plan.host.flatMap((step, index) =>
    step.op === 'makeDir' && resultOf(report, index) === 1 ? [step.path] : [],
  );
}

const resultOf = (report: Report, index: number): number =>
  report.done.find((entry) => entry.side === 'host' && entry.step === index)?.result ?? 0;

/** The error for a step that failed while the plan ran, or after the gate. */
export function failure(
  plan: { readonly host: readonly HostStep[]; readonly init: readonly InitStep[] },
  failed: StepFailed,
): Error {
  const list: readonly Step[] = failed.side === 'host' ? plan.host : plan.init;
  return stepError(list[failed.step], failed);
}
