// Broken programs: given to both readers under sanitizers, and to tsrun-init itself. Nothing of them may run.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { encode } from '../../src/execute/encode.ts';
import { decodeReport } from '../../src/execute/report.ts';
import { layouts, planVersion, type Step } from '../../src/plan/steps.gen.ts';
import { expect, projectDir, scratch, test } from '../harness/index.ts';
import { everything, everythingAsRoot, helloConfig, joined, planOf, templateConfig } from '../pure/plan-samples.ts';

const tsrunOnly = { only: ['tsrun' as const] };
const MAGIC = 0x50525354;
const SECONDS = Number(process.env['TSRUN_FUZZ_SECONDS'] ?? 5);

interface Header {
  magic: number;
  version: number;
  words: number;
  pool: number;
  blob: number;
  strings: number;
  steps: number;
}

/** What launch sends to init: native/plan/program.h. */
function programOf(steps: readonly Step[], change: Partial<Header> = {}): Buffer {
  const { words, pool, blob } = encode(steps);
  const header: Header = {
    magic: MAGIC,
    version: planVersion,
    words: words.length,
    pool: Buffer.byteLength(pool),
    blob: blob.length,
    strings: pool.split('\0').length - 1,
    steps: steps.length,
    ...change,
  };
  const { magic, version, strings } = header;
  const head = [
    magic,
    version,
    header.words,
    header.pool,
    header.blob,
    strings,
    header.steps,
    0,
    -1 >>> 0,
    0,
    -1 >>> 0,
  ];
  return Buffer.concat([
    Buffer.from(Uint32Array.from(head).buffer),
    Buffer.from(words.buffer, words.byteOffset, words.byteLength),
    Buffer.from(pool),
    blob,
  ]);
}

test('neither reader reads past a program, or takes a broken one, whatever is sent (under sanitizers)', {
  ...tsrunOnly,
  timeout: 120_000,
}, () => {
  const folder = join(scratch, 'fuzz');
  mkdirSync(folder, { recursive: true });
  const plans = [
    helloConfig(),
    templateConfig(),
    templateConfig(true),
    joined(),
    everything(),
    everythingAsRoot(),
  ].flatMap((config) => {
    const { host, init } = planOf(config, { gate: '/gate' });
    return [init, host];
  });
  const files = plans.map((steps, index) => {
    const file = join(folder, `program-${index}`);
    writeFileSync(file, programOf(steps));
    return file;
  });
  const seed = process.env['TSRUN_FUZZ_SEED'] ?? '1';
  const run = spawnSync(join(projectDir, 'scripts/fuzz-init'), [String(SECONDS), seed, ...files], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  const counts = JSON.parse(run.stdout) as Record<string, number>;
  // Each plan is read by its own side, and by no other, unless it has only steps that both know.
  expect(counts).toMatchObject({ files: 12, filesAccepted: 6 });
  for (const count of ['accepted', 'refused', 'cutOff', 'hostAccepted'])
    expect(counts[count], count).toBeGreaterThan(0);
  expect(counts['tried']).toBeGreaterThan(SECONDS * 2000);
});

interface Answer {
  readonly bytes: Buffer;
  readonly code: number | null;
  readonly signal: string | null;
}

/** Sends bytes to tsrun-init at descriptor 3 and closes that side, unless `open`. */
async function tell(program: Buffer, open = false): Promise<Answer> {
  const init = spawn(join(projectDir, 'build/Release/tsrun-init'), ['3'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const control = init.stdio[3] as unknown as Socket;
  const pieces: Buffer[] = [];
  control.on('data', (piece: Buffer) => pieces.push(piece));
  // Init may be gone before it has read all: that is its right with a program that is wrong from the start.
  control.on('error', () => undefined);
  if (open) control.write(program);
  else control.end(program);
  const [code, signal] = await new Promise<[number | null, string | null]>((done) => {
    init.on('close', (...end) => done(end));
  });
  return { bytes: Buffer.concat(pieces), code, signal };
}

function expectRefused({ bytes, code, signal }: Answer, step?: number): void {
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  const { done, failed } = decodeReport(bytes);
  expect(done).toEqual([]);
  expect(failed).toMatchObject({
    broken: true,
    side: 'init',
    errno: 71,
    call: '',
    ...(step === undefined ? {} : { step }),
  });
}

const awaitStart: Step = { op: 'awaitStart', from: '', why: 'a test' };
const changeDir: Step = { op: 'changeDir', path: '/', last: 0, from: '', why: 'a test' };
/** A good step in front: it would be reported if it had been run. */
const failing: Step = { op: 'changeDir', path: '/nowhere', last: 1, from: '', why: 'a test' };
const unknown = { op: 'newSession' } as Step;

function withCode(program: Buffer, words: number, code: number): Buffer {
  const changed = Buffer.from(program);
  changed.writeUInt32LE(code, 44 + words * 4);
  return changed;
}

test('tsrun-init refuses a program of another version, or of no version', tsrunOnly, async () => {
  expectRefused(await tell(programOf([failing], { version: planVersion + 1 })));
  expectRefused(await tell(programOf([failing], { version: 0 })));
  expectRefused(await tell(programOf([failing], { magic: 0 })));
});

test('tsrun-init refuses sizes beyond its bounds before it takes memory for them', tsrunOnly, async () => {
  for (const change of [
    { words: 2 ** 32 - 1 },
    { pool: 2 ** 32 - 1 },
    { blob: 2 ** 32 - 1 },
    { strings: 2 ** 32 - 1 },
    { steps: 2 ** 32 - 1 },
  ])
    expectRefused(await tell(programOf([failing], change), true));
});

test('tsrun-init runs nothing of a program whose last step is broken', tsrunOnly, async () => {
  const good = programOf([failing, unknown]);
  const last = encode([failing]).words.length;
  expectRefused(await tell(withCode(good, last, 4_000_000_000)), 1);
  expectRefused(await tell(withCode(good, last, 0)), 1);
  expectRefused(await tell(withCode(good, last, layouts.makeDir.code)), 1);
  expectRefused(await tell(withCode(good, last + 1, 1)), 1);
});

test('tsrun-init runs nothing of a program with something left over, or missing', tsrunOnly, async () => {
  expectRefused(await tell(programOf([failing], { steps: 0 })), 0);
  expectRefused(await tell(programOf([failing], { steps: 2 })), 1);
  expectRefused(await tell(programOf([failing, changeDir], { steps: 1 })), 1);
  const nul: Step = { op: 'changeDir', path: '/nowhere\0/', last: 1, from: '', why: 'a test' };
  expectRefused(await tell(programOf([nul])), 1);
});

test('tsrun-init does run a good program, so that the refusals above mean something', tsrunOnly, async () => {
  const { bytes, code } = await tell(programOf([changeDir, failing]));
  expect(code).toBe(1);
  expect(decodeReport(bytes).failed).toMatchObject({
    broken: false,
    step: 1,
    errno: 2,
    call: 'chdir',
    object: '/nowhere',
  });
});

test('tsrun-init ends when its host side does, at any byte of the program and at the gate', tsrunOnly, async () => {
  const program = programOf([changeDir, awaitStart]);
  for (let size = 0; size <= program.length; size += size < program.length - 8 ? 7 : 1) {
    const { code, bytes, signal } = await tell(program.subarray(0, size));
    expect({ code, signal, bytes: bytes.length }, `after ${size} bytes`).toEqual({ code: 1, signal: null, bytes: 0 });
  }
});

test('tsrun-init refuses to start without a socket to its host side', tsrunOnly, () => {
  const init = join(projectDir, 'build/Release/tsrun-init');
  expect(existsSync(init)).toBe(true);
  for (const args of [[], [''], ['x'], ['-1'], ['99'], ['99999999999']]) {
    const { status, signal, stdout, stderr } = spawnSync(init, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect({ args, status, signal, stdout, stderr }).toEqual({ args, status: 1, signal: null, stdout: '', stderr: '' });
  }
});
