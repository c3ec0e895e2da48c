// Containers whose processes do what no program should: unreadable names, a first thread that ends, cgroups of their own.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, container, expect, namespaces, test, until } from '../harness/index.ts';

const cgroupOf = (box: Container): string => {
  const text = readFileSync(`/proc/${box.state().pid}/cgroup`, 'utf8');
  return join('/sys/fs/cgroup', /^0::(.*)$/m.exec(text)?.[1] ?? '');
};

const members = (cgroup: string): number[] =>
  readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);

const isCalled = (pid: number, text: string): boolean => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);

test('a process whose name is no text is found, listed, signalled and deleted', async (t) => {
  const box = await container(t).started('probe', 'sleep-unreadable');
  await box.says('ready');
  expect(box.state().status).toBe('running');
  expect(box.list('-q').out).toContain(box.id);
  expect(box.kill('KILL').code).toBe(0);
  await box.reaches('stopped');
  expect(box.delete().code).toBe(0);
});

for (const manager of ['cgroupfs', 'disabled']) {
  test(`a process whose first thread has ended runs, is killed and is deleted (cgroups ${manager})`, {
    except: {
      runc: 'runc takes its state Z for its end, and fails to remove its cgroup',
      crun: 'crun takes its state Z for its end',
    },
  }, async (t) => {
    const box = container(t);
    box.prepare(['probe', 'sleep-leaderless']);
    const call = (verb: string, ...rest: string[]) => box.call(`--cgroup-manager=${manager}`, [verb, ...rest]);
    expect(call('create', '--bundle', box.bundle, box.id).code).toBe(0);
    const { pid } = box.state();
    expect(call('start', box.id).code).toBe(0);
    await until('the first thread has ended', () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
    expect(box.state().status).toBe('running');
    expect(box.kill('TERM').code).toBe(0);
    expect(call('delete', '--force', box.id)).toMatchObject({ code: 0, err: '' });
    await until('its process is gone', () => box.leaks().length === 0);
  });
}

test('a process without its first thread is killed wherever it stands below the cgroup', {
  except: { runc: 'runc trusts cgroup.kill, which passes over it' },
}, async (t) => {
  const box = container(t, namespaces({ without: ['pid'] }));
  await box.started('sh', '-c', 'probe sleep-leaderless & exec probe sleep');
  await until('two processes are there', () => members(cgroupOf(box)).length === 2);
  const cgroup = cgroupOf(box);
  const pid = members(cgroup).find((member) => member !== box.state().pid) ?? 0;
  await until('the first thread has ended', () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  expect(box.kill('KILL').code).toBe(0);
  await until('its process is gone', () => box.leaks().every((leak) => !leak.startsWith('process')));
});

test('cgroups that the container nested more than 64 deep are removed with it', async (t) => {
  const box = await container(t).started();
  const cgroup = cgroupOf(box);
  mkdirSync(join(cgroup, ...Array.from({ length: 200 }, () => 'd')), { recursive: true });
  mkdirSync(join(cgroup, 'd/d/e/f'), { recursive: true });
  mkdirSync(join(cgroup, 'd/c'));
  expect(box.delete('--force')).toMatchObject({ code: 0, err: '' });
  expect(box.leaks()).toEqual([]);
});

test('kill --all reaches the processes of cgroups below the container', async (t) => {
  const box = container(t);
  await box.started('sh', '-c', 'probe catch 15 & probe sleep');
  await box.says('ready\nready');
  const below = join(cgroupOf(box), 'below');
  const pid = members(cgroupOf(box)).find((member) => isCalled(member, 'catch')) ?? 0;
  mkdirSync(below);
  writeFileSync(join(below, 'cgroup.procs'), String(pid));
  expect(box.call('kill', ['--all', box.id, 'TERM']).code).toBe(0);
  await box.says('got 15');
});

test('kill --all of a stopped container is no failure', async (t) => {
  const box = container(t).created('true');
  box.start();
  await box.reaches('stopped');
  expect(box.call('kill', ['--all', box.id, 'KILL'])).toMatchObject({ code: 0, err: '' });
});

test('a cgroup that cannot be removed is named with the call that failed', {
  only: ['tsrun'],
  timeout: 40_000,
}, (t) => {
  const box = container(t).created('sleep', '100');
  const cgroup = cgroupOf(box);
  // rmdir(2) of a mount point is refused for as long as it is one.
  const script = `mount --bind "$1" "$1"; shift; "$@"`;
  const result = box.call('delete', ['--force', box.id], {
    through: ['unshare', '-m', 'sh', '-c', script, 'sh', cgroup],
  });
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/remove dir failed: rmdir .*EBUSY/);
});
