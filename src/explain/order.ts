// The two lists of a plan as one, in the order in which the steps happen.

import type { Report, Side } from '../execute/report.ts';
import type { Plan } from '../plan/plan.ts';
import type { Step } from '../plan/steps.gen.ts';
import type { UnitStep } from '../plan/unit.ts';

export interface Placed {
  readonly side: Side;
  /** In the list of its side. */
  readonly index: number;
  readonly step: Step | UnitStep;
  readonly answer: Answer | undefined;
}

/** What came of a step; undefined where nothing has been run, or where the run did not get so far. */
export interface Answer {
  readonly errno: number;
  readonly result: number;
  readonly nanoseconds: number;
}

export function inOrder(plan: Plan, report?: Report): Placed[] {
  const answers = new Map<string, Answer>();
  for (const done of report?.done ?? []) answers.set(`${done.side} ${done.step}`, { ...done, errno: 0 });
  if (report?.failed !== undefined) answers.set(`${report.failed.side} ${report.failed.step}`, report.failed);

  const placed: Placed[] = [];
  const place = (side: Side, index: number, step: Step | UnitStep) =>
    placed.push({ side, index, step, answer: answers.get(`${side} ${index}`) });
  let next = 0;
  const initUntil = (sync: number) => {
    for (let step = plan.init[next]; step !== undefined; step = plan.init[next]) {
      place('init', next++, step);
      if (step.op === 'sync' && step.sync === sync) return;
    }
  };
  // The engine does this one, and goes on to the others only when it is done.
  if (plan.cgroup?.unit !== undefined) {
    const answer = report === undefined ? undefined : { errno: 0, result: 0, nanoseconds: 0 };
    placed.push({ side: 'host', index: -1, step: plan.cgroup.unit, answer });
  }
  plan.host.forEach((step, index) => {
    // The host waits while init works up to the point, so init's steps come first.
    if (step.op === 'awaitInit') initUntil(step.sync);
    place('host', index, step);
  });
  initUntil(-1);
  return placed;
}
