// Pods, as the kubelet makes them: one shim a pod, and what Kubernetes asks of a runtime.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { archive, must } from '../engines/engine.ts';
import { controllers, projectDir, runtime, scratch, until } from '../harness/index.ts';
import { CONTAINER, Cri, NODE, type PodSandboxConfig } from './cri.ts';
import type { InputOf } from '../../src/proto/message.ts';
import type { ContainerConfig } from './cri.ts';
import {
  image,
  memoryOf,
  runtimeName,
  serve,
  shimName,
  shims as shimsOf,
  socket,
  startDaemon,
  state,
  stopDaemon,
  test,
} from './daemon.ts';

const pause = 'localhost/tsrun-pause:latest';
/** The handlers as docs/containerd.md has them; for a peer, in the place of ours. */
const documented =
  /```toml\nversion = 2\n([^`]*)```/.exec(readFileSync(join(projectDir, 'docs/containerd.md'), 'utf8'))?.[1] ?? '';
const handlers =
  runtime.family === 'tsrun'
    ? documented
    : documented.replace(
        /"io.containerd.tsrun.v2"/,
        `"${runtimeName}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tsrun.options]
    BinaryName = "${runtime.command[0]}"`,
      );

serve(
  `[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pause}"
  restrict_oom_score_adj = true
  # Every pod has a share of the CPU, also where nothing can share it.
  disable_cgroup = ${!controllers().includes('cpu')}
  disable_apparmor = ${!existsSync('/sys/kernel/security/apparmor')}
${handlers}`,
  'k8s.io',
);

let cri: Cri;
beforeAll(() => {
  cri = new Cri(socket);
  must('ctr', '--address', socket, '--namespace', 'k8s.io', 'image', 'import', archive(pause, ['sleep', '1000000']));
});
afterAll(() => cri.close());
// One test that fails must not fail all that follow.
afterEach(async () => {
  for (const pod of ids.pods.splice(0)) await removePod(pod).catch(() => {});
});

const shims = () => shimsOf(undefined, 'k8s.io');
const logs = join(scratch, 'pod-logs');

/** Without a network of its own: that would take plugins. */
const podConfig = (name: string): InputOf<typeof PodSandboxConfig> => ({
  metadata: { name, uid: `${name}-${process.pid}`, namespace: 'default' },
  logDirectory: join(logs, name),
  linux: {
    cgroupParent: `/tsrun-test-pods/${name}`,
    securityContext: { namespaceOptions: { network: NODE, pid: CONTAINER } },
  },
});

const ids: { pods: string[] } = { pods: [] };

async function runPod(name: string, change: Partial<InputOf<typeof PodSandboxConfig>> = {}): Promise<string> {
  mkdirSync(join(logs, name), { recursive: true });
  const { podSandboxId } = await cri.call('RunPodSandbox', {
    config: { ...podConfig(name), ...change },
    runtimeHandler: 'tsrun',
  });
  ids.pods.push(podSandboxId);
  return podSandboxId;
}

async function run(
  pod: string,
  podName: string,
  name: string,
  command: string[],
  change: InputOf<typeof ContainerConfig> = {},
) {
  const { containerId } = await cri.call('CreateContainer', {
    podSandboxId: pod,
    config: {
      metadata: { name },
      image: { image },
      command,
      logPath: `${name}.log`,
      linux: { securityContext: { namespaceOptions: { network: NODE, pid: CONTAINER } } },
      ...change,
    },
    sandboxConfig: podConfig(podName),
  });
  await cri.call('StartContainer', { containerId });
  return containerId;
}

const stateOf = async (containerId: string) => (await cri.call('ContainerStatus', { containerId })).status;

async function ended(containerId: string) {
  let found = await stateOf(containerId);
  const deadline = Date.now() + 30_000;
  while (found?.state !== 2 && Date.now() < deadline) found = await stateOf(containerId);
  return found;
}

const sh = async (containerId: string, script: string) => {
  const { stdout, stderr, exitCode } = await cri.call('ExecSync', {
    containerId,
    cmd: ['sh', '-c', script],
    timeout: 20,
  });
  return { out: Buffer.from(stdout).toString(), err: Buffer.from(stderr).toString(), exitCode };
};

async function removePod(podSandboxId: string): Promise<void> {
  await cri.call('StopPodSandbox', { podSandboxId });
  await cri.call('RemovePodSandbox', { podSandboxId });
}

async function nothingLeft(): Promise<void> {
  await until('the shims have ended', () => shims().length === 0, 15);
  const bundles = join(state, 'io.containerd.runtime.v2.task/k8s.io');
  for (const id of ids.pods) {
    expect(existsSync(join(bundles, id))).toBe(false);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(id);
  }
}

test(
  'a pod with two containers has one shim; exec, stats, logs, stop and removal work',
  async () => {
    const pod = await runPod('pair');
    expect((await cri.call('PodSandboxStatus', { podSandboxId: pod })).status?.state).toBe(0);
    const one = await run(pod, 'pair', 'one', [
      'sh',
      '-c',
      'echo from one; echo aside >&2; trap "exit 0" TERM; while :; do sleep 0.1; done',
    ]);
    const two = await run(pod, 'pair', 'two', ['sleep', '1000']);
    expect(shims().length).toBe(1);
    expect(await stateOf(one)).toMatchObject({ state: 1 });

    expect(await sh(one, 'echo in; echo err >&2; exit 4')).toEqual({ out: 'in\n', err: 'err\n', exitCode: 4 });
    expect((await sh(two, 'cat /proc/1/cmdline')).out).toContain('sleep');
    await expect(cri.call('ExecSync', { containerId: one, cmd: ['no-such-program'] })).rejects.toThrow(
      /executable file not found/,
    );
    await expect(cri.call('ExecSync', { containerId: one, cmd: ['sleep', '100'], timeout: 1 })).rejects.toThrow(
      /timeout|deadline/i,
    );

    if (controllers().includes('memory')) {
      const { stats } = await cri.call('ContainerStats', { containerId: one });
      expect(Number(stats?.cpu?.usageCoreNanoSeconds?.value)).toBeGreaterThan(0);
      expect(Number(stats?.memory?.workingSetBytes?.value)).toBeGreaterThan(0);
    }

    const log = readFileSync(join(logs, 'pair/one.log'), 'utf8');
    expect(log).toMatch(/ stdout F from one\n/);
    expect(log).toMatch(/ stderr F aside\n/);

    await cri.call('StopContainer', { containerId: one, timeout: 10 });
    expect(await stateOf(one)).toMatchObject({ state: 2, exitCode: 0 });
    await cri.call('StopContainer', { containerId: two, timeout: 0 });
    expect(await stateOf(two)).toMatchObject({ state: 2, exitCode: 137 });
    await cri.call('RemoveContainer', { containerId: one });
    await cri.call('RemoveContainer', { containerId: two });
    await removePod(pod);
    await nothingLeft();
  },
  { timeout: 120_000 },
);

test('a container that ends by itself is seen, with its status', async () => {
  const pod = await runPod('ends');
  const id = await run(pod, 'ends', 'short', ['sh', '-c', 'exit 12']);
  expect(await ended(id)).toMatchObject({ state: 2, exitCode: 12, reason: 'Error' });
  const good = await run(pod, 'ends', 'good', ['true']);
  expect(await ended(good)).toMatchObject({ state: 2, exitCode: 0, reason: 'Completed' });
  await removePod(pod);
  await nothingLeft();
});

test('a container that cannot start says why', async () => {
  const pod = await runPod('wrong');
  await expect(run(pod, 'wrong', 'missing', ['no-such-program'])).rejects.toThrow(
    /OCI runtime create failed.*"?no-such-program"?: executable file not found in \$PATH/,
  );
  await removePod(pod);
  await nothingLeft();
});

test('seccomp, capabilities, user and read-only root come from the security context', async () => {
  const pod = await runPod('safe');
  const id = await run(pod, 'safe', 'safe', ['sleep', '1000'], {
    linux: {
      securityContext: {
        namespaceOptions: { network: NODE, pid: CONTAINER },
        capabilities: { dropCapabilities: ['ALL'] },
        runAsUser: { value: 1000 },
        readonlyRootfs: true,
        noNewPrivs: true,
        seccomp: { profileType: 0 },
      },
    },
  });
  const { out } = await sh(
    id,
    'grep -E "^(Uid|CapEff|NoNewPrivs|Seccomp):" /proc/self/status; touch /x || echo read-only',
  );
  expect(out).toMatch(/^Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0{16}\nNoNewPrivs:\t1\nSeccomp:\t2\nread-only\n$/);
  await removePod(pod);
  await nothingLeft();
});

test(
  "an AppArmor profile is the runtime's default unless it is told otherwise",
  async () => {
    const pod = await runPod('armor');
    const change = (profileType: number) => ({
      linux: { securityContext: { namespaceOptions: { network: NODE, pid: CONTAINER }, apparmor: { profileType } } },
    });
    const first = await run(pod, 'armor', 'default', ['sleep', '1000'], change(0));
    expect((await sh(first, 'cat /proc/self/attr/current')).out).toContain('cri-containerd.apparmor.d (enforce)');
    const second = await run(pod, 'armor', 'none', ['sleep', '1000'], change(1));
    expect((await sh(second, 'cat /proc/self/attr/current')).out).toContain('unconfined');
    await removePod(pod);
    await nothingLeft();
  },
  { needs: ['AppArmor'] },
);

test(
  'a limit of memory holds, may be changed, and what exceeds it is OOMKilled',
  async () => {
    const pod = await runPod('limits');
    const id = await run(pod, 'limits', 'eats', ['sleep', '1000'], {
      linux: {
        resources: { memoryLimitInBytes: 64 << 20 },
        securityContext: { namespaceOptions: { network: NODE, pid: CONTAINER } },
      },
    });
    const limit = async () => (await sh(id, 'cat /sys/fs/cgroup/memory.max')).out.trim();
    expect(await limit()).toBe(String(64 << 20));
    await cri.call('UpdateContainerResources', { containerId: id, linux: { memoryLimitInBytes: 32 << 20 } });
    expect(await limit()).toBe(String(32 << 20));
    const eater = await run(pod, 'limits', 'eater', ['load', 'memory', '100'], {
      linux: {
        resources: { memoryLimitInBytes: 16 << 20 },
        securityContext: { namespaceOptions: { network: NODE, pid: CONTAINER } },
      },
    });
    expect(await ended(eater)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
    await removePod(pod);
    await nothingLeft();
  },
  { needs: ['controller:memory'] },
);

test(
  'pods run on while containerd restarts',
  async () => {
    const pod = await runPod('survivor');
    const id = await run(pod, 'survivor', 'box', ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done']);
    const before = shims();
    await stopDaemon('SIGKILL');
    cri.close();
    await startDaemon();
    cri = new Cri(socket);
    let found = await stateOf(id).catch(() => undefined);
    const deadline = Date.now() + 20_000;
    while (found === undefined && Date.now() < deadline) found = await stateOf(id).catch(() => undefined);
    expect(found).toMatchObject({ state: 1 });
    expect(shims()).toEqual(before);
    expect((await sh(id, 'echo still')).out).toBe('still\n');
    await cri.call('StopContainer', { containerId: id, timeout: 10 });
    expect(await stateOf(id)).toMatchObject({ exitCode: 3 });
    await removePod(pod);
    await nothingLeft();
  },
  { timeout: 120_000 },
);

test(
  'the shim of a pod of ten containers is small',
  async () => {
    const pod = await runPod('many');
    for (let index = 0; index < 10; index++) await run(pod, 'many', `c${index}`, ['sleep', '1000']);
    const [shim = 0, ...others] = shims();
    expect(others).toEqual([]);
    const { rss } = memoryOf(shim);
    console.log(`${shimName} with ten containers: ${rss} kB`);
    expect(rss).toBeLessThan(6 << 10);
    await removePod(pod);
    await nothingLeft();
  },
  { timeout: 120_000, except: { runc: 'takes 10 MB and more', crun: 'takes 10 MB and more' } },
);
