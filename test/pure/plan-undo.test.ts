// A run that stops after any step of the host's can be taken back, and nothing else is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HostStep } from '../../src/plan/steps.gen.ts';
import { removeCgroup, undoOf } from '../../src/plan/undo.ts';
import { all, everything, planOf, sample } from './plan-samples.ts';

/** What src/execute/execute.ts does after a failure at step `reached`, with these answers of the steps before. */
const undo = (
  plan: { host: readonly HostStep[]; cgroup: Parameters<typeof undoOf>[1]['cgroup'] },
  reached: number,
  made: (index: number) => number,
) =>
  plan.host
    .slice(0, reached)
    .flatMap((step, index) => undoOf(step, plan, made(index)))
    .reverse();

describe('undoing', () => {
  test('removes every directory that was made, innermost first, and none that was there before', () => {
    fc.assert(
      fc.property(
        sample,
        fc.nat(),
        fc.array(fc.boolean(), { minLength: 200, maxLength: 200 }),
        ({ plan }, cut, answers) => {
          const reached = cut % (plan.host.length + 1);
          const made = (index: number) => (answers[index % answers.length] === true ? 1 : 0);
          const removed = all(undo(plan, reached, made), 'removeDir').map(({ path }) => path);
          const wanted = plan.host.slice(0, reached).flatMap((step, index) => {
            const makes = step.op === 'makeDir' || step.op === 'makeResctrlGroup';
            return makes && made(index) === 1 ? [step.path] : [];
          });
          expect(removed).toEqual(wanted.toReversed());
        },
      ),
    );
  });

  test('takes back the gate, and the processes of the cgroup before its directory, after every prefix', () => {
    fc.assert(
      fc.property(sample, ({ plan }) => {
        for (let reached = 0; reached <= plan.host.length; reached++) {
          const tried = plan.host.slice(0, reached);
          const steps = undo(plan, reached, () => 1);
          expect(all(steps, 'removeFile').map(({ path }) => path)).toEqual(
            all(tried, 'openGate').map(({ path }) => path),
          );
          expect(all(steps, 'killCgroup').map(({ path }) => path)).toEqual(
            all(tried, 'openCgroup').map(({ path }) => path),
          );
          const kill = steps.findIndex(({ op }) => op === 'killCgroup');
          const remove = steps.findIndex((step) => step.op === 'removeDir' && step.path === plan.cgroup?.path);
          if (kill >= 0) expect(kill).toBeLessThan(remove);
        }
      }),
    );
  });

  test('goes below a directory only where it is that of the container, whose cgroups may hold others', () => {
    const plan = planOf(everything(), { gate: '/run/tsrun/box/gate' });
    const steps = undo(plan, plan.host.length, () => 1);
    expect(steps.map((step) => ('path' in step ? `${step.op} ${step.path}` : step.op))).toEqual([
      'removeFile /run/tsrun/box/gate',
      'removeDir /sys/fs/resctrl/gold/mon_groups/box',
      'removeDir /sys/fs/resctrl/gold',
      'killCgroup /sys/fs/cgroup/group/box',
      'removeDir /sys/fs/cgroup/group/box',
      'removeDir /sys/fs/cgroup/group',
    ]);
    expect(all(steps, 'removeDir').map(({ below }) => below)).toEqual([0, 0, 1, 0]);
  });

  test('does nothing for a directory that somebody else made', () => {
    const plan = planOf(everything());
    expect(
      all(
        undo(plan, plan.host.length, () => 0),
        'removeDir',
      ),
    ).toEqual([]);
  });
});

describe('delete', () => {
  test('kills what is left in the cgroup and removes what the run had made, innermost first', () => {
    const steps = removeCgroup('/cg/a/b', ['/cg/a', '/cg/a/b']);
    expect(steps.map((step) => ('path' in step ? `${step.op} ${step.path}` : step.op))).toEqual([
      'killCgroup /cg/a/b',
      'removeDir /cg/a/b',
      'removeDir /cg/a',
    ]);
    expect(all(steps, 'removeDir').map(({ below }) => below)).toEqual([1, 0]);
  });

  test('keeps a cgroup that the run had found', () => {
    expect(removeCgroup('/cg/a', []).map(({ op }) => op)).toEqual(['killCgroup']);
  });

  test('does not change the record that it is given', () => {
    const made = ['/cg/a', '/cg/a/b'];
    removeCgroup('/cg/a/b', made);
    expect(made).toEqual(['/cg/a', '/cg/a/b']);
  });
});
