// The executor, through the addon for Node, given programs that no encoder would make: it says so, and runs none of it.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encode, type Streams } from '../../src/execute/encode.ts';
import { decodeReport, type Report } from '../../src/execute/report.ts';
import type { Sys } from '../../src/linux/sys.gen.ts';
import { type HostStep, layouts, type StepName } from '../../src/plan/steps.gen.ts';

const addon = createRequire(import.meta.url)('../../dist/tsrun.node') as Pick<Sys, 'execute'>;
const EPROTO = 71;

const folder = mkdtempSync(join(tmpdir(), 'wire-executor-'));
afterAll(() => rmSync(folder, { recursive: true }));

const none: Streams = { words: new Uint32Array(0), pool: '', blob: new Uint8Array(0) };
const execute = (host: Streams, traced = 0): Report =>
  decodeReport(addon.execute(host.words, host.pool, host.blob, none.words, none.pool, none.blob, traced));
const program = (words: readonly number[], pool = '', blob = new Uint8Array(0)): Streams => ({
  words: Uint32Array.from(words),
  pool,
  blob,
});
const makeDir = (name: string): HostStep => ({
  op: 'makeDir',
  path: join(folder, name),
  mode: 0o700,
  from: '',
  why: 'a test',
});
const made = (): string[] => readdirSync(folder).toSorted();

const expectBroken = (streams: Streams, step: number) => {
  const before = made();
  const report = execute(streams);
  expect(report.failed).toMatchObject({ broken: true, side: 'host', step, errno: EPROTO, call: '', object: '' });
  expect(report).toMatchObject({ done: [], pid: 0, pidfd: undefined, control: undefined });
  expect(made()).toEqual(before);
};

const { code } = layouts.makeDir;
const path = join(folder, 'x');

describe('the executor', () => {
  test('runs what the encoder makes, and tells what came of it', () => {
    expect(execute(encode([makeDir('a'), makeDir('b')])).done.map(({ step, result }) => [step, result])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(made()).toEqual(['a', 'b']);
    expect(execute(encode([makeDir('a')])).done).toEqual([]);
    const traced = execute(encode([makeDir('a')]), 1).done;
    expect(traced).toMatchObject([{ side: 'host', step: 0, result: 0 }]);
    expect(traced[0]?.nanoseconds).toBeGreaterThan(0);
  });

  test('names call, object and errno of a step that fails, and runs none after it', () => {
    const report = execute(encode([makeDir('c'), makeDir('none/inside'), makeDir('d')]));
    expect(report.failed).toMatchObject({
      broken: false,
      step: 1,
      errno: 2,
      call: 'mkdir',
      object: join(folder, 'none/inside'),
    });
    expect(report.done).toMatchObject([{ step: 0, result: 1 }]);
    expect(made()).toEqual(['a', 'b', 'c']);
  });

  test('does nothing for an empty program', () => {
    expect(execute(none)).toMatchObject({ done: [], failed: undefined, pid: 0 });
  });
});

describe('the executor finds broken, and does not run,', () => {
  const initOnly = (Object.keys(layouts) as StepName[]).filter((op) => layouts[op].code > layouts.runHook.code);

  test.each<[string, Streams]>([
    ['a step with code 0', program([0, 0])],
    ['a step with a code that nobody has', program([4000000000, 0])],
    ['a code without a length', program([code])],
    ['a step whose length is too short', program([code, 0, 0o700], `${path}\0`)],
    ['a step whose length is too long', program([code, 2, 0o700], `${path}\0`)],
    ['a step whose length takes the next one along', program([code, 4, 0o700, code, 1, 0o700], `${path}\0${path}\0`)],
    ['a step whose length is that of the address space', program([code, 0xffffffff, 0o700], `${path}\0`)],
    ['a step without its fields', program([code, 1], `${path}\0`)],
    ['a step without its string', program([code, 1, 0o700])],
    ['a string without its end', program([code, 1, 0o700], path)],
    ['a list without its strings', program([layouts.runHook.code, 4, 2, 0, 0, 0], '/bin/true\0a\0')],
    ['a list that is longer than memory', program([layouts.runHook.code, 4, 0xffffffff, 0, 0, 0], '/bin/true\0a\0')],
    ['a list as long as all there is', program([layouts.runHook.code, 4, 7, 0, 0, 0], '/bin/true\0a\0')],
    ['bytes that are not there', program([layouts.attachDeviceFilter.code, 1, 8])],
    ['bytes without end', program([layouts.attachDeviceFilter.code, 1, 0xffffffff], '', new Uint8Array(16))],
    ['a string too many', program([code, 1, 0o700], `${path}\0left\0`)],
    ['a byte too many', program([code, 1, 0o700], `${path}\0`, new Uint8Array(1))],
  ])('%s', (_, streams) => {
    expectBroken(
      streams,
      streams.words.length === 3 && streams.pool.includes('left') ? 1 : streams.blob.length === 1 ? 1 : 0,
    );
  });

  test.each(initOnly)('a step that is for init: %s', (op) => {
    const fields = layouts[op].fields.map(([, type]) => type);
    const words = fields.flatMap((type) => (type === 'str' ? [] : type === 'u64' ? [0, 0] : [0]));
    const pool = fields.map((type) => (type === 'str' ? '\0' : '')).join('');
    expectBroken(program([layouts[op].code, words.length, ...words], pool), 0);
  });

  test('the good steps that stand before a broken one', () => {
    const { words, pool } = encode([makeDir('before')]);
    expectBroken(program([...words, 0, 0], pool), 1);
  });

  test('a program in which a string has a NUL, which shifts all others', () => {
    expectBroken(encode([makeDir('x\0y')]), 1);
    expectBroken(encode([makeDir('x\0y'), makeDir('z')]), 2);
    expectBroken(encode([makeDir('\0')]), 1);
  });

  test('a program of random words', () => {
    const word = fc.oneof(fc.nat(80), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    // Steps that need no string do something, whatever their words are: they are known by their codes.
    const harmful = [
      layouts.launch.code,
      layouts.setRlimit.code,
      layouts.setOomScoreAdj.code,
      layouts.attachDeviceFilter.code,
    ];
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), fc.uint8Array({ maxLength: 8 }), (words, blob) => {
        fc.pre(words.length > 0 && !harmful.includes(words[0] ?? 0));
        const { failed } = execute(program(words, '', blob));
        expect(failed).toBeDefined();
      }),
      { numRuns: 3000 },
    );
  });

  test('a good program that is cut anywhere, or in which a code or a length is another', () => {
    const file = (name: string): HostStep => ({ op: 'removeFile', path: join(folder, name), from: '', why: 'a test' });
    const { words, pool, blob } = encode([file('a'), file('b'), makeDir('a')]);
    const isBroken = (streams: Streams) => execute(streams).failed?.broken === true;
    for (let end = 0; end < pool.length; end++) expect(isBroken({ words, pool: pool.slice(0, end), blob })).toBe(true);
    for (let end = 0; end < words.length; end++)
      expect(isBroken({ words: words.slice(0, end), pool, blob })).toBe(true);
    const heads = [0, 1, 2, 3, 4, 5];
    fc.assert(
      fc.property(fc.constantFrom(...heads), fc.integer({ min: 100, max: 2 ** 32 - 1 }), (at, value) => {
        const changed = words.slice();
        changed[at] = value;
        expect(isBroken({ words: changed, pool, blob })).toBe(true);
      }),
    );
  });
});
