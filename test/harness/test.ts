// `test` of vitest with two additions: what the host must have, and which runtimes an expectation is meant for.
import { type TestContext, test as vitestTest } from 'vitest';
import { differsByHost, type Requirement, whatIsMissing } from './host.ts';
import { type Family, runtime } from './runtime.ts';
import { slowness } from './wait.ts';

interface Needs {
  needs?: Requirement[];
  only?: Family[];
  // Peers that fall short, each with the shortcoming: it is shown, so that a wrong excuse can be found.
  except?: Partial<Record<Family, string>>;
  timeout?: number;
}

type Body = (t: TestContext) => void | Promise<void>;

// Runs what the excuses would skip: an excuse whose test passes is not needed. A peer that is known to be vulnerable is
// never tried, as the attack would succeed on this host.
const withoutExcuses = process.env['TSRUN_TEST_EXCUSES'] === '0';
const mustRun = process.env['TSRUN_MUST_RUN'] === '1';

export function test(name: string, body: Body): void;
export function test(name: string, needs: Needs, body: Body): void;
export function test(name: string, needsOrBody: Needs | Body, maybeBody?: Body): void {
  const needs = typeof needsOrBody === 'function' ? {} : needsOrBody;
  const body = typeof needsOrBody === 'function' ? needsOrBody : (maybeBody as Body);
  const { family } = runtime;

  const excuse =
    needs.except?.[family] ??
    (needs.only?.includes(family) === false ? `is about ${needs.only.join(' and ')}` : undefined);
  if (excuse !== undefined && (!withoutExcuses || excuse.includes('vulnerable'))) {
    vitestTest.skip(`${name} [not under ${family}: ${excuse}]`, body);
    return;
  }

  const required: Requirement[] = ['root', 'unified cgroups', ...(needs.needs ?? [])];
  const lacking = required.filter((requirement) => whatIsMissing(requirement) !== undefined);
  const missing = lacking.map(whatIsMissing);
  if (lacking.length === 0) {
    vitestTest(name, { timeout: (needs.timeout ?? 20_000) * slowness }, body);
  } else if (mustRun && !lacking.some(differsByHost)) {
    vitestTest(name, () => {
      throw new Error(`TSRUN_MUST_RUN=1 and this test cannot run: ${missing.join('; ')}`);
    });
  } else {
    vitestTest.skip(`${name} [skipped: ${missing.join('; ')}]`, body);
  }
}
