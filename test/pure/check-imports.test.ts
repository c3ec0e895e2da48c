// The rule that guards the architecture is itself tested: a check that finds nothing looks like a tree that is clean.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const script = resolve(import.meta.dirname, '../../scripts/check-imports.mjs');

function check(files: Record<string, string>): { clean: boolean; told: string } {
  const src = mkdtempSync(join(tmpdir(), 'tsrun-imports-'));
  onTestFinished(() => rmSync(src, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(src, dirname(name)), { recursive: true });
    writeFileSync(join(src, name), text);
  }
  const { status, stderr } = spawnSync(process.execPath, [script, src], { encoding: 'utf8' });
  return { clean: status === 0, told: stderr };
}

const door = { 'linux/sys.ts': 'export const sys = 1;\n', 'linux/table.ts': 'export const table = 1;\n' };

test('imports to the left are allowed', () => {
  const files = { ...door, 'plan/a.ts': "import { table } from '../linux/table.ts';\nexport const a = table;\n" };
  expect(check(files)).toEqual({ clean: true, told: '' });
});

test('an import to the right is refused, with file and line', () => {
  const files = {
    'plan/a.ts': 'export const a = 1;\n',
    'spec/b.ts': "\nimport { a } from '../plan/a.ts';\nexport const b = a;\n",
  };
  expect(check(files)).toEqual({ clean: false, told: 'src/spec/b.ts:2: spec must not import plan (../plan/a.ts)\n' });
});

test('an import over several lines and a re-export are seen', () => {
  const files = {
    'plan/a.ts': 'export const a = 1;\nexport const b = 2;\n',
    'spec/b.ts':
      "import {\n  a,\n  b,\n} from '../plan/a.ts';\nexport { a as c } from '../plan/a.ts';\nexport const d = a + b;\n",
  };
  expect(check(files).told.split('\n')).toHaveLength(3);
});

test('the plan must not reach the door of the kernel, not even through a folder that it may import', () => {
  const files = {
    ...door,
    'cgroup/host.ts': "import { sys } from '../linux/sys.ts';\nexport const mode = sys;\n",
    'plan/a.ts': "import { mode } from '../cgroup/host.ts';\nexport const a = mode;\n",
  };
  expect(check(files)).toEqual({
    clean: false,
    told: 'src/plan/a.ts: plan never asks the host, but imports src/cgroup/host.ts → src/linux/sys.ts\n',
  });
});

test('the type of the door is no door', () => {
  const files = { ...door, 'plan/a.ts': "import type { sys } from '../linux/sys.ts';\nexport type A = typeof sys;\n" };
  expect(check(files).clean).toBe(true);
});

test('Node is for src/node only', () => {
  const files = {
    'state/a.ts': "import { readFileSync } from 'node:fs';\n",
    'node/b.ts': "import { readFileSync } from 'node:fs';\n",
  };
  expect(check(files).told).toBe('src/state/a.ts:1: imports node:fs, but only src/node/ may use Node\n');
});

test('a folder that the table does not know is refused', () => {
  expect(check({ 'stray/a.ts': 'export {};\n' }).told).toContain('stray is not in the table');
});
