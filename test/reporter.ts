// Counts the tests of one `vitest run`. scripts/test adds up those of all levels; a run by hand prints its own.
import { appendFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

function count(modules: readonly TestModule[], unhandledErrors: number): Counts {
  // An error outside of every test fails the run; it must not hide behind "0 failed".
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      counts[state === 'pending' ? 'failed' : state] += 1;
    }
  }
  return counts;
}

export default class ClosingLine implements Reporter {
  private line = '';

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const { passed, failed, skipped } = count(modules, unhandledErrors.length);
    this.line = `${passed} passed, ${failed} failed, ${skipped} skipped`;
    const tally = process.env['TSRUN_TEST_TALLY'];
    if (tally !== undefined) appendFileSync(tally, `${passed} ${failed} ${skipped}\n`);
    // Written at exit: the other reporter's last words come later than this moment.
    else process.once('exit', () => console.log(this.line));
  }
}
