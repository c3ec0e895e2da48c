// tsrun under containerd's shim for runc, told of it as docs/engines.md says. One daemon serves the whole file.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll } from 'vitest';
import { expect, type Result, scratch, test as containerTest, until } from '../harness/index.ts';
import { archive, call, configure, daemon, image, must, program, storage, talk } from './engine.ts';

const needs = ['a machine of its own' as const, 'program:containerd' as const, 'program:ctr' as const];
type Body = () => void | Promise<void>;
const test = (name: string, body: Body, more: object = {}) =>
  containerTest(name, { needs, timeout: 60_000, ...more }, body);

// Docker's daemon would take one with the usual socket for its own.
const socket = join(scratch, 'containerd.sock');
const ctr = (...args: string[]): Result => call('ctr', '--address', socket, ...args);
const mustCtr = (...args: string[]): string => must('ctr', '--address', socket, ...args);
const flags = ['--runc-binary', program];
const run = (id: string, options: string[], ...args: string[]): Result =>
  ctr('run', '--rm', ...flags, ...options, image, id, ...args);
const status = (id: string): string | undefined =>
  mustCtr('task', 'ls')
    .split('\n')
    .find((line) => line.startsWith(`${id} `))
    ?.split(/ +/)[2];

beforeAll(() => {
  const file = configure('/etc/containerd/config.toml');
  storage('/var/lib/containerd');
  daemon('containerd', ['--config', file, '--address', socket], () => ctr('version').code === 0);
  mustCtr('image', 'import', archive());
}, 400_000);

test('the handler of Kubernetes is configured with the program', () => {
  const dump = must('containerd', '--config', '/etc/containerd/config.toml', 'config', 'dump');
  const handler = dump.slice(dump.indexOf('.containerd.runtimes.tsrun]'));
  expect(handler).toMatch(/runtime_type = "io.containerd.runc.v2"/);
  // Without the default handler, containerd would leave Kubernetes' plugin out.
  expect(mustCtr('plugins', 'ls', 'type==io.containerd.grpc.v1')).toMatch(/ cri +.* ok/);
  expect(handler).toContain(`BinaryName = "${program}"`);
});

test('run gives output and exit status', () => {
  expect(run('plain', [], 'sh', '-c', 'echo out; echo err >&2; exit 42')).toMatchObject({ code: 42, out: 'out\n' });
});

test('a program that is not there is an error that says which', () => {
  const { code, err } = run('missing', [], 'no-such-program');
  expect(code).toBe(1);
  expect(err).toMatch(/OCI runtime create failed.*"?no-such-program"?: executable file not found/);
});

test('--read-only, --seccomp and --cap-drop take effect', () => {
  const look = 'touch /etc/x || echo read-only; grep -E "Seccomp:|CapBnd" /proc/self/status';
  const options = ['--read-only', '--seccomp', '--cap-drop=CAP_KILL'];
  expect(run('identity', options, 'sh', '-c', look).out).toMatch(/^read-only\nCapBnd:\t[0-9a-f]{16}\nSeccomp:\t2\n$/);
});

test('limits are those of the cgroup, which is where --cgroup says', () => {
  const options = ['--memory-limit=33554432', '--cpu-quota=50000', '--cpu-period=100000', '--cgroup=/by-hand/box'];
  mustCtr('run', '-d', ...flags, ...options, image, 'limited', 'sleep', '1000');
  const file = (name: string) => readFileSync(`/sys/fs/cgroup/by-hand/box/${name}`, 'utf8');
  expect([file('memory.max'), file('cpu.max')]).toEqual(['33554432\n', '50000 100000\n']);
  mustCtr('task', 'rm', '--force', 'limited');
  mustCtr('container', 'rm', 'limited');
  expect(existsSync('/sys/fs/cgroup/by-hand/box')).toBe(false);
});

test('run -t is a terminal that follows its window', () => {
  expect(talk('ctr', '--address', socket, 'run', '-t', '--rm', ...flags, image, 'terminal', 'sh')).toMatchObject({
    code: 7,
  });
});

test(
  'a task: exec, terminal, pause, metrics, processes and kill',
  async () => {
    const trapping = 'trap "exit 5" TERM; while :; do sleep 0.1; done';
    mustCtr('run', '-d', ...flags, image, 'life', 'sh', '-c', trapping);
    const exec = (...args: string[]) => ctr('task', 'exec', '--exec-id=more', 'life', ...args);
    expect(exec('sh', '-c', 'echo inside; exit 33')).toMatchObject({ code: 33, out: 'inside\n' });
    const failed = exec('no-such-program');
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/OCI runtime exec failed.*executable file not found/);
    expect(status('life')).toBe('RUNNING');
    const shell = ['task', 'exec', '-t', '--exec-id=terminal', 'life', 'sh'];
    expect(talk('ctr', '--address', socket, ...shell)).toMatchObject({ code: 7 });

    mustCtr('task', 'pause', 'life');
    expect(status('life')).toBe('PAUSED');
    mustCtr('task', 'resume', 'life');
    expect(status('life')).toBe('RUNNING');
    expect(mustCtr('task', 'metrics', 'life')).toMatch(/memory\.usage_in_bytes|memory\.usage/);
    expect(mustCtr('task', 'ps', 'life').split('\n').length).toBeGreaterThan(1);
    mustCtr('task', 'kill', 'life');
    await until('it has stopped', () => status('life') === 'STOPPED', 15);
    expect(ctr('task', 'rm', 'life').err).toMatch(/exit(ed)?.* 5|^$/);
    mustCtr('container', 'rm', 'life');
  },
  { timeout: 180_000 },
);

test('nothing is left of all that', () => {
  expect(mustCtr('task', 'ls', '--quiet')).toBe('');
  const root = '/run/containerd/runc/default';
  // Filters that are kept for the next container are no container.
  const states = existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith('.')) : [];
  expect(states).toEqual([]);
});
