// Whole plans as text, to be read and reviewed. After a wanted change: UPDATE=1 npx vitest run --project pure plan-golden
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { explainText } from '../../src/explain/render.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { everything, everythingAsRoot, helloConfig, joined, planOf, templateConfig } from './plan-samples.ts';

const folder = join(import.meta.dirname, 'golden');

const plans: Readonly<Record<string, () => Plan>> = {
  hello: () => planOf(helloConfig()),
  'spec template': () => planOf(templateConfig(), { gate: '/run/tsrun/box/gate' }),
  'user namespace': () => planOf(templateConfig(true), {}, { cgroup: undefined, euid: 1000 }),
  'joined namespaces': () => planOf(joined()),
  everything: () => planOf(everything(), { gate: '/run/tsrun/box/gate', preserveFds: 2 }),
  'everything as root': () =>
    planOf(everythingAsRoot(), { noPivot: true, noNewKeyring: true }, { kernelMounts: ['/proc', '/sys'] }),
};

describe('the plan', () => {
  test.each(Object.entries(plans))('of %s is the one in its golden file', (name, make) => {
    const file = join(folder, `${name.replaceAll(' ', '-')}.txt`);
    const text = explainText(make());
    if (process.env['UPDATE'] === '1') {
      mkdirSync(folder, { recursive: true });
      writeFileSync(file, text);
    }
    expect(existsSync(file), `${file} is missing: make it with UPDATE=1`).toBe(true);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });
});
