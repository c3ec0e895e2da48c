// Who owns the container's cgroup, and the check before a memory limit.
import { describe, expect, test } from 'vitest';
import { all, planOf, templateConfig } from './plan-samples.ts';
import type { Json } from './spec-samples.ts';

const config = (change: (config: Json) => void): Json => {
  const made = templateConfig();
  made.process.user = { uid: 1000, gid: 1000 };
  const mount = made.mounts.find(({ destination }: Json) => destination === '/sys/fs/cgroup');
  mount.options = mount.options.filter((option: string) => option !== 'ro');
  change(made);
  return made;
};
const owners = (change: (config: Json) => void, delegate?: string[]) => {
  const cgroup = { mount: '/sys/fs/cgroup', own: '/', controllers: [], filtersDevices: true, delegate };
  return all(planOf(config(change), {}, { cgroup }).host, 'changeOwner');
};

describe('the cgroup', () => {
  test('belongs to the user of the program, with the files that the kernel names', () => {
    const steps = owners(() => undefined, ['cgroup.procs', 'memory.oom.group']);
    expect(steps).toMatchObject([
      { uid: 1000, optional: 0 },
      { path: expect.stringMatching(/\/cgroup\.procs$/) as string, uid: 1000, optional: 1 },
      { path: expect.stringMatching(/\/memory\.oom\.group$/) as string, optional: 1 },
    ]);
  });

  test('with the three files of the specification where the kernel names none', () => {
    expect(owners(() => undefined).map(({ path }) => path.split('/').at(-1))).toEqual([
      expect.any(String),
      'cgroup.procs',
      'cgroup.subtree_control',
      'cgroup.threads',
    ]);
  });

  test('belongs to the id that the user has on the host', () => {
    const steps = owners((c) => {
      c.linux.namespaces.push({ type: 'user' });
      c.linux.uidMappings = [
        { containerID: 0, hostID: 5000, size: 10 },
        { containerID: 1000, hostID: 7000, size: 1 },
      ];
      c.linux.gidMappings = [{ containerID: 0, hostID: 5000, size: 2000 }];
    });
    expect(new Set(steps.map(({ uid }) => uid))).toEqual(new Set([7000]));
  });

  test.each<readonly [string, (c: Json) => void]>([
    ['the program is root', (c) => (c.process.user.uid = 0)],
    ['the mount is read-only', (c) => c.mounts.at(-1).options.push('ro')],
    ['there is no mount', (c) => (c.mounts = c.mounts.slice(0, -1))],
    ['the namespace is joined', (c) => (c.linux.namespaces.find((n: Json) => n.type === 'cgroup').path = '/n')],
    [
      'the user has no id on the host',
      (c) => c.linux.namespaces.push({ type: 'user', path: '/run/ns/user' }) && (c.process.user.uid = 3),
    ],
  ])('stays as it is where %s', (_name, change) => {
    expect(
      owners((c) => {
        c.mounts.sort((a: Json) => (a.destination === '/sys/fs/cgroup' ? 1 : 0));
        change(c);
      }),
    ).toEqual([]);
  });
});

test('checkBeforeUpdate looks at what is in use right before the limit', () => {
  const made = config((c) => (c.linux.resources = { memory: { limit: 4096, checkBeforeUpdate: true } }));
  const { host } = planOf(made);
  const at = host.findIndex(({ op }) => op === 'checkUsage');
  expect(host[at]).toMatchObject({
    path: expect.stringMatching(/memory\.current$/) as string,
    limit: 4096n,
    from: '/linux/resources/memory/checkBeforeUpdate',
  });
  expect(host[at + 1]).toMatchObject({ op: 'writeFile', value: '4096' });
});

test('limits that have no effect are told with the plan', () => {
  const made = config((c) => (c.linux.resources = { memory: { kernel: 4096 } }));
  expect(planOf(made).cgroup?.ignored).toMatchObject([{ from: '/linux/resources/memory/kernel' }]);
});
