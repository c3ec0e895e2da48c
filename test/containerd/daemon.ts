// A containerd of each test file's own: its directories, socket and namespace are nobody else's, so that these tests run
// beside others. It finds the shim on its PATH, as docs/containerd.md says. Under TSRUN_TEST_RUNTIME=runc or crun the same
// tests judge containerd's own shim, and by that the tests. Another version of containerd is taken from a PATH that has
// its programs first.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { archive, call, image, must } from '../engines/engine.ts';
import {
  cgroupRoot,
  cgroupsOf,
  controllers,
  projectDir,
  quietly,
  type Result,
  runtime,
  scratch,
  test as containerTest,
  until,
} from '../harness/index.ts';
import { withoutCopies } from '../harness/parents.ts';
import type { Requirement } from '../harness/host.ts';
import type { Family } from '../harness/runtime.ts';
import { slowness } from '../harness/wait.ts';

export { image } from '../engines/engine.ts';

interface More {
  needs?: Requirement[];
  only?: Family[];
  except?: Partial<Record<Family, string>>;
  timeout?: number;
}

export const test = (name: string, body: () => void | Promise<void>, more: More = {}): void =>
  containerTest(
    name,
    { timeout: 60_000, ...more, needs: ['program:containerd', 'program:ctr', ...(more.needs ?? [])] },
    body,
  );

export const socket = join(scratch, 'c.sock');
export const state = join(scratch, 'state');
export const namespace = `tsrun-test-${process.pid}`;

const ours = runtime.family === 'tsrun';
/** What a client says of the runtime. */
export const runtimeName = ours ? 'io.containerd.tsrun.v2' : 'io.containerd.runc.v2';
const flags = [
  ...['--runtime', runtimeName],
  ...(ours ? [] : ['--runc-binary', runtime.command[0]]),
  // ctr gives each container shares of the CPU, also where nothing can share it.
  ...(controllers().includes('cpu') ? [] : ['--cpu-shares=0']),
];
/** Both answer to their name alone. */
export const shimName = ours ? 'containerd-shim-tsrun-v2' : 'containerd-shim-runc-v2';

export const ctr = (...args: string[]): Result => call('ctr', '--address', socket, '--namespace', namespace, ...args);
export const mustCtr = (...args: string[]): string =>
  must('ctr', '--address', socket, '--namespace', namespace, ...args);

export const run = (id: string, options: string[], ...args: string[]): Result =>
  ctr('run', '--rm', ...flags, ...options, image, id, ...args);

/** A container that goes on by itself. */
export const start = (id: string, options: string[], ...args: string[]): string =>
  mustCtr('run', '--detach', ...flags, ...options, image, id, ...args);

/** The arguments of `ctr run`, for a test that keeps the client for itself. */
export const runArguments = (id: string, options: string[], ...args: string[]): string[] => [
  ...['--address', socket, '--namespace', namespace],
  ...['run', '--rm', ...flags, ...options, image, id, ...args],
];

/** What `ctr events` prints from now on. */
export async function watchEvents(): Promise<{ seen: () => string; end: () => void }> {
  const watcher = spawn('ctr', ['--address', socket, '--namespace', namespace, 'events'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let seen = '';
  watcher.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  // It says nothing when it has begun to listen: an event of our own does.
  await until(
    'events are heard',
    () => {
      mustCtr('namespace', 'label', namespace, `x=${Date.now()}`);
      return seen.includes('/namespaces/update');
    },
    20,
  );
  return { seen: () => seen, end: () => void watcher.kill() };
}

export const status = (id: string): string | undefined =>
  mustCtr('task', 'ls')
    .split('\n')
    .map((line) => line.split(/ +/))
    .find(([name]) => name === id)?.[2];

export const pidOf = (id: string): number =>
  Number(
    mustCtr('task', 'ls')
      .split('\n')
      .map((line) => line.split(/ +/))
      .find(([name]) => name === id)?.[1],
  );

export function remove(...ids: string[]): void {
  for (const id of ids) {
    ctr('task', 'rm', '--force', id);
    mustCtr('container', 'rm', id);
  }
}

let child: ChildProcess | undefined;

const config = (cri: string): string => `version = 2
root = "${join(scratch, 'root')}"
state = "${state}"
oom_score = 0
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
${cri === '' ? 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' : cri}
`;

/**
 * One daemon for the test file.
 * @param cri The table of the CRI plugin, which is off without.
 * @param images The namespace that gets the image.
 */
export function serve(cri = '', images = namespace): void {
  beforeAll(async () => {
    mkdirSync(scratch, { recursive: true });
    const bottom = config(cri);
    // A key of the top level must stand before the first table.
    const lines = bottom.split('\n');
    const off = lines.filter((line) => line.startsWith('disabled_plugins'));
    writeFileSync(
      join(scratch, 'config.toml'),
      [lines[0], ...off, ...lines.slice(1).filter((line) => !off.includes(line))].join('\n'),
    );
    await startDaemon();
    must('ctr', '--address', socket, '--namespace', images, 'image', 'import', archive());
  }, 120_000 * slowness);
  // A second try must not meet the containers of the first.
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') for (const name of namesOf('container')) quietly(() => remove(name));
  });
  afterAll(async () => {
    for (const name of namesOf('container')) remove(name);
    await stopDaemon();
    // The cgroup around those of its containers.
    quietly(() => rmdirSync(join(cgroupRoot, namespace)));
  }, 60_000 * slowness);
}

const namesOf = (what: string): string[] => mustCtr(what, 'ls', '--quiet').split('\n').filter(Boolean);

export async function startDaemon(): Promise<void> {
  const output = openSync(join(scratch, 'containerd.log'), 'a');
  child = spawn('containerd', ['--config', join(scratch, 'config.toml')], {
    stdio: ['ignore', output, output],
    env: { ...process.env, PATH: `${join(projectDir, 'dist')}:${process.env['PATH'] ?? ''}` },
  });
  await until('containerd answers', () => ctr('version').code === 0, 30);
}

export async function stopDaemon(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const daemon = child;
  if (daemon === undefined) return;
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill(signal);
  await ended;
  child = undefined;
}

export const daemonPid = (): number => child?.pid ?? 0;

/** The socket of a shim: the name is what containerd's shims agree on. */
export const socketOf = (group: string, grpc = socket): string =>
  `/run/containerd/s/${createHash('sha256')
    .update(join(grpc, namespace, group))
    .digest('hex')}`;

const read = (path: string): string => quietly(() => readFileSync(path, 'utf8')) ?? '';

/** Processes of the shim's program for this containerd; for one group, if that is given. */
export function shims(group?: string, of = namespace): number[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const args = read(`/proc/${pid}/cmdline`).split('\0');
      if (basename(args[0] ?? '') !== shimName || !args.includes(of)) return false;
      return group === undefined || args[args.indexOf('-id') + 1] === group;
    });
  return withoutCopies(pids);
}

export const fdsOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).map((fd) => quietly(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '');

/** KiB of the process that are in memory. */
export function memoryOf(pid: number): { rss: number; private: number } {
  const text = read(`/proc/${pid}/smaps_rollup`);
  const sum = (key: string) =>
    [...text.matchAll(new RegExp(`^${key}: +(\\d+) kB`, 'gm'))].reduce((all, [, size]) => all + Number(size), 0);
  return { rss: sum('Rss'), private: sum('Private_Clean') + sum('Private_Dirty') };
}

/** What tells of a container that was: shim, socket, bundle, mount, cgroup, state of the runtime. Fifos are the client's. */
export function leftOf(id: string): string[] {
  const bundle = join(state, 'io.containerd.runtime.v2.task', namespace, id);
  return [
    ...shims(id).map((pid) => `shim ${pid}`),
    ...[
      socketOf(id),
      bundle,
      `/run/containerd/tsrun/${namespace}/${id}`,
      `/run/containerd/runc/${namespace}/${id}`,
    ].filter((path) => existsSync(path)),
    ...read('/proc/self/mountinfo')
      .split('\n')
      .filter((line) => line.includes(bundle)),
    ...cgroupsOf(id).filter((path) => path.includes(namespace)),
  ];
}

/** Cleaning up goes on after the client has its answer. */
export async function nothingLeftOf(...ids: string[]): Promise<void> {
  for (const id of ids) {
    let left: string[] = [];
    try {
      await until('nothing is left', () => (left = leftOf(id)).length === 0, 10);
    } catch {
      throw new Error(`left of ${id}:\n${left.join('\n')}`);
    }
  }
}
