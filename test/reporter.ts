// Counts the tests of one `vitest run`, and keeps the words of those that failed. scripts/test adds up those of all
// levels; a run by hand prints its own count.
import { appendFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** How much of an error scripts/test tells again at its end, in lines: an end that is read first must hold the reason. */
const linesOfAnError = 40;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Failure {
  where: string;
  errors: readonly { message: string; stack?: string | undefined }[];
}

/** An error outside of every test fails the run; it must not hide behind "0 failed". */
function failuresOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Failure[] {
  const failures: Failure[] = unhandled.map((error) => ({ where: 'outside of every test', errors: [error] }));
  for (const module of modules) {
    const file = `${module.project.name} ${module.relativeModuleId}`;
    failures.push(...module.errors().map((error) => ({ where: file, errors: [error] })));
    for (const test of module.children.allTests()) {
      const { state, errors } = test.result();
      if (state === 'failed' || state === 'pending')
        failures.push({ where: `${file} > ${test.fullName}`, errors: errors ?? [] });
    }
  }
  return failures;
}

function count(modules: readonly TestModule[], failed: number): Counts {
  const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
  return {
    passed: states.filter((state) => state === 'passed').length,
    failed,
    skipped: states.filter((state) => state === 'skipped').length,
  };
}

/** Lines of a tally that are no counts begin with `!`. */
function told({ where, errors }: Failure): string {
  const lines = errors.flatMap(({ message, stack }) => [
    ...message.split('\n'),
    ...(stack ?? '').split('\n').slice(1, 4),
  ]);
  return [`FAILED: ${where}`, ...lines.slice(0, linesOfAnError).map((line) => `    ${line}`)]
    .map((line) => `!${line}\n`)
    .join('');
}

export default class ClosingLine implements Reporter {
  private line = '';

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const failures = failuresOf(modules, unhandled);
    const { passed, failed, skipped } = count(modules, failures.length);
    this.line = `${passed} passed, ${failed} failed, ${skipped} skipped`;
    const tally = process.env['TSRUN_TEST_TALLY'];
    if (tally !== undefined) appendFileSync(tally, `${failures.map(told).join('')}${passed} ${failed} ${skipped}\n`);
    // Written at exit: the other reporter's last words come later than this moment.
    else process.once('exit', () => console.log(this.line));
  }
}
