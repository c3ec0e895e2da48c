// The task service of containerd-shim-tsrun-v2, asked directly: what it answers, and the order in which it tells.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Status } from '../../src/shim/messages/task.ts';
import { StatusError } from '../../src/ttrpc/status.ts';
import { expect, namespaces, test as anyTest, until } from '../harness/index.ts';
import { type Shim, shim, TaskClient } from '../harness/shim.ts';
import type { TestContext } from 'vitest';

const test = (name: string, body: (t: TestContext) => Promise<void>): void => anyTest(name, { only: ['tsrun'] }, body);

/** Code and sentence of a call that fails. */
async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'no failure';
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

/** Asks until a call fails as expected, or no longer does. */
async function untilIt(fails: boolean, code: string, call: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; (await failure(call())).startsWith(code) !== fails; tries++) {
    if (tries > 500) throw new Error(`waited in vain for ${code}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const status = async ({ client, id }: Shim, execId = ''): Promise<number> =>
  (await client.call('State', { id, execId })).status;

test('a task from Create to Shutdown: its states, its streams, its events in order, and nothing is left', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['sh', '-c', 'read line; echo "out $line"; echo err >&2; exit 7'];
  s.write();
  const streams = s.streams();
  const { pid } = await s.create(streams.names);
  expect(await s.client.call('State', { id: s.id })).toMatchObject({
    id: s.id,
    bundle: s.bundle,
    pid,
    status: Status.CREATED,
    stdout: streams.names.stdout,
    exitedAt: { seconds: -62135596800 },
  });
  expect((await s.client.call('Connect', { id: s.id })).taskPid).toBe(pid);
  const waiting = s.client.call('Wait', { id: s.id });
  expect((await s.client.call('Start', { id: s.id })).pid).toBe(pid);
  expect(await status(s)).toBe(Status.RUNNING);
  expect((await s.client.call('Pids', { id: s.id })).processes.map((process) => process.pid)).toContain(pid);
  writeFileSync(streams.names.stdin, 'text\n');
  const { exitStatus, exitedAt } = await waiting;
  expect(exitStatus).toBe(7);
  expect(await s.client.call('State', { id: s.id })).toMatchObject({ status: Status.STOPPED, exitStatus: 7, exitedAt });
  expect([await streams.out(), await streams.err()]).toEqual(['out text\n', 'err\n']);
  expect(await s.client.call('Delete', { id: s.id })).toEqual({ pid, exitStatus: 7, exitedAt });
  expect(await failure(s.client.call('State', { id: s.id }))).toBe('5 container not created: not found');
  await s.shutdown();
  await s.events.toHaveTold(['create', 'start', 'exit', 'delete']);
  expect(s.events.heard[2]?.event).toMatchObject({ containerId: s.id, id: s.id, pid, exitStatus: 7, exitedAt });
  expect(s.command('delete').status).toBe(0);
});

test('an end in the moment of the start is told after it, every time', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['true'];
  s.write();
  for (let round = 0; round < 10; round++) {
    await s.create();
    await s.client.call('Start', { id: s.id });
    await s.client.call('Wait', { id: s.id });
    await s.client.call('Delete', { id: s.id });
  }
  await s.shutdown();
  await s.events.toHaveTold(Array.from({ length: 10 }, () => ['create', 'start', 'exit', 'delete']).flat());
});

test('execs: registered, started, waited for and deleted; their ends come before that of the container', async (t) => {
  const s = shim(t, namespaces({ without: ['pid'] }));
  s.box.config.process.args = ['sleep', '1000'];
  s.write();
  await s.create();
  await s.client.call('Start', { id: s.id });
  const streams = s.streams();
  await s.exec('one', ['sh', '-c', 'echo inside; exit 33'], streams.names);
  expect(await failure(s.exec('one', ['true']))).toBe('6 id one: already exists');
  expect(await s.client.call('State', { id: s.id, execId: 'one' })).toMatchObject({ status: Status.CREATED, pid: 0 });
  expect(await failure(s.client.call('Kill', { id: s.id, execId: 'one', signal: 9 }))).toMatch(/^9 /);
  await s.client.call('Start', { id: s.id, execId: 'one' });
  expect((await s.client.call('Wait', { id: s.id, execId: 'one' })).exitStatus).toBe(33);
  expect(await streams.out()).toBe('inside\n');
  expect(await failure(s.client.call('Kill', { id: s.id, execId: 'one', signal: 9 }))).toBe(
    '5 process already finished: not found',
  );
  await s.client.call('Delete', { id: s.id, execId: 'one' });
  await s.exec('two', ['sleep', '1000']);
  const { pid } = await s.client.call('Start', { id: s.id, execId: 'two' });
  const { processes } = await s.client.call('Pids', { id: s.id });
  expect(processes.find((process) => process.pid === pid)?.info?.typeUrl).toBe('containerd.runc.v1.ProcessDetails');
  expect(await failure(s.client.call('Delete', { id: s.id, execId: 'two' }))).toMatch(/^9 cannot delete a running/);
  expect(await failure(s.client.call('Delete', { id: s.id }))).toMatch(/^9 cannot delete a running process/);
  await s.client.call('Kill', { id: s.id, signal: 9 });
  expect((await s.client.call('Wait', { id: s.id })).exitStatus).toBe(137);
  expect((await s.client.call('Wait', { id: s.id, execId: 'two' })).exitStatus).toBe(137);
  expect(await failure(s.exec('three', ['true']))).toMatch(/^9 cannot exec in a stopped container/);
  await s.client.call('Delete', { id: s.id });
  await s.shutdown();
  const one = ['exec-added one', 'exec-started one', 'exit one'];
  const two = ['exec-added two', 'exec-started two', 'exit two'];
  await s.events.toHaveTold(['create', 'start', ...one, ...two, 'exit', 'delete']);
});

test('an exec of a program that is not there fails in the words that clients look for, and can be waited for', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['sleep', '1000'];
  s.write();
  await s.create();
  await s.client.call('Start', { id: s.id });
  await s.exec('bad', ['no-such-program']);
  const waiting = s.client.call('Wait', { id: s.id, execId: 'bad' });
  expect(await failure(s.client.call('Start', { id: s.id, execId: 'bad' }))).toMatch(
    /^2 OCI runtime exec failed: .*executable file not found in \$PATH/,
  );
  expect((await waiting).exitStatus).toBe(255);
  await s.client.call('Delete', { id: s.id, execId: 'bad' });
});

test('a failing Create says why and leaves nothing', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['no-such-program'];
  s.write();
  const rootfs = [{ type: 'bind', source: s.box.rootfs, options: ['rbind', 'ro'] }];
  expect(await failure(s.create({ rootfs }))).toMatch(/^2 OCI runtime create failed: .*executable file not found/);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(s.bundle);
  expect(await failure(s.client.call('Delete', { id: s.id }))).toMatch(/^5 /);
  await s.shutdown();
  expect(s.events.topics).toEqual([]);
});

test('calls for what is not there, or not possible, have the codes that containerd acts on', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['sleep', '1000'];
  s.write();
  for (const method of ['Start', 'Delete', 'Pids', 'Pause', 'Resume', 'Kill', 'Update', 'Wait', 'Stats'] as const)
    expect(await failure(s.client.call(method, { id: 'nobody' })), method).toBe('5 container not created: not found');
  expect(await s.client.call('Connect', { id: 'nobody' })).toMatchObject({ taskPid: 0, shimPid: s.pid() });
  expect(await failure(s.create({ checkpoint: '/somewhere' }))).toMatch(/^12 .*not implemented$/);
  expect(await failure(s.create({ options: { typeUrl: 'a.b.Options', value: new Uint8Array(1) } }))).toMatch(/^3 /);
  await s.create();
  expect(await failure(s.create())).toBe(`6 container ${s.id}: already exists`);
  expect(await failure(s.client.call('Checkpoint', { id: s.id }))).toMatch(/^12 /);
  expect(await failure(s.client.call('State', { id: s.id, execId: 'none' }))).toBe(
    '5 process does not exist none: not found',
  );
  await s.client.call('Shutdown', { id: s.id });
  await s.client.call('Start', { id: s.id });
  expect(await failure(s.client.call('Start', { id: s.id }))).toMatch(/^9 /);
  await s.client.call('CloseIO', { id: s.id, stdin: true });
  await s.client.call('ResizePty', { id: s.id, width: 80, height: 25 });
});

test('pause, resume, metrics and update', async (t) => {
  const s = shim(t);
  s.box.config.process.args = ['sleep', '1000'];
  s.write();
  await s.create();
  await s.client.call('Start', { id: s.id });
  await s.client.call('Pause', { id: s.id });
  expect(await status(s)).toBe(Status.PAUSED);
  expect(await failure(s.client.call('Pause', { id: s.id }))).toMatch(/^9 cannot pause a paused container/);
  expect(await failure(s.exec('one', ['true']))).toMatch(/^9 cannot exec in a paused container/);
  await s.client.call('Resume', { id: s.id });
  expect(await status(s)).toBe(Status.RUNNING);
  expect((await s.client.call('Stats', { id: s.id })).stats?.typeUrl).toBe('io.containerd.cgroups.v2.Metrics');
  const resources = (text: string) => ({ typeUrl: '', value: Buffer.from(text) });
  const change = '{"devices":[{"allow":false,"access":"rwm"}],"cpu":{}}';
  await s.client.call('Update', { id: s.id, resources: resources(change) });
  expect(await failure(s.client.call('Update', { id: s.id, resources: resources('{"cpu":7}') }))).toMatch(/\/cpu/);
  await s.client.call('Kill', { id: s.id, signal: 9, all: true });
  await s.client.call('Wait', { id: s.id });
  await s.client.call('Kill', { id: s.id, signal: 9, all: true });
  await s.client.call('Delete', { id: s.id });
  await s.shutdown();
  await s.events.toHaveTold(['create', 'start', 'paused', 'resumed', 'exit', 'delete']);
});

test('a container that was never started is deleted, and its end is told', async (t) => {
  const s = shim(t);
  await s.create();
  await s.exec('never', ['true']);
  const waiting = s.client.call('Wait', { id: s.id, execId: 'never' });
  expect((await s.client.call('Delete', { id: s.id })).exitStatus).toBe(137);
  // Nobody waits for ever for what can never be.
  expect((await waiting).exitStatus).toBe(255);
  await s.shutdown();
  await s.events.toHaveTold(['create', 'exec-added never', 'exit', 'delete']);
});

test('nothing waits for a hook that is slow, and its container is another matter', async (t) => {
  const slow = shim(t, { annotations: { 'io.containerd.runc.v2.group': 'slow-hook' } });
  const end = slow.box.path('end');
  const wait = `until [ -e ${end} ]; do sleep 0.05; done`;
  slow.box.config.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', wait], timeout: 60 }] };
  slow.write();
  const other = shim(t, { annotations: { 'io.containerd.runc.v2.group': 'slow-hook' } });
  expect(other.address).toBe(slow.address);
  const creating = slow.create();
  expect((await other.run(['echo', 'quick'])).out).toBe('quick\n');
  await other.client.call('Delete', { id: other.id });
  writeFileSync(end, '');
  await creating;
  await slow.client.call('Delete', { id: slow.id });
  await slow.shutdown();
});

test('a worker that is killed is an error of its call, and the shim goes on', async (t) => {
  const s = shim(t);
  // A hook is a child of the worker.
  s.box.config.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'kill -9 $PPID'] }] };
  s.write();
  expect(await failure(s.create())).toMatch(/^2 create .*killed by signal 9/);
  delete s.box.config.hooks;
  s.box.config.process.args = ['echo', 'again'];
  s.write();
  const streams = s.streams();
  await untilIt(false, '6', () => s.create(streams.names));
  await s.client.call('Start', { id: s.id });
  expect(await streams.out()).toBe('again\n');
  await s.client.call('Wait', { id: s.id });
  await s.client.call('Delete', { id: s.id });
  await s.shutdown();
});

test('a client that gives up Create leaves no container behind', async (t) => {
  const s = shim(t);
  s.box.config.hooks = { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '0.5'] }] };
  s.write();
  const impatient = new TaskClient(s.path);
  const creating = failure(impatient.call('Create', { id: s.id, bundle: s.bundle }));
  await untilIt(true, '6', () => s.create({ options: { typeUrl: 'a.b.Options', value: new Uint8Array(1) } }));
  impatient.close();
  expect(await creating).toMatch(/ttrpc: closed/);
  delete s.box.config.hooks;
  s.box.config.process.args = ['true'];
  s.write();
  await untilIt(false, '6', () => s.create());
  await s.client.call('Delete', { id: s.id });
  await s.events.toHaveTold(['create', 'exit', 'delete']);
  expect(existsSync(`/run/containerd/tsrun/test/${s.id}`)).toBe(false);
});

test('events that containerd was not there for come when it is, in order', async (t) => {
  const s = shim(t);
  s.events.close();
  expect((await s.run(['true'])).status).toBe(0);
  await s.client.call('Delete', { id: s.id });
  expect(s.events.topics).toEqual([]);
  s.events.open();
  await s.events.toHaveTold(['create', 'start', 'exit', 'delete']);
});

anyTest(
  'tasks one after the other in one shim cost neither memory nor descriptors',
  { only: ['tsrun'], timeout: 30_000 },
  async (t) => {
    const s = shim(t);
    s.box.config.process.args = ['true'];
    s.write();
    const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    const fds = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const round = async (): Promise<void> => {
      await s.create();
      await s.exec('e', ['true']);
      await s.client.call('Start', { id: s.id });
      await s.client.call('Wait', { id: s.id });
      await s.client.call('Delete', { id: s.id });
    };
    const pid = s.pid();
    for (let count = 0; count < 10; count++) await round();
    // What the last worker has is closed when it has ended, a moment after the answer.
    await until('the last worker has ended', () => s.pids().length === 1);
    const before = { rss: rss(), fds: fds() };
    for (let count = 0; count < 40; count++) await round();
    await until('all descriptors are closed', () => fds() <= before.fds);
    expect(rss() - before.rss).toBeLessThan(1024);
    expect(rss()).toBeLessThan(6144);
    await t.annotate(`RSS ${before.rss} kB, after 40 tasks more ${rss()} kB`);
  },
);
