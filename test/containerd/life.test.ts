// The shim's own life: who it serves, what it survives, what is left when it does not, and what it costs.
import { connect } from 'node:net';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { expect } from 'vitest';
import { parentOf } from '../harness/parents.ts';
import { until } from '../harness/index.ts';
import { listen } from './listener.ts';
import {
  ctr,
  daemonPid,
  fdsOf,
  leftOf,
  memoryOf,
  mustCtr,
  nothingLeftOf,
  pidOf,
  remove,
  runArguments,
  serve,
  shims,
  socket,
  socketOf,
  start,
  startDaemon,
  status,
  stopDaemon,
  test,
} from './daemon.ts';

serve();

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test(
  "its socket is for root alone, and its score one more than containerd's",
  async () => {
    start('own', [], 'sleep', '1000');
    const [shim = 0] = shims('own');
    expect(statSync(socketOf('own')).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(socketOf('own'))).mode & 0o777).toBe(0o700);
    const score = (pid: number) => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'));
    expect(score(shim)).toBe(Math.min(1000, score(daemonPid()) + 1));
    expect(parentOf(pidOf('own'))).toBe(shim);
    remove('own');
    await nothingLeftOf('own');
  },
  { except: { runc: 'makes the directory 0711', crun: 'makes the directory 0711' } },
);

test(
  "its only open files are what it needs, and its directory is nobody's bundle",
  async () => {
    start('tidy', ['--null-io'], 'sleep', '1000');
    const [shim = 0] = shims('tidy');
    expect(fdsOf(shim).slice(0, 2)).toEqual(['/dev/null', '/dev/null']);
    expect(readlinkSync(`/proc/${shim}/cwd`)).toBe('/');
    remove('tidy');
    await nothingLeftOf('tidy');
  },
  { except: { runc: 'stays in the bundle', crun: 'stays in the bundle' } },
);

test(
  'kill -9 of the shim: containerd notices, and nothing is left',
  async () => {
    start('orphan', [], 'sh', '-c', 'sleep 1000 & sleep 1000');
    const pid = pidOf('orphan');
    for (const shim of shims('orphan')) process.kill(shim, 'SIGKILL');
    await until('its process is gone', () => !alive(pid), 20);
    await until('containerd has cleaned up', () => status('orphan') === undefined, 20);
    mustCtr('container', 'rm', 'orphan');
    await nothingLeftOf('orphan');
    // A shim that is killed cannot remove its socket; the next of that name takes its place.
    start('orphan', [], 'sleep', '1000');
    expect(status('orphan')).toBe('RUNNING');
    remove('orphan');
    await nothingLeftOf('orphan');
  },
  { except: { runc: 'leaves its socket', crun: 'leaves its socket' } },
);

test('after SIGTERM to the shim its container can be removed as ever', async () => {
  start('told', [], 'sleep', '1000');
  for (const shim of shims('told')) process.kill(shim, 'SIGTERM');
  remove('told');
  await nothingLeftOf('told');
});

test(
  'tasks run on while containerd is away, are found again, and end as ever',
  async () => {
    start('runs', [], 'sh', '-c', 'trap "exit 7" TERM; while :; do sleep 0.05; done');
    start('ends', [], 'sh', '-c', 'trap "exit 6" TERM; while :; do sleep 0.05; done');
    const pids = { runs: pidOf('runs'), ends: pidOf('ends') };
    const before = shims('runs');
    await stopDaemon('SIGKILL');
    process.kill(pids.ends, 'SIGTERM');
    await until('it has ended', () => !alive(pids.ends), 10);
    await delay(200);
    await startDaemon();
    expect(shims('runs')).toEqual(before);
    expect([status('runs'), pidOf('runs')]).toEqual(['RUNNING', pids.runs]);
    // From 1.7 on containerd takes a task without processes for a leak, and removes it.
    expect(['STOPPED', undefined]).toContain(status('ends'));
    expect(ctr('task', 'exec', '--exec-id=after', 'runs', 'echo', 'again').out).toBe('again\n');
    mustCtr('task', 'kill', 'runs');
    await until('it has stopped', () => status('runs') === 'STOPPED', 15);
    expect(ctr('task', 'rm', 'runs').err).toMatch(/7|^$/);
    if (status('ends') !== undefined) expect(ctr('task', 'rm', 'ends').err).toMatch(/6|^$/);
    mustCtr('container', 'rm', 'runs', 'ends');
    await nothingLeftOf('runs', 'ends');
  },
  { timeout: 120_000 },
);

test(
  'events of the time without containerd are told when it is back',
  async () => {
    start('away', [], 'sleep', '1000');
    const pid = pidOf('away');
    await stopDaemon('SIGKILL');
    process.kill(pid, 'SIGKILL');
    await until('it has ended', () => !alive(pid), 10);
    await delay(2000);
    const listener = await listen(`${socket}.ttrpc`);
    await until('it was told', () => listener.topics.length > 0, 15);
    expect(listener.topics).toEqual(['/tasks/exit']);
    await listener.close();
    await startDaemon();
    remove('away');
    await nothingLeftOf('away');
  },
  { timeout: 120_000 },
);

test(
  '50 containers at once',
  async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `many${index}`);
    const codes = await Promise.all(
      ids.map(
        (id, index) =>
          new Promise((resolve) => {
            spawn('ctr', runArguments(id, [], 'sh', '-c', `exit ${index}`), { stdio: 'inherit' }).once(
              'close',
              resolve,
            );
          }),
      ),
    );
    expect(codes).toEqual(ids.map((_, index) => index));
    await until('nothing is left', () => ids.every((id) => leftOf(id).length === 0), 30);
  },
  { timeout: 300_000 },
);

test(
  'many at once in one container, too',
  async () => {
    start('host', [], 'sleep', '1000');
    const outputs = await Promise.all(
      Array.from(
        { length: 20 },
        (_, index) =>
          new Promise<string>((resolve) => {
            const client = spawn(
              'ctr',
              [
                ...runArguments('', []).slice(0, 4),
                'task',
                'exec',
                `--exec-id=e${index}`,
                'host',
                'sh',
                '-c',
                `echo ${index}`,
              ],
              { stdio: ['ignore', 'pipe', 'inherit'] },
            );
            let out = '';
            client.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
            client.once('close', () => resolve(out));
          }),
      ),
    );
    expect(outputs).toEqual(outputs.map((_, index) => `${index}\n`));
    remove('host');
    await nothingLeftOf('host');
  },
  { timeout: 120_000 },
);

test('a client that connects and says nothing, or leaves in the midst of a frame, is no trouble', async () => {
  start('patient', [], 'sleep', '1000');
  const [shim = 0] = shims('patient');
  const before = fdsOf(shim).length;
  const clients = Array.from({ length: 20 }, (_, index) => {
    const client = connect(socketOf('patient'));
    client.on('error', () => {});
    if (index % 2 === 0) client.write(Buffer.from([0, 0, 1, 0, 0]));
    return client;
  });
  await Promise.all(clients.map((client) => until('it is connected', () => client.readyState === 'open')));
  expect(status('patient')).toBe('RUNNING');
  for (const client of clients) client.destroy();
  await until('their descriptors are closed', () => fdsOf(shim).length <= before, 10);
  remove('patient');
  await nothingLeftOf('patient');
});

test(
  'an idle shim is small',
  async () => {
    start('small', ['--null-io'], 'sleep', '1000');
    await delay(300);
    const [shim = 0] = shims('small');
    const { rss } = memoryOf(shim);
    expect(rss).toBeLessThan(6 << 10);
    remove('small');
    await nothingLeftOf('small');
  },
  { except: { runc: 'takes 10 MB and more', crun: 'takes 10 MB and more' } },
);

test(
  '500 containers in one shim, one after the other: neither its memory nor its descriptors grow',
  async () => {
    const group = ['--annotation', 'io.containerd.runc.v2.group=crowd'];
    start('crowd', ['--null-io', ...group], 'sleep', '1000');
    const [shim = 0] = shims('crowd');
    const once = (index: number) => {
      const { code, err } = ctr(...runArguments(`guest${index}`, group, 'true').slice(4));
      if (code !== 0) throw new Error(err);
    };
    // The first few make what is kept for all.
    for (let index = 0; index < 20; index++) once(index);
    await until('there is one shim', () => shims().length === 1, 10);
    const before = { fds: fdsOf(shim).length, ...memoryOf(shim) };
    for (let index = 20; index < 520; index++) once(index);
    await until('all descriptors are closed', () => fdsOf(shim).length <= before.fds, 10);
    const after = memoryOf(shim);
    console.log(`RSS ${before.rss} kB, then ${after.rss} kB; private ${before.private} kB, then ${after.private} kB`);
    expect(after.rss - before.rss).toBeLessThan(5 << 10);
    expect(alive(shim)).toBe(true);
    remove('crowd');
    await nothingLeftOf('crowd', 'guest0', 'guest519');
  },
  { timeout: 400_000 },
);
