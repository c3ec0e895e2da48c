// Where in the tree a container may be made, with limits, and what of the tree stays as it was.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  type Container,
  capabilities,
  cgroupFile,
  cgroupOf,
  cgroupRoot,
  container,
  expect,
  makeCgroup,
  type Result,
  settle,
  stateRoot,
  test,
  until,
} from '../harness/index.ts';

const needs = { needs: ['controller:memory' as const, 'controller:pids' as const] };
const resources = { memory: { limit: 64 << 20 }, pids: { limit: 50 } };

const read = (path: string, file: string): string => readFileSync(join(path, file), 'utf8').trim();

function limited(t: TestContext, cgroupsPath?: string): Container {
  return container(t, { linux: { resources, ...(cgroupsPath === undefined ? {} : { cgroupsPath }) } });
}

/** `create` by a runtime that itself is in this cgroup. */
function createFrom(cgroup: string, box: Container): Result {
  box.prepare(['sleep', '1000']);
  return box.call('create', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', `echo $$ > ${cgroup}/cgroup.procs; exec "$@"`, 'sh'],
  });
}

function expectLimits(box: Container): void {
  expect([cgroupFile(box, 'memory.max'), cgroupFile(box, 'pids.max')]).toEqual(['67108864', '50']);
}

test('from the root cgroup', needs, (t) => {
  const box = limited(t);
  expect(createFrom(cgroupRoot, box)).toMatchObject({ code: 0 });
  expectLimits(box);
});

test('from a leaf below other cgroups, beside which the container is put by default', {
  ...needs,
  except: { crun: 'crun takes a place below the root' },
}, (t) => {
  const slice = makeCgroup(t, `slice-${t.task.id}`);
  const service = makeCgroup(t, `slice-${t.task.id}/service`);
  const box = limited(t);
  expect(createFrom(service, box)).toMatchObject({ code: 0 });
  expectLimits(box);
  expect(dirname(cgroupOf(box))).toBe(slice);
  expect(box.delete('--force').code).toBe(0);
  expect(existsSync(service)).toBe(true);
});

test('controllers are enabled on all the way down', needs, (t) => {
  const top = makeCgroup(t, `top-${t.task.id}`);
  const box = limited(t, `/top-${t.task.id}/a/b/c/box`);
  box.created('sleep', '1000');
  expectLimits(box);
  for (const dir of ['', 'a', 'a/b', 'a/b/c']) {
    expect(read(join(top, dir), 'cgroup.subtree_control').split(' ')).toEqual(
      expect.arrayContaining(['memory', 'pids']),
    );
  }
  expect(read(cgroupOf(box), 'cgroup.subtree_control')).toBe('');
});

test('what was made on the way down is removed, what was there is not', { ...needs, only: ['tsrun'] }, (t) => {
  const top = makeCgroup(t, `top-${t.task.id}`);
  const box = limited(t, `/top-${t.task.id}/a/b/box`);
  box.created('sleep', '1000');
  expect(box.delete('--force').code).toBe(0);
  expect([existsSync(top), existsSync(join(top, 'a'))]).toEqual([true, false]);
});

test('a directory on the way is kept while another container is in it', { ...needs, only: ['tsrun'] }, (t) => {
  const top = makeCgroup(t, `top-${t.task.id}`);
  const [first, second] = [limited(t, `/top-${t.task.id}/pod/1`), limited(t, `/top-${t.task.id}/pod/2`)];
  first.created('sleep', '1000');
  second.created('sleep', '1000');
  expect(first.delete('--force').code).toBe(0);
  expect(second.state().status).toBe('created');
  expectLimits(second);
  expect(second.delete('--force').code).toBe(0);
  expect(existsSync(join(top, 'pod'))).toBe(true);
});

// cgroup-v2.rst, "No Internal Process Constraint".
test('what has no limit is counted all the same', { ...needs, except: { crun: 'crun counts some of it' } }, (t) => {
  const box = container(t).created('sleep', '1000');
  for (const file of ['memory.current', 'pids.current', 'io.stat', 'cpu.weight'])
    expect(existsSync(join(cgroupOf(box), file)), file).toBe(true);
});

test('below a cgroup with processes limits are refused with the reason, and nothing is left', {
  ...needs,
  except: { crun: 'it fails on cgroup.type, and does not say of which cgroup' },
}, (t) => {
  const busy = makeCgroup(t, `busy-${t.task.id}`);
  const stranger = settle(t, busy);
  const box = limited(t, `/busy-${t.task.id}/box`);
  const { code, err } = box.create('true');
  expect(code).toBe(1);
  expect(err).toMatch(/busy-/);
  expect(read(busy, 'cgroup.procs')).toBe(String(stranger.pid));
  expect(existsSync(join(busy, 'box'))).toBe(false);
});

test('below a cgroup with processes a container without limits runs', {
  ...needs,
  except: { runc: 'it enables every controller there is', crun: 'it makes the cgroup threaded, which fails' },
}, (t) => {
  const busy = makeCgroup(t, `busy-${t.task.id}`);
  settle(t, busy);
  const box = container(t, { linux: { cgroupsPath: `/busy-${t.task.id}/box` } });
  expect(box.run('true').code).toBe(0);
});

test('below the cgroup that the runtime itself is in, limits are refused with the reason', {
  ...needs,
  only: ['tsrun'],
}, (t) => {
  makeCgroup(t, `own-${t.task.id}`);
  const box = limited(t, `/own-${t.task.id}/box`);
  const { code, err } = createFrom(join(cgroupRoot, `own-${t.task.id}`), box);
  expect(code).toBe(1);
  expect(err).toContain(`own-${t.task.id}/cgroup.subtree_control`);
  expect(err).toMatch(/process/);
  expect(box.leaks()).toEqual([]);
});

test('an empty cgroup that is there already is used, and stays', { ...needs, only: ['tsrun'] }, (t) => {
  const there = makeCgroup(t, `there-${t.task.id}`);
  const box = limited(t, `/there-${t.task.id}`);
  box.created('sleep', '1000');
  expect(cgroupOf(box)).toBe(there);
  expectLimits(box);
  expect(box.delete('--force').code).toBe(0);
  expect([existsSync(there), read(there, 'cgroup.procs')]).toEqual([true, '']);
});

test("the container's limits win over those that an existing cgroup has", {
  ...needs,
  except: { runc: 'its own threads do not fit into the old limit' },
}, (t) => {
  makeCgroup(t, `there-${t.task.id}`);
  writeFileSync(`${cgroupRoot}/cgroup.subtree_control`, '+memory +pids');
  writeFileSync(`${cgroupRoot}/there-${t.task.id}/pids.max`, '3');
  const box = limited(t, `/there-${t.task.id}`);
  box.created('sleep', '1000');
  expectLimits(box);
});

test('the device rules of a container do not outlive it in a cgroup that stays', {
  ...needs,
  except: { crun: 'it removes the cgroup' },
}, (t) => {
  const path = `/there-${t.task.id}`;
  makeCgroup(t, path.slice(1));
  for (const [rules, answer] of [
    [[{ allow: false, access: 'rwm' }], 'EPERM'],
    [[{ allow: true, type: 'c', major: 1, minor: 99, access: 'rwm' }], 'ENXIO'],
  ] as const) {
    const box = container(t, {
      process: { capabilities: capabilities('CAP_MKNOD') },
      linux: { cgroupsPath: path, resources: { devices: rules } },
    });
    expect(box.run('probe', 'device', 'c', '1:99', 'r').out).toBe(`mknod ok\nopen ${answer}\n`);
    if (!existsSync(join(cgroupRoot, path))) return; // runc removes it, which is another way to keep the promise
  }
});

test('a cgroup with processes of others is not taken, and survives delete', { ...needs, only: ['tsrun'] }, (t) => {
  const theirs = makeCgroup(t, `theirs-${t.task.id}`);
  const stranger = settle(t, theirs);
  const box = limited(t, `/theirs-${t.task.id}`);
  const { code, err } = box.create('true');
  expect(code).toBe(1);
  expect(err).toContain(`theirs-${t.task.id}`);
  expect(existsSync(join(stateRoot, box.id))).toBe(false);
  box.delete('--force');
  expect(read(theirs, 'cgroup.procs')).toBe(String(stranger.pid));
});

test('a frozen cgroup is refused, as nothing would ever run in it', { ...needs, except: { crun: 'it hangs' } }, (t) => {
  const frozen = makeCgroup(t, `frozen-${t.task.id}`, { 'cgroup.freeze': '1' });
  const box = limited(t, `/frozen-${t.task.id}`);
  const { code, err } = box.create('true');
  expect(code).toBe(1);
  expect(err).toContain('frozen');
  expect(read(frozen, 'cgroup.procs')).toBe('');
});

test('a container that somebody froze can be deleted by force', needs, async (t) => {
  const box = await container(t).started();
  const path = cgroupOf(box);
  writeFileSync(join(path, 'cgroup.freeze'), '1');
  await until('it is frozen', () => read(path, 'cgroup.events').includes('frozen 1'));
  expect(box.delete('--force').code).toBe(0);
  expect(existsSync(path)).toBe(false);
});

test('a threaded cgroup is refused with the reason', { ...needs, only: ['tsrun'] }, (t) => {
  makeCgroup(t, `threads-${t.task.id}`);
  makeCgroup(t, `threads-${t.task.id}/inner`, { 'cgroup.type': 'threaded' });
  const box = limited(t, `/threads-${t.task.id}/inner/box`);
  const { code, err } = box.create('true');
  expect(code).toBe(1);
  expect(err).toContain('cgroup.subtree_control');
  expect(err).toContain('threaded');
  expect(box.leaks()).toEqual([]);
});

test('limits of the cgroups above are felt', needs, (t) => {
  const pod = makeCgroup(t, `pod-${t.task.id}`);
  const box = limited(t, `/pod-${t.task.id}/box`);
  box.created('load', 'processes', '20');
  writeFileSync(join(pod, 'pids.max'), '5');
  expect(box.start().code).toBe(0);
  return expect.poll(() => box.output(), { timeout: 5000 }).toBe('forked 4 EAGAIN\n');
});
