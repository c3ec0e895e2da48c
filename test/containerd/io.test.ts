// What containers say, and hear: all of it, in order, and no container at the cost of another.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { scratch, until } from '../harness/index.ts';
import { ctr, mustCtr, nothingLeftOf, remove, run, runArguments, serve, shims, start, status, test } from './daemon.ts';

serve();

const peers = (shortcoming: string) => ({ runc: shortcoming, crun: shortcoming });

const ended = (child: ReturnType<typeof spawn>) => new Promise((resolve) => child.once('close', resolve));

test(
  '100 MB arrive byte for byte',
  async () => {
    // Each byte depends on its place: a piece that is lost, doubled or moved shows.
    const make = 'i=0; while [ $i -lt 100 ]; do printf "%01048575d\\n" $i; i=$((i+1)); done';
    const expected = createHash('sha256');
    for (let i = 0; i < 100; i++) expected.update(`${String(i).padStart(1048575, '0')}\n`);
    const client = spawn('ctr', runArguments('much', [], 'sh', '-c', make), { stdio: ['ignore', 'pipe', 'inherit'] });
    const hash = createHash('sha256');
    let size = 0;
    client.stdout.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      size += chunk.length;
    });
    expect(await ended(client)).toBe(0);
    expect(size).toBe(100 << 20);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
    await nothingLeftOf('much');
  },
  { timeout: 180_000 },
);

test(
  'a terminal loses nothing either',
  async () => {
    const make = 'stty -opost -echo; i=0; while [ $i -lt 2000 ]; do printf "%01023d\\n" $i; i=$((i+1)); done; read end';
    const command = `ctr ${runArguments('tty', ['--tty'], 'sh', '-c', `'${make}'`).join(' ')}`;
    const client = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let out = '';
    client.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await until('the last line came', () => out.includes('01999'), 60);
    client.stdin.end('\n');
    expect(await ended(client)).toBe(0);
    const lines = out.split(/\r?\n/).filter(Boolean);
    expect(lines).toEqual(Array.from({ length: 2000 }, (_, index) => String(index).padStart(1023, '0')));
    await nothingLeftOf('tty');
  },
  { timeout: 120_000 },
);

test(
  'stdin of many megabytes goes in, and its end ends what reads it',
  async () => {
    const client = spawn('ctr', runArguments('eats', [], 'wc', '-c'), { stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    client.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    client.stdin.end(Buffer.alloc(30_000_000, 'x'));
    expect(await ended(client)).toBe(0);
    expect(out.trim()).toBe('30000000');
    await nothingLeftOf('eats');
  },
  { timeout: 120_000 },
);

test('one whose reader has stopped does not stop others, and goes on when it reads again', async () => {
  const slow = spawn('ctr', runArguments('slow', [], 'sh', '-c', 'printf "%0400000d" 5; echo; echo done'), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await until('it runs', () => status('slow') === 'RUNNING', 20);
  slow.kill('SIGSTOP');
  expect(run('quick', [], 'echo', 'here')).toMatchObject({ code: 0, out: 'here\n' });
  expect(ctr('task', 'exec', '--exec-id=beside', 'slow', 'echo', 'beside').out).toBe('beside\n');
  slow.kill('SIGCONT');
  let out = '';
  slow.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  expect(await ended(slow)).toBe(0);
  expect([out.length, out.slice(-6)]).toEqual([400_006, '\ndone\n']);
  await nothingLeftOf('quick', 'slow');
});

test('a client that leaves does not end the container, and another can take its place', async () => {
  const first = spawn('ctr', runArguments('stays', [], 'sh', '-c', 'while :; do echo tick; sleep 0.05; done'), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => first.stdout.once('data', resolve));
  first.kill('SIGKILL');
  await ended(first);
  expect(status('stays')).toBe('RUNNING');
  const second = spawn('ctr', [...runArguments('', []).slice(0, 4), 'task', 'attach', 'stays'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  second.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await until('it is heard again', () => out.includes('tick'), 20);
  mustCtr('task', 'kill', '--signal=KILL', 'stays');
  await ended(second);
  ctr('task', 'rm', 'stays');
  mustCtr('container', 'rm', 'stays');
  await nothingLeftOf('stays');
});

test('a grandchild that keeps stdout open does not keep its container from being deleted', async () => {
  const options = [`--with-ns=pid:/proc/${process.pid}/ns/pid`];
  const { code, out } = run('leaves', options, 'sh', '-c', 'sleep 1000 & echo out');
  expect([code, out]).toEqual([0, 'out\n']);
  await nothingLeftOf('leaves');
});

test(
  'file:// takes both streams, after what is there',
  async () => {
    const file = join(scratch, 'logs/below/out.log');
    mkdirSync(join(scratch, 'logs/below'), { recursive: true });
    writeFileSync(file, 'before\n');
    start('to-file', [`--log-uri=file://${file}`], 'sh', '-c', 'echo one; echo two >&2');
    await until('it has stopped', () => status('to-file') === 'STOPPED', 15);
    remove('to-file');
    expect(readFileSync(file, 'utf8')).toBe('before\none\ntwo\n');
    await nothingLeftOf('to-file');
  },
  { except: peers('copies each stream by itself, in any order') },
);

test('binary:// starts a program that gets both streams, and waits until it is ready', async () => {
  const file = join(scratch, 'logger.log');
  const logger = join(scratch, 'logger');
  const script = `#!/bin/sh
echo "$CONTAINER_NAMESPACE $CONTAINER_ID $*" >${file}
exec 5>&-
cat <&3 >>${file} &
cat <&4 >>${file}
wait
`;
  writeFileSync(logger, script, { mode: 0o755 });
  start('to-logger', [`--log-uri=binary://${logger}?key=value`], 'sh', '-c', 'echo one; sleep 0.2; echo two >&2');
  await until('the logger has heard all', () => readFileSync(file, 'utf8').endsWith('two\n'), 20);
  expect(readFileSync(file, 'utf8')).toMatch(/^tsrun-test-\d+ to-logger key value\none\ntwo\n$/);
  remove('to-logger');
  await nothingLeftOf('to-logger');
});

test('with no stream at all the container runs on the null device', async () => {
  start('silent', ['--null-io'], 'sh', '-c', 'ls -l /proc/self/fd >/tmp/seen; sleep 1000');
  const seen = ctr('task', 'exec', '--exec-id=look', 'silent', 'cat', '/tmp/seen').out;
  expect(seen).toMatch(/0 -> \/dev\/null/);
  expect(seen).toMatch(/2 -> \/dev\/null/);
  expect(shims('silent').length).toBe(1);
  remove('silent');
  await nothingLeftOf('silent');
});
