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

interface Finding {
  how: 'FAILED' | 'PASSED AT THE SECOND TRY';
  where: string;
  errors: readonly { message: string; stack?: string | undefined }[];
}

const failed = (where: string, error: SerializedError): Finding => ({ how: 'FAILED', where, errors: [error] });

/** An error outside of every test fails the run; it must not hide behind "0 failed". */
function findingsOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Finding[] {
  const findings = unhandled.map((error) => failed('outside of every test', error));
  for (const module of modules) {
    const file = `${module.project.name} ${module.relativeModuleId}`;
    findings.push(...module.errors().map((error) => failed(file, error)));
    for (const test of module.children.allTests()) {
      const { state, errors } = test.result();
      const how = state === 'failed' || state === 'pending' ? 'FAILED' : 'PASSED AT THE SECOND TRY';
      if (how === 'FAILED' || test.diagnostic()?.flaky === true)
        findings.push({ how, where: `${file} > ${test.fullName}`, errors: errors ?? [] });
    }
  }
  return findings;
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
function told({ how, where, errors }: Finding): string {
  const lines = errors.flatMap(({ message, stack }) => [
    ...String(message ?? '').split('\n'),
    ...(stack ?? '').split('\n').slice(1, 4),
  ]);
  return [`${how}: ${where}`, ...lines.slice(0, linesOfAnError).map((line) => `    ${line}`)]
    .map((line) => `!${line}\n`)
    .join('');
}

export default class ClosingLine implements Reporter {
  private line = '';

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const findings = findingsOf(modules, unhandled);
    const counts = count(modules, findings.filter(({ how }) => how === 'FAILED').length);
    const { passed, skipped } = counts;
    this.line = `${passed} passed, ${counts.failed} failed, ${skipped} skipped`;
    const tally = process.env['TSRUN_TEST_TALLY'];
    if (tally !== undefined)
      appendFileSync(tally, `${findings.map(told).join('')}${passed} ${counts.failed} ${skipped}\n`);
    // Written at exit: the other reporter's last words come later than this moment.
    else process.once('exit', () => console.log(this.line));
  }
}
