// tsrun as podman's runtime, told of it as docs/engines.md says: what its users type, and what they must get.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll } from 'vitest';
import { expect, type Result, runtime, scratch, test as containerTest, until } from '../harness/index.ts';
import { archive, call, configure, image, must, program, storage, talk } from './engine.ts';

const needs = ['a machine of its own' as const, 'program:podman' as const];
// The infra container of a pod.
const peer = {
  except: {
    crun: 'crun 1.8 is refused the mknod of /dev/null in it',
    runc: 'runc 1.1 is refused the opening of /dev/null in it',
  },
};
type Body = () => void | Promise<void>;
const test = (name: string, body: Body, more: object = {}) =>
  containerTest(name, { needs, timeout: 90_000, ...more }, body);

const podman = (...args: string[]): Result => call('podman', ...args);
const run = (...args: string[]): Result => podman('run', '--rm', ...args);

beforeAll(() => {
  configure('/etc/containers/containers.conf.d/tsrun.conf');
  // There is no systemd in the machine, and most tests need no network.
  writeFileSync(
    '/etc/containers/containers.conf.d/zz-machine.conf',
    '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n[containers]\nlog_driver = "k8s-file"\nnetns = "none"\n',
  );
  storage('/var/lib/containers');
  must('podman', 'load', '--quiet', '--input', archive());
}, 400_000);

test('podman takes the runtime from containers.conf', () => {
  expect(must('podman', 'info', '--format', '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}')).toBe(
    `tsrun ${program}`,
  );
});

test('run gives output, standard error and exit status', () => {
  expect(run(image, 'sh', '-c', 'echo out; echo err >&2; exit 42')).toEqual({ code: 42, out: 'out\n', err: 'err\n' });
});

test('a program that is not there is 127, and podman says which', () => {
  const result = run(image, 'no-such-program');
  expect(result).toMatchObject({ code: 127, out: '' });
  expect(result.err).toContain('no-such-program');
});

test('a file without the execute bit is 126', () => {
  expect(run(image, '/etc/plain').code).toBe(126);
});

test('--memory, --pids-limit and --cpus are limits of the cgroup', () => {
  const { out } = run(
    ...['--memory=64m', '--pids-limit=20', '--cpus=0.5', image],
    ...['sh', '-c', 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max'],
  );
  expect(out).toBe('67108864\n20\n50000 100000\n');
});

test('--user, --cap-drop, --cap-add, --read-only, --tmpfs, --ulimit, --sysctl, --hostname and the profile take effect', () => {
  const { out } = run(
    ...['--user=1000:1000', '--cap-drop=all', '--cap-add=net_raw', '--read-only', '--tmpfs=/data:size=1m'],
    ...['--ulimit=nofile=99:99', '--sysctl=net.ipv4.ip_forward=1', '--hostname=box', image, 'sh', '-c'],
    'id -u; grep -E "CapBnd|Seccomp:" /proc/self/status; touch /etc/x || echo read-only; touch /data/x && echo writable;' +
      'ulimit -n; cat /proc/sys/net/ipv4/ip_forward; hostname',
  );
  expect(out).toBe('1000\nCapBnd:\t0000000000002000\nSeccomp:\t2\nread-only\nwritable\n99\n1\nbox\n');
});

test('a seccomp profile of the user is loaded, or none', () => {
  const profile = join(scratch, 'profile.json');
  const rules = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }];
  writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: rules }));
  const unconfined = run('--security-opt=seccomp=unconfined', image, 'grep', 'Seccomp:', '/proc/self/status');
  expect(unconfined.out).toBe('Seccomp:\t0\n');
  expect(run(`--security-opt=seccomp=${profile}`, image, 'mkdir', '/tmp/x').err).toContain('not supported');
});

test('volumes are bound: read-only with ro, with SELinux labels nowhere where there is no SELinux', () => {
  const dir = join(scratch, 'volume');
  mkdirSync(dir);
  writeFileSync(join(dir, 'file'), 'of the host\n');
  const volumes = ['-v', `${dir}:/ro:ro`, '-v', `${dir}:/z:z`];
  const { out } = run(...volumes, image, 'sh', '-c', 'cat /ro/file; touch /ro/x || echo refused; touch /z/y');
  expect(out).toBe('of the host\nrefused\n');
  expect(readdirSync(dir).sort()).toEqual(['file', 'y']);
});

test('--uidmap makes a user namespace', () => {
  expect(run('--uidmap=0:100000:5000', image, 'sh', '-c', 'id -u; cat /proc/self/uid_map').out).toMatch(
    /^0\n +0 +100000 +5000\n$/,
  );
});

test(
  '--cgroups=disabled leaves the container where podman is',
  () => {
    const { code, out } = run('--cgroups=disabled', '--cgroupns=host', image, 'cat', '/proc/self/cgroup');
    expect(code).toBe(0);
    expect(out).toMatch(/^0::/);
    expect(out).not.toContain('libpod-');
  },
  { except: { runc: 'it has no --cgroup-manager=disabled' } },
);

test('--privileged gives the devices of the host, --init a process that reaps', () => {
  expect(run('--privileged', '--init', image, 'sh', '-c', 'cat /proc/1/comm; ls /dev').out).toMatch(
    /^podman-init\n[^]*^kmsg$/m,
  );
});

test('run -it is a terminal that follows its window', () => {
  expect(talk('podman', 'run', '--rm', '-it', image, 'sh')).toMatchObject({ code: 7 });
});

test(
  'a detached container: exec, terminal, health, pause, limits, logs and stop',
  async () => {
    const trapping = 'echo started; trap "echo asked to stop; exit 5" TERM; while :; do sleep 0.1; done';
    const health = ['--health-cmd=test -e /tmp/healthy', '--health-interval=disable'];
    must('podman', 'run', '-d', '--name=life', ...health, image, 'sh', '-c', trapping);
    expect(podman('exec', 'life', 'sh', '-c', 'echo inside; exit 33')).toMatchObject({ code: 33, out: 'inside\n' });
    expect(podman('exec', 'life', 'no-such-program').code).toBe(127);
    expect(podman('exec', 'life', '/etc/plain').code).toBe(126);
    const identity = ['-u', '1000:1000', '-w', '/tmp', '-e', 'NAME=value'];
    expect(podman('exec', ...identity, 'life', 'sh', '-c', 'id -u; pwd; echo $NAME').out).toBe('1000\n/tmp\nvalue\n');
    expect(talk('podman', 'exec', '-it', 'life', 'sh')).toMatchObject({ code: 7 });

    expect(podman('healthcheck', 'run', 'life').code).toBe(1);
    must('podman', 'exec', '-d', 'life', 'touch', '/tmp/healthy');
    await until('it is healthy', () => podman('healthcheck', 'run', 'life').code === 0);

    must('podman', 'pause', 'life');
    expect(must('podman', 'inspect', '--format', '{{.State.Status}}', 'life')).toBe('paused');
    must('podman', 'unpause', 'life');
    must('podman', 'update', '--memory=50m', 'life');
    expect(podman('exec', 'life', 'cat', '/sys/fs/cgroup/memory.max').out).toBe('52428800\n');
    expect(must('podman', 'stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'life')).toMatch(/^life [12]$/);

    must('podman', 'stop', 'life');
    expect(must('podman', 'inspect', '--format', '{{.State.ExitCode}}', 'life')).toBe('5');
    expect(must('podman', 'logs', 'life')).toBe('started\nasked to stop');
    must('podman', 'start', 'life');
    must('podman', 'kill', '--signal=KILL', 'life');
    expect(must('podman', 'wait', 'life')).toBe('137');
    must('podman', 'rm', '--force', 'life');
  },
  { timeout: 240_000 },
);

test(
  'containers of a pod share their network and their processes',
  async () => {
    const infra = ['--infra-image', image, '--infra-command', 'sleep 1000', '--share=pid,net,ipc,uts'];
    must('podman', 'pod', 'create', '--name=pod', ...infra);
    must('podman', 'run', '-d', '--pod=pod', image, 'sleep', '2000');
    const { out } = run('--pod=pod', image, 'ps');
    expect(out).toMatch(/sleep 1000[^]*sleep 2000/);
    must('podman', 'pod', 'rm', '--force', '--time=0', 'pod');
  },
  peer,
);

test(
  'kube play runs what a Kubernetes pod says',
  async () => {
    const file = join(scratch, 'pod.yaml');
    const container = {
      name: 'one',
      image,
      imagePullPolicy: 'Never',
      command: ['sh', '-c', 'cat /sys/fs/cgroup/memory.max; exec sleep 1000'],
      resources: { limits: { memory: '64Mi' } },
    };
    const spec = { hostNetwork: true, containers: [container] };
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'kube' }, spec }));
    must('podman', 'play', 'kube', file);
    await until('it has told its limit', () => podman('logs', 'kube-one').out === '67108864\n', 15);
    must('podman', 'play', 'kube', '--down', file);
  },
  peer,
);

test(
  'build runs commands as the user that the file says',
  () => {
    const dir = join(scratch, 'build');
    mkdirSync(dir);
    const lines = [`FROM ${image}`, 'RUN echo built > /built', 'USER 1000', 'RUN id -u > /tmp/who'];
    writeFileSync(join(dir, 'Containerfile'), lines.join('\n'));
    must('podman', 'build', '--quiet', '--network=none', '--tag=built', dir);
    expect(run('localhost/built', 'cat', '/built', '/tmp/who').out).toBe('built\n1000\n');
  },
  { timeout: 180_000 },
);

test('nothing is left of all that', () => {
  expect(must('podman', 'ps', '--all', '--quiet')).toBe('');
  const root = `/run/${runtime.family}`;
  const left = existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith('.')) : [];
  expect(left).toEqual([]);
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain('/merged ');
});
