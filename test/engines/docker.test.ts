// tsrun as Docker's default runtime, told of it as docs/engines.md says. One daemon serves the whole file.
import { beforeAll } from 'vitest';
import { expect, type Result, test as containerTest, until } from '../harness/index.ts';
import { archive, call, configure, daemon, image, must, program, storage, talk } from './engine.ts';

const needs = ['a machine of its own' as const, 'program:dockerd' as const, 'program:docker' as const];
type Body = () => void | Promise<void>;
const test = (name: string, body: Body, more: object = {}) =>
  containerTest(name, { needs, timeout: 90_000, ...more }, body);

const docker = (...args: string[]): Result => call('docker', ...args);
const run = (...args: string[]): Result => docker('run', '--rm', '--network=none', ...args);

beforeAll(() => {
  const file = configure('/etc/docker/daemon.json');
  storage('/var/lib/docker');
  daemon('dockerd', ['--config-file', file], () => docker('version').code === 0);
  must('docker', 'load', '--quiet', '--input', archive());
}, 400_000);

test('Docker takes the default runtime from daemon.json, and runc stays beside it', () => {
  const info = JSON.parse(must('docker', 'info', '--format', '{{json .}}')) as Record<string, unknown>;
  expect(info).toMatchObject({ DefaultRuntime: 'tsrun', Runtimes: { tsrun: { path: program }, runc: {} } });
});

test('run gives output, standard error and exit status', () => {
  expect(run(image, 'sh', '-c', 'echo out; echo err >&2; exit 42')).toMatchObject({ code: 42, out: 'out\n' });
});

test('a program that is not there is 127, one without the execute bit 126, and Docker says which', () => {
  const missing = run(image, 'no-such-program');
  expect(missing.code).toBe(127);
  expect(missing.err).toContain('no-such-program');
  expect(run(image, '/etc/plain').code).toBe(126);
});

test('a file as a volume where the image has a directory is an error with the hint of Docker', () => {
  const result = run('-v', '/etc/hostname:/etc', image, 'true');
  expect(result.code).not.toBe(0);
  expect(result.err).toContain('Are you trying to mount a directory onto a file');
});

test('--user, --cap-drop, --read-only, --tmpfs, no-new-privileges and the seccomp profile take effect', () => {
  const { out } = run(
    ...['--user=1000', '--cap-drop=all', '--cap-add=net_raw', '--read-only', '--tmpfs=/data'],
    ...['--security-opt=no-new-privileges', '--ulimit=nofile=99', '--hostname=box', image, 'sh', '-c'],
    'id -u; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status; touch /etc/x || echo read-only;' +
      'touch /data/x && echo writable; ulimit -n; hostname',
  );
  expect(out).toBe('1000\nCapBnd:\t0000000000002000\nNoNewPrivs:\t1\nSeccomp:\t2\nread-only\nwritable\n99\nbox\n');
});

test('--privileged gives the devices of the host, --init a process that reaps', () => {
  expect(run('--privileged', '--init', image, 'sh', '-c', 'cat /proc/1/comm; ls /dev').out).toMatch(
    /^docker-init\n[^]*^kmsg$/m,
  );
});

test('who takes more memory than --memory allows is killed, and Docker tells that it was for memory', () => {
  docker('run', '--name=greedy', '--network=none', '--memory=16m', '--memory-swap=16m', image, 'load', 'memory', '64');
  expect(must('docker', 'inspect', '--format', '{{.State.ExitCode}} {{.State.OOMKilled}}', 'greedy')).toBe('137 true');
  must('docker', 'rm', 'greedy');
});

test('run -it is a terminal that follows its window', () => {
  expect(talk('docker', 'run', '--rm', '-it', '--network=none', image, 'sh')).toMatchObject({ code: 7 });
});

test(
  'a detached container: exec, terminal, pause, limits, logs, events and stop',
  () => {
    const trapping = 'echo started; trap "echo asked to stop; exit 5" TERM; while :; do sleep 0.1; done';
    must('docker', 'run', '-d', '--name=life', '--network=none', image, 'sh', '-c', trapping);
    expect(docker('exec', 'life', 'sh', '-c', 'echo inside; exit 33')).toMatchObject({ code: 33, out: 'inside\n' });
    const failed = docker('exec', 'life', 'no-such-program');
    expect([126, 127]).toContain(failed.code);
    expect(`${failed.out}${failed.err}`).toContain('executable file not found');
    const identity = ['-u', '1000:1000', '-w', '/tmp', '-e', 'NAME=value'];
    expect(docker('exec', ...identity, 'life', 'sh', '-c', 'id -u; pwd; echo $NAME').out).toBe('1000\n/tmp\nvalue\n');
    expect(talk('docker', 'exec', '-it', 'life', 'sh')).toMatchObject({ code: 7 });

    must('docker', 'pause', 'life');
    expect(must('docker', 'inspect', '--format', '{{.State.Status}}', 'life')).toBe('paused');
    must('docker', 'unpause', 'life');
    must('docker', 'update', '--memory=64m', '--memory-swap=64m', '--pids-limit=33', '--cpus=0.5', 'life');
    const files = ['memory.max', 'pids.max', 'cpu.max'].map((file) => `/sys/fs/cgroup/${file}`);
    expect(docker('exec', 'life', 'cat', ...files).out).toBe('67108864\n33\n50000 100000\n');
    expect(must('docker', 'stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'life')).toMatch(/^life [12]$/);
    expect(must('docker', 'top', 'life')).toContain('asked to stop');

    must('docker', 'stop', 'life');
    expect(must('docker', 'inspect', '--format', '{{.State.ExitCode}}', 'life')).toBe('5');
    expect(must('docker', 'logs', 'life')).toBe('started\nasked to stop');
    must('docker', 'start', 'life');
    must('docker', 'kill', 'life');
    expect(must('docker', 'wait', 'life')).toBe('137');
    const told = must(
      'docker',
      'events',
      '--since=1h',
      '--until=0s',
      '--filter=container=life',
      '--format={{.Action}}',
    );
    expect(told.split('\n')).toEqual(expect.arrayContaining(['start', 'pause', 'unpause', 'update', 'kill', 'die']));
    must('docker', 'rm', 'life');
  },
  { timeout: 240_000 },
);

test(
  'containers of a network of their own find each other by name',
  async () => {
    must('docker', 'network', 'create', 'pair');
    must('docker', 'run', '-d', '--name=server', '--network=pair', image, 'busybox', 'httpd', '-f', '-h', '/etc');
    const fetch = ['busybox', 'wget', '-q', '-O', '-', 'http://server/plain'];
    const answer = () => docker('run', '--rm', '--network=pair', image, ...fetch).out;
    await until('the server answers', () => answer() === 'not a program\n', 20);
    must('docker', 'rm', '--force', 'server');
    must('docker', 'network', 'rm', 'pair');
  },
  { timeout: 180_000 },
);

test(
  'a service of a swarm has its tasks under the runtime, and replaces one that ends',
  async () => {
    must('docker', 'swarm', 'init', '--advertise-addr=127.0.0.1');
    must(
      'docker',
      'service',
      'create',
      '--detach',
      '--name=tasks',
      '--replicas=2',
      '--restart-delay=0s',
      image,
      'sleep',
      '1000',
    );
    const running = () =>
      must('docker', 'ps', '--quiet', '--filter=label=com.docker.swarm.service.name=tasks').split('\n');
    await until('both tasks run', () => running().length === 2, 30);
    const [first = ''] = running();
    expect(must('docker', 'inspect', '--format={{.HostConfig.Runtime}}', first)).toBe('tsrun');
    must('docker', 'kill', first);
    await until('another runs in its place', () => !running().includes(first) && running().length === 2, 30);
    must('docker', 'service', 'rm', 'tasks');
  },
  { timeout: 300_000 },
);
