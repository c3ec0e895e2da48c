// Namespaces new and joined side by side, with and without a user namespace; and what the kernel does not allow.
import { chmodSync, mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'vitest';
import {
  baseNamespaces,
  type Changes,
  container,
  expect,
  facts,
  holder,
  mountAt,
  type Namespace,
  runtime,
  test,
  userHolder,
} from '../harness/index.ts';

const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const files: Record<string, string> = { network: 'net', ipc: 'ipc', uts: 'uts', cgroup: 'cgroup', user: 'user' };
const fileOf = (pid: number, type: string) => `/proc/${pid}/ns/${files[type]}`;
const needs = { needs: ['user namespaces' as const] };
/** Debian 12's peers join the others only after the user namespace. */
const inside = {
  ...needs,
  except: { runc: 'runc 1.1 loses the rights to join it', crun: 'crun 1.8 loses the rights to join it' },
};

function withNamespaces(list: Namespace[], newUser: boolean): Changes {
  const types = list.map(({ type }) => type);
  // runc 1.1 asks for mappings beside a joined user namespace too.
  const runcAsks = runtime.family === 'runc' && types.includes('user');
  const others = baseNamespaces.filter(({ type }) => !types.includes(type));
  return {
    hostname: undefined,
    linux: {
      namespaces: [...others, ...list, ...(newUser ? [{ type: 'user' }] : [])],
      ...(newUser || runcAsks ? { uidMappings: mappings, gidMappings: mappings } : {}),
    },
  };
}

const boxOf = (t: TestContext, list: Namespace[], newUser: boolean) =>
  container(t, withNamespaces(list, newUser), { owner: 100_000 });

for (const [type, flag] of [
  ['network', '--net'],
  ['ipc', '--ipc'],
  ['uts', '--uts'],
  ['cgroup', '--cgroup'],
] as const) {
  test(`linux.namespaces: a ${type} namespace of the host is joined into a new user namespace`, inside, async (t) => {
    const { pid } = await holder(t, flag);
    const { out, err } = boxOf(t, [{ type, path: fileOf(pid, type) }], true).run(
      'readlink',
      `/proc/self/ns/${files[type]}`,
    );
    expect(err).toBe('');
    expect(out.trim()).toBe(readlinkSync(fileOf(pid, type)));
  });

  test(`linux.namespaces: a joined user namespace with a joined ${type} namespace that it owns`, needs, async (t) => {
    const { pid } = await userHolder(t, flag);
    const list = ['user', type].map((each) => ({ type: each, path: fileOf(pid, each) }));
    const box = boxOf(t, list, false);
    const { out, err } = box.run(
      'sh',
      '-c',
      `readlink /proc/self/ns/user; readlink /proc/self/ns/${files[type]}; cat /proc/self/uid_map`,
    );
    expect(err).toBe('');
    const [user, other, map = ''] = out.trim().split('\n');
    expect([user, other]).toEqual(['user', type].map((each) => readlinkSync(fileOf(pid, each))));
    expect(map.trim().split(/\s+/)).toEqual(['0', '100000', '65536']);
  });
}

test('linux.namespaces: a joined user namespace with all others new', needs, async (t) => {
  const { pid } = await userHolder(t);
  const box = boxOf(t, [{ type: 'user', path: fileOf(pid, 'user') }], false);
  const { out, err } = box.run('sh', '-c', 'readlink /proc/self/ns/user; probe ids; echo $$');
  expect(err).toBe('');
  expect(out.split('\n')[0]).toBe(readlinkSync(fileOf(pid, 'user')));
  expect(facts(out)).toMatchObject({ uid: '0 0 0', gid: '0 0 0' });
  expect(out.trim().split('\n').at(-1)).toBe('1');
});

test('linux.namespaces: a joined user namespace with a joined pid namespace', needs, async (t) => {
  const { pid } = await userHolder(t, '--pid', '--fork', '--kill-child');
  const list = [
    { type: 'user', path: fileOf(pid, 'user') },
    { type: 'pid', path: `/proc/${pid}/ns/pid_for_children` },
  ];
  const { out, err } = boxOf(t, list, false).run('readlink', '/proc/self/ns/pid');
  expect(err).toBe('');
  expect(out.trim()).toBe(readlinkSync(`/proc/${pid}/ns/pid_for_children`));
});

test('linux.namespaces: the user namespace of the runtime itself may be joined', { only: ['tsrun'], ...needs }, (t) => {
  const { out, err } = boxOf(t, [{ type: 'user', path: '/proc/self/ns/user' }], false).run(
    'readlink',
    '/proc/self/ns/user',
  );
  expect(err).toBe('');
  expect(out.trim()).toBe(readlinkSync('/proc/self/ns/user'));
});

test('linux.uidMappings: beside a joined user namespace that has them', { only: ['tsrun'], ...needs }, async (t) => {
  const { pid } = await userHolder(t);
  const box = boxOf(t, [{ type: 'user', path: fileOf(pid, 'user') }], false);
  Object.assign(box.config.linux, { uidMappings: mappings, gidMappings: mappings });
  expect(box.run('true')).toMatchObject({ code: 0, err: '' });
});

test('linux.uidMappings: others than those of the joined user namespace are refused', {
  only: ['tsrun'],
  ...needs,
}, async (t) => {
  const { pid } = await userHolder(t);
  const box = boxOf(t, [{ type: 'user', path: fileOf(pid, 'user') }], false);
  box.config.linux.uidMappings = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/uid_map.*\/linux\/uidMappings.*has other mappings/);
  expect(box.leaks()).toEqual([]);
});

for (const [type, path, found] of [
  ['network', '/proc/self/ns/uts', 'a uts namespace'],
  ['user', '/proc/self/ns/net', 'a network namespace'],
  ['time', '/proc/self/ns/ipc', 'a ipc namespace'],
  ['pid', '/etc/passwd', 'no namespace'],
] as const) {
  test(`linux.namespaces: ${path} for a ${type} namespace is refused as what it is`, (t) => {
    const { code, err } = boxOf(t, [{ type, path }], false).run('true');
    expect(code).toBe(1);
    if (runtime.family === 'tsrun') expect(err).toContain(`${path} is ${found}, not one of the configured type`);
  });
}

for (const field of ['hostname', 'domainname'] as const) {
  test(`${field}: without a uts namespace it is refused`, {
    except: {
      crun: 'crun 1.8 says so and goes on',
      ...(field === 'domainname' ? { runc: 'runc 1.1 does not know it' } : {}),
    },
  }, (t) => {
    const box = container(t);
    box.config.linux.namespaces = baseNamespaces.filter(({ type }) => type !== 'uts');
    Object.assign(box.config, { hostname: undefined, [field]: 'other' });
    expect(box.run('true').code).toBe(1);
  });
}

test('mounts[].type: without a network namespace of its own a user namespace gets the sysfs of the host, read-only', {
  ...needs,
  except: { runc: 'runc 1.1 fails on it' },
}, (t) => {
  const box = boxOf(t, [], true);
  box.config.linux.namespaces = box.config.linux.namespaces.filter(({ type }) => type !== 'network');
  const { out, err } = box.run('cat', '/proc/self/mountinfo');
  expect(err).toBe('');
  expect(mountAt(out, '/sys')).toMatchObject({ type: 'sysfs' });
  expect(mountAt(out, '/sys').options).toContain('ro');
});

test('mounts[].type: in a user namespace a source is opened with the rights of the host', {
  ...needs,
  except: { runc: 'runc 1.1 opens it inside' },
}, (t) => {
  const box = boxOf(t, [], true);
  const dir = box.path('private');
  mkdirSync(`${dir}/inner`, { recursive: true, mode: 0o700 });
  chmodSync(`${dir}/inner`, 0o755);
  writeFileSync(`${dir}/inner/file`, 'seen');
  box.config.mounts.push({ destination: '/data', type: 'bind', source: `${dir}/inner`, options: ['bind', 'ro'] });
  expect(box.run('cat', '/data/file')).toMatchObject({ code: 0, out: 'seen' });
});
