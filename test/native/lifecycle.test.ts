// The lifecycle as engines drive it: create, start, kill, delete, and what `state` and `list` say in between.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { container, expect, stateRoot, test, until } from '../harness/index.ts';
import { parentOf } from '../harness/parents.ts';

const inItsOwnWords = { except: { crun: 'it words its errors differently' } };
const inItsOwnShape = { except: { crun: 'its state has other keys' } };

test('a container is created, then running, then stopped, then gone', async (t) => {
  const box = container(t);
  expect(box.create('probe', 'sleep').code).toBe(0);
  expect(box.state().status).toBe('created');
  expect(box.start().code).toBe(0);
  await box.says('ready');
  expect(box.state().status).toBe('running');
  expect(box.kill('KILL').code).toBe(0);
  await box.reaches('stopped');
  expect(box.delete().code).toBe(0);
  expect(box.call('state', [box.id]).code).toBe(1);
  expect(existsSync(join(stateRoot, box.id))).toBe(false);
});

test('create does not run the program before start', async (t) => {
  const box = container(t).created('sh', '-c', 'echo started; exec probe sleep');
  expect(box.output()).toBe('');
  box.start();
  await box.says('started');
});

test('create, start, kill and delete print nothing when all is well', async (t) => {
  const box = container(t);
  const results = [box.create('sleep', '100'), box.start(), box.kill('KILL')];
  await box.reaches('stopped');
  for (const result of [...results, box.delete()]) expect(result).toEqual({ code: 0, out: '', err: '' });
});

test('state has the keys of runc in the order of runc', inItsOwnShape, async (t) => {
  const box = container(t).created('sleep', '100');
  const { out } = box.call('state', [box.id]);
  expect(Object.keys(JSON.parse(out))).toEqual([
    'ociVersion',
    'id',
    'pid',
    'status',
    'bundle',
    'rootfs',
    'created',
    'owner',
  ]);
  expect(out).toBe(JSON.stringify(JSON.parse(out), null, 2));
});

test('state tells the bundle, the rootfs, the pid and the time of creation', inItsOwnShape, (t) => {
  const before = Date.now();
  const state = container(t).created('sleep', '100').state();
  expect(state).toMatchObject({
    bundle: join(stateRoot, '..', state.id, 'bundle'),
    rootfs: join(stateRoot, '..', state.id, 'bundle/rootfs'),
  });
  expect(existsSync(`/proc/${state.pid}`)).toBe(true);
  expect(state.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  expect(Math.abs(Date.parse(state.created) - before)).toBeLessThan(10_000);
});

test('state carries the annotations of the config', (t) => {
  const box = container(t, { annotations: { 'org.example.key': 'a "quoted" value' } }).created('sleep', '100');
  expect(box.state().annotations).toMatchObject({ 'org.example.key': 'a "quoted" value' });
});

test('the pid in the state is that of the container from outside', async (t) => {
  const box = await container(t).started();
  expect(readFileSync(`/proc/${box.state().pid}/cmdline`, 'utf8')).toBe('probe\0sleep\0');
});

test('a stopped container has the pid 0', async (t) => {
  const box = container(t).created('true');
  box.start();
  await box.reaches('stopped');
  expect(box.state().pid).toBe(0);
});

test('a second create with the same id is refused and leaves the first alone', inItsOwnWords, (t) => {
  const box = container(t).created('sleep', '100');
  const second = box.create('true');
  expect(second.code).toBe(1);
  expect(second.err).toContain('container with given ID already exists');
  expect(box.state().status).toBe('created');
});

test('starting a running container is refused', inItsOwnWords, async (t) => {
  const box = await container(t).started();
  const again = box.start();
  expect(again.code).toBe(1);
  expect(again.err).toContain('cannot start an already running container');
});

test('starting a stopped container is refused', inItsOwnWords, async (t) => {
  const box = container(t).created('true');
  box.start();
  await box.reaches('stopped');
  const again = box.start();
  expect(again.code).toBe(1);
  expect(again.err).toContain('cannot start a container that has stopped');
});

test('deleting a running container without --force is refused', inItsOwnWords, async (t) => {
  const box = await container(t).started();
  const refused = box.delete();
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(new RegExp(`cannot delete container "?${box.id}"? that is not stopped: running`));
  expect(box.state().status).toBe('running');
});

test('delete --force ends a running container and removes it', async (t) => {
  const box = await container(t).started();
  const { pid } = box.state();
  expect(box.delete('--force').code).toBe(0);
  expect(box.leaks()).toEqual([]);
  await until('its process is gone', () => !existsSync(`/proc/${pid}`));
});

test('a created container can be deleted without --force', (t) => {
  const box = container(t).created('sleep', '100');
  expect(box.delete().code).toBe(0);
  expect(box.leaks()).toEqual([]);
});

test('delete --force of an unknown id succeeds', (t) => {
  expect(container(t).delete('--force')).toMatchObject({ code: 0, out: '' });
});

for (const verb of ['state', 'start', 'kill', 'delete']) {
  test(`${verb} of an unknown id says that the container does not exist`, inItsOwnWords, (t) => {
    const box = container(t);
    const result = box.call(verb, [box.id]);
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain('container does not exist');
  });
}

test('kill of a stopped container says that it is not running', inItsOwnWords, async (t) => {
  const box = container(t).created('true');
  box.start();
  await box.reaches('stopped');
  const result = box.kill('TERM');
  expect(result.code).toBe(1);
  expect(result.err).toContain('container not running');
});

for (const [asked, number] of [
  ['TERM', 15],
  ['SIGTERM', 15],
  ['15', 15],
  ['HUP', 1],
  ['usr1', 10],
  ['USR2', 12],
  ['28', 28],
] as const) {
  test(
    `kill ${asked} sends signal ${number}`,
    asked === 'usr1' ? { except: { crun: 'it wants upper case' } } : {},
    async (t) => {
      const box = await container(t).started('probe', 'catch', String(number));
      await box.says('ready');
      expect(box.kill(asked).code).toBe(0);
      await box.says(`got ${number}`);
      await box.reaches('stopped');
    },
  );
}

test('kill without a signal sends TERM', async (t) => {
  const box = await container(t).started('probe', 'catch', '15');
  await box.says('ready');
  box.kill();
  await box.says('got 15');
});

test('kill with a signal that does not exist is refused', {
  except: { crun: 'crun 1.8 takes it for signal 0' },
}, async (t) => {
  const box = await container(t).started();
  expect(box.kill('NOSUCH').code).toBe(1);
  expect(box.state().status).toBe('running');
});

test('kill --all is accepted, as shims still send it', async (t) => {
  const box = await container(t).started();
  expect(box.call('kill', ['--all', box.id, '9']).code).toBe(0);
  await box.reaches('stopped');
});

test('kill works on a container that is only created', async (t) => {
  const box = container(t).created('sleep', '100');
  expect(box.kill('KILL').code).toBe(0);
  await box.reaches('stopped');
  expect(box.delete().code).toBe(0);
});

test('list shows a table with one line per container', { except: { crun: 'its table has other columns' } }, (t) => {
  const box = container(t).created('sleep', '100');
  const [header = '', ...lines] = box.list().out.trim().split('\n');
  expect(header.trim().split(/\s+/)).toEqual(['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER']);
  expect(lines).toHaveLength(1);
  const { id, pid, bundle, created } = box.state();
  expect(lines[0]?.trim().split(/\s+/)).toEqual([id, String(pid), 'created', bundle, created, 'root']);
  expect(header.indexOf('PID')).toBe(Math.max(12, id.length + 3));
});

test('list --format json shows what state shows, with the owner', inItsOwnShape, (t) => {
  const box = container(t).created('sleep', '100');
  expect(JSON.parse(box.list('--format', 'json').out)).toEqual([{ ...box.state(), owner: 'root' }]);
});

test('list --format json of nothing is an empty value', (t) => {
  expect(JSON.parse(container(t).list('--format', 'json').out) ?? []).toEqual([]);
});

test('list -q shows the ids only', (t) => {
  const box = container(t).created('sleep', '100');
  expect(box.list('-q').out).toBe(`${box.id}\n`);
  box.delete('--force');
  expect(box.list('-q').out).toBe('');
});

test('the pid file holds the pid and no newline, and nothing else is beside it', (t) => {
  const box = container(t);
  box.prepare(['sleep', '100']);
  mkdirSync(box.path('pids'));
  expect(box.call('create', ['--bundle', box.bundle, '--pid-file', box.path('pids/pid'), box.id]).code).toBe(0);
  expect(readFileSync(box.path('pids/pid'), 'utf8')).toBe(String(box.state().pid));
  expect(readdirSync(box.path('pids'))).toEqual(['pid']);
});

test('the pid file is not written through a file that somebody put in its way', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['sleep', '100']);
  const victim = box.path('victim');
  writeFileSync(victim, 'mine');
  mkdirSync(box.path('pids'));
  const through = ['sh', '-c', `ln ${victim} ${box.path('pids')}/.pid.$$; exec "$@"`, 'sh'];
  const flags = ['--bundle', box.bundle, '--pid-file', box.path('pids/pid'), box.id];
  expect(box.call('create', flags, { through }).code).toBe(0);
  expect(readFileSync(victim, 'utf8')).toBe('mine');
  expect(readFileSync(box.path('pids/pid'), 'utf8')).toBe(String(box.state().pid));
});

test('starting a container whose init ends at that moment says that it has stopped', { only: ['tsrun'] }, async (t) => {
  const box = container(t).created('sleep', '100');
  const gate = join(stateRoot, box.id, 'start.sock');
  rmSync(gate);
  // Whoever listens hangs up at once, as the kernel does for a process that dies.
  const server = createServer((socket) => socket.destroy());
  t.onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(gate, resolve));
  const [command, ...args] = box.argv('start', box.id);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: box.env() });
  let said = '';
  child.stderr.on('data', (data) => (said += data));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(said).toContain('cannot start a container that has stopped');
  expect(code).toBe(1);
});

test('a relative pid file is relative to where the caller stands, not to the bundle', {
  except: { crun: 'crun 1.8 looks in the bundle' },
}, (t) => {
  const box = container(t);
  box.prepare(['sleep', '100']);
  box.call('create', ['--bundle', box.bundle, '--pid-file', 'here', box.id], { cwd: box.dir });
  expect(readFileSync(box.path('here'), 'utf8')).toBe(String(box.state().pid));
});

test('the state directory is closed to everybody else', (t) => {
  const box = container(t).created('sleep', '100');
  expect(statSync(join(stateRoot, box.id)).mode & 0o077 & ~0o011, 'no reading, no writing').toBe(0);
});

test('a process that leaves before start makes the container stopped, not running', async (t) => {
  const box = container(t).created('sleep', '100');
  process.kill(box.state().pid, 'SIGKILL');
  await box.reaches('stopped');
  expect(box.start().code).toBe(1);
});

test('while created, only init holds memory: the engine that made it is gone', (t) => {
  const box = container(t).created('sleep', '100');
  const { pid } = box.state();
  expect(readFileSync(`/proc/${parentOf(pid)}/cmdline`, 'utf8')).not.toContain(box.id);
});
