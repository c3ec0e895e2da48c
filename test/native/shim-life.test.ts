// containerd-shim-tsrun-v2 as a program: how it is started and found, and what is left when it dies.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import { Any, pack } from '../../src/proto/well-known.ts';
import { BootstrapParams, BootstrapResult, RuntimeInfo } from '../../src/shim/messages/bootstrap.ts';
import { RuncOptions } from '../../src/shim/messages/options.ts';
import { DeleteResponse } from '../../src/shim/messages/task.ts';
import {
  cgroupsOf,
  expect,
  namespaces,
  processesOf,
  scratch,
  stateRoot,
  test as anyTest,
  until,
} from '../harness/index.ts';
import { Shim, shim, shimProgram, TaskClient } from '../harness/shim.ts';

const test = (name: string, body: (t: TestContext) => void | Promise<void>): void =>
  anyTest(name, { only: ['tsrun'] }, body);

const group = (name: string) => ({ annotations: { 'io.kubernetes.cri.sandbox-id': name } });

test('start prints where the shim listens, in a file too: a socket for root alone at a path that follows from the container', async (t) => {
  const s = shim(t);
  const sum = createHash('sha256')
    .update(`${join(scratch, 'containerd.sock')}/test/${s.id}`)
    .digest('hex');
  expect(s.printed).toBe(`unix:///run/containerd/s/${sum}`);
  expect(s.address).toBe(s.printed);
  expect(statSync(s.path).mode & 0o777).toBe(0o600);
  const pid = s.pid();
  const own = Number(readFileSync(`/proc/${process.pid}/oom_score_adj`, 'utf8'));
  expect(Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'))).toBe(own + 1);
  await s.shutdown();
  await until('it has ended', () => !existsSync(`/proc/${pid}/exe`));
});

test('containers of a pod share a shim, and others do not', async (t) => {
  const [first, second, other] = [shim(t, group('pod-a')), shim(t, group('pod-a')), shim(t, group('pod-b'))];
  expect(second.address).toBe(first.address);
  expect(other.address).not.toBe(first.address);
  expect((await second.run(['true'])).status).toBe(0);
  await second.client.call('Delete', { id: second.id });
  await first.shutdown();
  await other.shutdown();
});

test('a socket at which nobody listens any more is taken over', async (t) => {
  const s = shim(t);
  await s.kill();
  const again = new Shim(s.box);
  t.onTestFinished(() => again.end());
  expect((await again.run(['echo', 'again'])).out).toBe('again\n');
  await again.client.call('Delete', { id: again.id });
  await again.shutdown();
});

test('a shim that leaves takes away its own socket only', async (t) => {
  const s = shim(t);
  rmSync(s.path);
  const next = new Shim(s.box);
  t.onTestFinished(() => next.end());
  expect(next.path).toBe(s.path);
  await s.client.call('Shutdown', { id: s.id });
  await until('one of two has ended', () => s.pids().length === 1);
  expect(existsSync(next.path)).toBe(true);
  await next.shutdown();
});

test('the answer of start is in the form that containerd asks for', async (t) => {
  const json = shim(t, {}, { env: { TSRUN_SHIM_API: '3' }, version: 3 });
  expect(JSON.parse(json.printed)).toEqual({ version: 3, address: json.address, protocol: 'ttrpc' });
  const box = shim(t);
  const params = encode(BootstrapParams, {
    instanceId: `${box.id}x`,
    namespace: 'test',
    containerdVersion: '2.3.0',
    containerdTtrpcAddress: box.events.path,
    containerdGrpcAddress: join(scratch, 'containerd.sock'),
    extensions: [{ value: pack(RuncOptions, { root: stateRoot }) }],
    socketDir: join(scratch, 's'),
  });
  const { stdout, stderr, status } = box.command('start', {}, params);
  expect([status, stderr.toString()]).toEqual([0, '']);
  const { version, address, protocol } = decode(BootstrapResult, stdout);
  expect({ version, protocol }).toEqual({ version: 3, protocol: 'ttrpc' });
  expect(address).toMatch(`unix://${join(scratch, 's')}/`);
  const client = new TaskClient(address.replace('unix://', ''), 3);
  expect((await client.call('Connect', { id: 'x' })).shimPid).toBeGreaterThan(1);
  await client.call('Shutdown', { id: 'x' });
  client.close();
});

test('both versions of the task service are served', async (t) => {
  const s = shim(t);
  const third = new TaskClient(s.path, 3);
  expect(await third.call('Connect', { id: s.id })).toEqual(await s.client.call('Connect', { id: s.id }));
  third.close();
  await s.shutdown();
});

test('-v and -info say what it is, without anything else', () => {
  const say = (input: Uint8Array, ...words: string[]) => spawnSync(shimProgram, words, { input });
  expect(say(new Uint8Array(0), '-v').stdout.toString()).toMatch(/^containerd-shim-tsrun-v2:\n {2}Version: /);
  const info = decode(RuntimeInfo, say(encode(Any, pack(RuncOptions, {})), '-info').stdout);
  expect(info.name).toBe('io.containerd.tsrun.v2');
  expect(info.options?.typeUrl).toBe('containerd.runc.v1.Options');
  expect(JSON.parse(Buffer.from(info.features?.value ?? []).toString())).toHaveProperty('linux.namespaces');
});

test('a wrong command line is an error that says what is wrong', () => {
  const say = (...words: string[]) => spawnSync(shimProgram, words, { input: '' }).stderr.toString();
  expect(say('-id', 'x', 'start')).toContain('namespace cannot be empty');
  expect(say('-namespace', 'a', 'start')).toContain('id cannot be empty');
  expect(say('-namespace', 'a', '-id', 'x', 'stop')).toContain('must be start or delete, found "stop"');
  expect(say('-nonsense')).toContain('not defined: -nonsense');
  expect(say('--namespace=a', '--id')).toContain('needs an argument: -id');
});

test('delete ends what a shim leaves that was killed, and answers for it', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['sleep', '1000'];
  s.write();
  const rootfs = [{ type: 'bind', source: s.box.rootfs, options: ['rbind', 'ro'] }];
  const { pid } = await s.create({ rootfs });
  await s.client.call('Start', { id: s.id });
  await s.kill();
  expect(existsSync(`/proc/${pid}/exe`)).toBe(true);
  const { stdout, stderr, status } = s.command('delete');
  expect([status, stderr.toString()]).toEqual([0, '']);
  expect(decode(DeleteResponse, stdout)).toMatchObject({ pid, exitStatus: 137 });
  expect(processesOf({ id: s.id, bundle: s.bundle })).toEqual([]);
  expect(cgroupsOf(s.id)).toEqual([]);
  expect(existsSync(s.path)).toBe(false);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(s.bundle);
  expect(s.command('delete').status).toBe(0);
});

test('delete of a pod takes away the containers of the pod that have nobody else to ask for', async (t) => {
  const pod = shim(t, group('pod-c'));
  const member = shim(t, group('pod-c'));
  for (const s of [pod, member]) {
    s.box.config.process.args = ['sleep', '1000'];
    s.write();
    await s.create();
    await s.client.call('Start', { id: s.id });
  }
  writeFileSync(join(member.bundle, 'sandbox'), pod.id);
  writeFileSync(join(pod.bundle, 'bootstrap.json'), '{}');
  await pod.kill();
  expect(pod.command('delete').status).toBe(0);
  for (const s of [pod, member]) expect(cgroupsOf(s.id)).toEqual([]);
});

test('delete for what was never there answers at once', (t) => {
  const s = shim(t);
  const { stdout, status } = s.command('delete');
  expect(status).toBe(0);
  expect(decode(DeleteResponse, stdout)).toMatchObject({ pid: 0xffffffff, exitStatus: 137 });
});

/** A place for layers that an overlay takes, whatever the tests' own directory lies on. */
function layers(t: TestContext, s: Shim) {
  const dir = s.box.path('layers');
  mkdirSync(dir);
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', dir]);
  t.onTestFinished(() => void spawnSync('umount', ['--lazy', dir]));
  const make = (name: string): string => {
    mkdirSync(join(dir, name));
    return join(dir, name);
  };
  const options = [`upperdir=${make('upper')}`, `workdir=${make('work')}`];
  const base = make('base');
  spawnSync('cp', ['-a', `${s.box.rootfs}/.`, base]);
  const run = async (lower: readonly string[], more: readonly string[], ...args: string[]): Promise<string> => {
    s.box.config.process.args = args;
    s.write();
    const streams = s.streams();
    const all = [...options, `lowerdir=${[...lower, base].join(':')}`, ...more];
    await s.create({ ...streams.names, rootfs: [{ type: 'overlay', source: 'overlay', options: all }] });
    const waiting = s.client.call('Wait', { id: s.id });
    await s.client.call('Start', { id: s.id });
    await waiting;
    await s.client.call('Delete', { id: s.id });
    return (await streams.out()) + (await streams.err());
  };
  return { dir, make, run };
}

const ownRoot = { root: { path: 'mounted', readonly: false } };

test('a root file system of layers, of more of them than a page has room for, and nothing is left of it', async (t) => {
  const s = shim(t, ownRoot);
  const { dir, make, run } = layers(t, s);
  expect(await run([], [], 'sh', '-c', 'echo x > /new; cat /new')).toBe('x\n');
  expect(readFileSync(join(dir, 'upper/new'), 'utf8')).toBe('x\n');
  const many = Array.from({ length: 100 }, (_, index) => make(`layer-with-a-longer-name-${index}`));
  expect(many.join(':').length).toBeGreaterThan(4096);
  writeFileSync(join(many[0] ?? '', 'mark'), 'from the first layer\n');
  expect(await run(many, [], 'cat', '/mark')).toBe('from the first layer\n');
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(s.bundle);
});

// A tmpfs maps ids since Linux 6.3.
anyTest('layers are seen with the ids of a user namespace', { only: ['tsrun'], needs: ['kernel:6.3'] }, async (t) => {
  const s = shim(t, ownRoot);
  const { run } = layers(t, s);
  const mapped = ['uidmap=0:1000:65536', 'gidmap=0:2000:65536'];
  expect(await run([], mapped, 'stat', '-c', '%u:%g', '/bin/busybox')).toBe('1000:2000\n');
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(s.bundle);
});

anyTest('a root file system in a file', { only: ['tsrun'], needs: ['program:mke2fs'] }, async (t) => {
  const s = shim(t, ownRoot);
  const image = s.box.path('image');
  // Where nobody has asked for a loop device yet; on some kernels it is built in.
  spawnSync('modprobe', ['loop']);
  const made = spawnSync('mke2fs', ['-q', '-t', 'ext4', '-d', s.box.rootfs, image, '32M']);
  expect([made.status, made.stderr.toString()]).toEqual([0, '']);
  s.box.config.process.args = ['sh', '-c', 'echo x > /new && grep " / " /proc/mounts'];
  s.write();
  const streams = s.streams();
  await s.create({ ...streams.names, rootfs: [{ type: 'ext4', source: image, options: ['loop', 'direct-io'] }] });
  const waiting = s.client.call('Wait', { id: s.id });
  await s.client.call('Start', { id: s.id });
  expect((await waiting).exitStatus).toBe(0);
  expect(await streams.out()).toMatch(/^\/dev\/loop\d+ \/ ext4 /);
  await s.client.call('Delete', { id: s.id });
  await until('the device is free', () => !spawnSync('losetup').stdout.toString().includes(image));
});

test('with IoUid, IoGid and Root, another user of a user namespace writes to its own streams by their names', async (t) => {
  const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const s = shim(t, { ...namespaces({ add: ['user'] }), process: { user: { uid: 7, gid: 7 } } });
  s.box.config.linux.uidMappings = ids;
  s.box.config.linux.gidMappings = ids;
  s.box.giveTo(100_000);
  s.box.config.process.args = ['sh', '-c', 'echo out > /dev/stdout; echo err > /dev/stderr; id -u'];
  s.write();
  const streams = s.streams();
  const root = join(stateRoot, 'elsewhere');
  await s.create({ ...streams.names, options: pack(RuncOptions, { root, ioUid: 100_000, ioGid: 100_000 }) });
  expect(existsSync(join(root, 'test', s.id, 'state.json'))).toBe(true);
  const waiting = s.client.call('Wait', { id: s.id });
  await s.client.call('Start', { id: s.id });
  expect((await waiting).exitStatus).toBe(0);
  expect([await streams.out(), await streams.err()]).toEqual(['out\n7\n', 'err\n']);
  await s.kill();
  expect(s.command('delete').status).toBe(0);
  expect(existsSync(join(root, 'test', s.id))).toBe(false);
});

test('a file system in user space is mounted by its program', async (t) => {
  const program = join(scratch, 'fuse-programs', 'mount.fuse');
  mkdirSync(join(program, '..'), { recursive: true });
  writeFileSync(program, '#!/bin/sh\necho "$@" > "$1/said"\nexec mount --bind "$1" "$2"\n', { mode: 0o755 });
  const env = { PATH: `${join(program, '..')}:${process.env['PATH']}` };
  const s = shim(t, ownRoot, { env });
  s.box.config.process.args = ['cat', '/said'];
  s.write();
  const streams = s.streams();
  const rootfs = [{ type: 'fuse.own', source: s.box.rootfs, options: ['ro', 'nosuid'] }];
  await s.create({ ...streams.names, rootfs });
  await s.client.call('Start', { id: s.id });
  await s.client.call('Wait', { id: s.id });
  expect(await streams.out()).toBe(`${s.box.rootfs} ${s.bundle}/rootfs -o ro,nosuid -t own\n`);
  await s.client.call('Delete', { id: s.id });
});
