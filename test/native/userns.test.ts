// A user namespace with mappings, started by root: root inside is nobody special outside.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  baseNamespaces,
  capabilities,
  capabilityNames,
  capabilitySet,
  type Changes,
  type Container,
  container,
  expect,
  facts,
  mountAt,
  test,
} from '../harness/index.ts';

const HOST_ROOT = 100_000;
const mappings = [{ containerID: 0, hostID: HOST_ROOT, size: 65_536 }];
const needs = { needs: ['user namespaces' as const] };

function mapped(t: TestContext, changes: Changes = {}, owner = HOST_ROOT): Container {
  const { linux, ...rest } = changes;
  const namespaces = [...baseNamespaces, { type: 'user' }];
  return container(
    t,
    { linux: { namespaces, uidMappings: mappings, gidMappings: mappings, ...linux }, ...rest },
    { owner },
  );
}

// Proves: linux.uidMappings[].*, linux.gidMappings[].*
test('uid_map and gid_map are as configured', needs, (t) => {
  const lines = mapped(t).run('cat', '/proc/self/uid_map', '/proc/self/gid_map').out.trim().split('\n');
  expect(lines.map((line) => line.trim().split(/\s+/))).toEqual([
    ['0', '100000', '65536'],
    ['0', '100000', '65536'],
  ]);
});

test('several ranges are mapped in their order', needs, (t) => {
  const two = [
    { containerID: 0, hostID: HOST_ROOT, size: 1 },
    { containerID: 1000, hostID: 300_000, size: 10 },
  ];
  const out = mapped(t, { linux: { uidMappings: two } }).run('cat', '/proc/self/uid_map').out;
  expect(out.trim().split(/\s+/)).toEqual(['0', '100000', '1', '1000', '300000', '10']);
});

test("the user namespace is not the host's", needs, (t) => {
  const { out } = mapped(t).run('readlink', '/proc/self/ns/user');
  expect(out).toMatch(/^user:\[\d+\]\n$/);
});

test('root inside is root to itself and the mapped id to the host', needs, async (t) => {
  const box = await mapped(t).started('sh', '-c', 'probe ids; exec sleep 100');
  await box.says('groups');
  expect(facts(box.output())).toMatchObject({ uid: '0 0 0', gid: '0 0 0' });
  expect(statSync(`/proc/${box.state().pid}`).uid).toBe(HOST_ROOT);
});

test('files made inside belong to the mapped id outside', needs, (t) => {
  const box = mapped(t, { process: { user: { uid: 1000, gid: 1000 } } });
  expect(box.run('touch', '/tmp/mine').code).toBe(0);
  expect(statSync(join(box.rootfs, 'tmp/mine'))).toMatchObject({ uid: HOST_ROOT + 1000, gid: HOST_ROOT + 1000 });
});

test("files of the host's root belong to nobody inside and cannot be written", needs, (t) => {
  const box = mapped(t, { process: { capabilities: capabilities(...capabilityNames) } });
  writeFileSync(join(box.rootfs, 'host-owned'), 'before', { mode: 0o600 });
  const { out } = box.run(
    'sh',
    '-c',
    'probe stat /host-owned; probe write /host-owned after; probe chown /host-owned 0',
  );
  expect(out.split('\n').slice(0, 3)).toEqual([
    '/host-owned f 600 65534:65534',
    '/host-owned EACCES',
    '/host-owned EPERM',
  ]);
  expect(readFileSync(join(box.rootfs, 'host-owned'), 'utf8')).toBe('before');
});

test('the capability sets are those of the config, all of them if wanted', needs, (t) => {
  const all = capabilityNames.toSorted();
  const { out } = mapped(t, { process: { capabilities: capabilities(...all) } }).run('probe', 'caps');
  expect(capabilitySet(facts(out)['effective'])).toEqual(all);
  expect(capabilitySet(facts(out)['bounding'])).toEqual(all);
});

test('all capabilities inside are none over the host', needs, (t) => {
  const box = mapped(t, { process: { capabilities: capabilities(...capabilityNames) } });
  const { out } = box.run(
    'sh',
    '-c',
    'probe device c 1:1 r; probe write /proc/sys/kernel/core_pattern x; probe open /proc/kcore r',
  );
  expect(out).toContain('mknod EPERM');
  expect(out).toMatch(/core_pattern (EACCES|EROFS)/);
});

test('proc, sysfs, devpts, mqueue and the default devices are there as always', needs, (t) => {
  const { code, out } = mapped(t).run(
    'sh',
    '-c',
    'cat /proc/self/mountinfo && echo x > /dev/null && echo x > /dev/full',
  );
  expect(code, '/dev/full has no room').toBe(1);
  for (const [point, type] of [
    ['/proc', 'proc'],
    ['/sys', 'sysfs'],
    ['/dev', 'tmpfs'],
    ['/dev/pts', 'devpts'],
    ['/dev/mqueue', 'mqueue'],
  ] as const) {
    expect(mountAt(out, point).type).toBe(type);
  }
});

test('a read-only bind works where the kernel locks the flags of its source', {
  ...needs,
  except: { runc: 'runc 1.1 gets EPERM' },
}, (t) => {
  const box = mapped(t);
  const source = box.path('source');
  mkdirSync(source);
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,noexec', 'tmpfs', source]);
  t.onTestFinished(() => void spawnSync('umount', [source]));
  box.config.mounts.push({ destination: '/data', type: 'bind', source, options: ['bind', 'ro'] });
  const { out, err } = box.run('cat', '/proc/self/mountinfo');
  expect(err).toBe('');
  expect(mountAt(out, '/data').options).toContain('ro');
});

test('additional groups are set by the engine, before setgroups could be denied', needs, (t) => {
  const { out } = mapped(t, { process: { user: { uid: 5, gid: 6, additionalGids: [7, 8] } } }).run('probe', 'ids');
  expect(facts(out)).toEqual({ uid: '5 5 5', gid: '6 6 6', groups: '7 8' });
});

test('a user that is not mapped is refused', needs, (t) => {
  const box = mapped(t, { process: { user: { uid: 70_000, gid: 0 } } });
  expect(box.run('true').code).toBe(1);
  expect(box.leaks()).toEqual([]);
});

test('mappings without a user namespace are refused', {
  except: { crun: 'it ignores them', runc: 'runc 1.1 ignores them' },
}, (t) => {
  const box = container(t, { linux: { uidMappings: mappings, gidMappings: mappings } });
  expect(box.run('true').code).toBe(1);
});

test('a user namespace without mappings is refused', needs, (t) => {
  const box = container(t, { linux: { namespaces: [...baseNamespaces, { type: 'user' }] } });
  expect(box.run('true').code).toBe(1);
});

test('the runtime owns the other namespaces through the new user namespace', needs, (t) => {
  // Only then may root inside set the host name.
  const box = mapped(t, { process: { capabilities: capabilities('CAP_SYS_ADMIN', 'CAP_NET_ADMIN') } });
  expect(box.run('sh', '-c', 'hostname changed && hostname && ip link set lo down && probe loopback')).toMatchObject({
    code: 0,
    out: 'changed\nlo down\n',
  });
});

test('create, start and delete work as without it', needs, async (t) => {
  const box = await mapped(t).started();
  expect(box.state().status).toBe('running');
  expect(box.delete('--force').code).toBe(0);
});
