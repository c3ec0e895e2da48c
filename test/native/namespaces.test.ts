// linux.namespaces: new ones differ from the host's, joined ones are those of the path, the rest is the caller's.
import { readlinkSync } from 'node:fs';
import {
  baseNamespaces,
  capabilities,
  container,
  expect,
  holder,
  inside,
  namespaces,
  test,
  until,
} from '../harness/index.ts';

const files: Record<string, string> = {
  pid: 'pid',
  network: 'net',
  ipc: 'ipc',
  uts: 'uts',
  mount: 'mnt',
  cgroup: 'cgroup',
};
const hostNamespace = (type: string) => readlinkSync(`/proc/self/ns/${files[type]}`);

// Proves: linux.namespaces[].type
for (const { type } of baseNamespaces) {
  test(`a new ${type} namespace differs from the host's`, (t) => {
    const link = inside(t, {}, 'readlink', `/proc/self/ns/${files[type]}`).trim();
    expect(link).toMatch(new RegExp(`^${files[type]}:\\[\\d+\\]$`));
    expect(link).not.toBe(hostNamespace(type));
  });
}

for (const type of ['network', 'ipc', 'cgroup']) {
  test(`without a ${type} namespace in the config the host's is used`, (t) => {
    const changes = {
      ...namespaces({ without: [type] }),
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    };
    expect(inside(t, changes, 'readlink', `/proc/self/ns/${files[type]}`).trim()).toBe(hostNamespace(type));
  });
}

test("without a uts namespace and a hostname the host name is the host's", (t) => {
  const changes = { ...namespaces({ without: ['uts'] }), hostname: undefined };
  expect(inside(t, changes, 'readlink', '/proc/self/ns/uts').trim()).toBe(hostNamespace('uts'));
});

// Proves: linux.namespaces[].path
for (const [type, flag] of [
  ['network', '--net'],
  ['ipc', '--ipc'],
  ['uts', '--uts'],
  ['cgroup', '--cgroup'],
] as const) {
  test(`a ${type} namespace is joined by its path`, async (t) => {
    const { pid } = await holder(t, flag);
    const path = `/proc/${pid}/ns/${files[type]}`;
    const changes = { ...namespaces({ join: { [type]: path } }), hostname: undefined };
    expect(inside(t, changes, 'readlink', `/proc/self/ns/${files[type]}`).trim()).toBe(readlinkSync(path));
  });
}

test('a pid namespace is joined by its path', async (t) => {
  const { pid } = await holder(t, '--pid', '--fork', '--kill-child');
  const path = `/proc/${pid}/ns/pid_for_children`;
  const link = inside(t, namespaces({ join: { pid: path } }), 'sh', '-c', 'readlink /proc/self/ns/pid; echo $$')
    .trim()
    .split('\n');
  expect(link[0]).toBe(readlinkSync(path));
  expect(link[1]).not.toBe('1');
});

test('killing a container in a shared pid namespace takes its children too', {
  except: { runc: 'runc 1.1 kills them only with --all' },
}, async (t) => {
  const { pid } = await holder(t, '--pid', '--fork', '--kill-child');
  const box = container(t, namespaces({ join: { pid: `/proc/${pid}/ns/pid_for_children` } }));
  box.created('sh', '-c', 'probe fork-away; exec probe sleep').start();
  await until('both are up', () => box.output().match(/ready/g)?.length === 2);
  expect(box.delete('--force').code).toBe(0);
  expect(box.leaks()).toEqual([]);
});

test('without a pid namespace the program has a host pid', (t) => {
  const box = container(t, namespaces({ without: ['pid'] }));
  expect(Number(box.run('sh', '-c', 'echo $$').out)).toBeGreaterThan(100);
});

test('without a pid namespace run still ends when the program ends, and takes what it forked', {
  except: { runc: 'runc 1.1 waits for the fork', crun: 'crun 1.8 waits for the fork' },
}, (t) => {
  const box = container(t, namespaces({ without: ['pid'] }));
  expect(box.run('sh', '-c', 'probe fork-away; exit 5').code).toBe(5);
  expect(box.leaks()).toEqual([]);
});

test('the loopback device of a new network namespace is up, and it is the only one', (t) => {
  const out = inside(t, {}, 'sh', '-c', 'probe loopback; ls /sys/class/net');
  expect(out).toBe('lo up\nlo\n');
});

test('a joined network namespace is left as it is', async (t) => {
  const { pid } = await holder(t, '--net');
  expect(inside(t, namespaces({ join: { network: `/proc/${pid}/ns/net` } }), 'probe', 'loopback')).toBe('lo down\n');
});

test('a namespace type that is given twice is refused', { except: { crun: 'it accepts that' } }, (t) => {
  const result = container(t, namespaces({ add: ['ipc'] })).run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toMatch(/duplicate|twice|once|already/i);
});

test('an unknown namespace type is refused by its name', (t) => {
  const result = container(t, namespaces({ add: ['nett'] })).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('nett');
});

test('a namespace path that does not exist is refused by its name', (t) => {
  const result = container(t, namespaces({ join: { network: '/no/such/netns' } })).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('/no/such/netns');
});

test('a path to a namespace of another type is refused', (t) => {
  const box = container(t, namespaces({ join: { network: '/proc/self/ns/uts' } }));
  expect(box.run('true').code).toBe(1);
  expect(box.leaks()).toEqual([]);
});

test('a path to what is not a namespace is refused', (t) => {
  expect(container(t, namespaces({ join: { network: '/etc/passwd' } })).run('true').code).toBe(1);
});

test('inside the cgroup namespace the container stands at the root', (t) => {
  expect(inside(t, {}, 'cat', '/proc/self/cgroup').trim().split('\n').at(-1)).toBe('0::/');
});

test('mounts made inside stay inside', (t) => {
  const box = container(t, { process: { capabilities: capabilities('CAP_SYS_ADMIN') } });
  expect(box.run('sh', '-c', 'mount -t tmpfs none /tmp && grep -c " /tmp " /proc/self/mountinfo').out).toBe('1\n');
  expect(box.leaks()).toEqual([]);
});

test("without the mount namespace a container is refused, as its root would be the host's", {
  only: ['tsrun', 'runc'],
}, (t) => {
  const result = container(t, namespaces({ without: ['mount'] })).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/mount|MNT/);
});
