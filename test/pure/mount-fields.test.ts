// Mounts with mappings, labels, copies and long options: what of them reaches the plan, and what is refused.
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { all, planOf, smallConfig } from './plan-samples.ts';
import { complaints, type Json } from './spec-samples.ts';

const mappings = [{ containerID: 0, hostID: 1000, size: 10 }];

const withMount = (mount: Json, change: (config: Json) => void = () => undefined): Json =>
  smallConfig((config) => {
    config.mounts = [{ destination: '/data', ...mount }];
    change(config);
  });
const userNamespace = (config: Json) => {
  config.linux.namespaces.push({ type: 'user' });
  config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  config.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
};
const bind = { source: '/src', options: ['bind', 'idmap'] };

function refused(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replace(/^.*\n\s*/, '');
    throw error;
  }
  return 'nothing';
}

describe('mounts[].uidMappings', () => {
  test('become a user namespace and its mappings on the mount, before it is attached', () => {
    const { init } = planOf(withMount({ ...bind, uidMappings: mappings, gidMappings: mappings }));
    const steps = init.filter(({ from }) => from.startsWith('/mounts/0'));
    expect(steps.map(({ op }) => op)).toEqual(['bind', 'makeIdMap', 'mapIds', 'attachMount']);
    expect(steps[1]).toMatchObject({ path: '', uidMap: '0 1000 10\n', gidMap: '0 1000 10\n' });
    expect(steps[2]).toMatchObject({ recursive: 0, from: '/mounts/0/uidMappings' });
  });

  test('ridmap is for the tree', () => {
    const config = withMount({
      source: '/s',
      options: ['rbind', 'ridmap'],
      uidMappings: mappings,
      gidMappings: mappings,
    });
    expect(all(planOf(config).init, 'mapIds')[0]?.recursive).toBe(1);
  });

  test('are those of the container where the mount has none, and made before its user namespace', () => {
    const { init } = planOf(withMount(bind, userNamespace));
    const ops = init.map(({ op }) => op);
    expect(all(init, 'makeIdMap')[0]).toMatchObject({ uidMap: '0 100000 65536\n', gidMap: '0 200000 65536\n' });
    expect(ops.indexOf('mapIds')).toBeLessThan(ops.indexOf('becomeRoot'));
    expect(ops.indexOf('takeMount')).toBeGreaterThan(ops.indexOf('attachRoot'));
  });

  test('are those of the joined user namespace', () => {
    const config = withMount(bind, (c) => c.linux.namespaces.push({ type: 'user', path: '/ns/user' }));
    expect(all(planOf(config).init, 'makeIdMap')[0]).toMatchObject({ path: '/ns/user', uidMap: '', gidMap: '' });
  });

  test('that are the same for several mounts are made once', () => {
    const config = withMount(bind, (c) => {
      userNamespace(c);
      c.mounts.push(
        { destination: '/b', ...bind },
        { destination: '/c', ...bind, uidMappings: mappings, gidMappings: mappings },
      );
    });
    expect(all(planOf(config).init, 'makeIdMap').map(({ uidMap }) => uidMap)).toEqual([
      '0 100000 65536\n',
      '0 1000 10\n',
    ]);
    expect(all(planOf(config).init, 'mapIds')).toHaveLength(3);
  });

  test.each<readonly [string, Json, string]>([
    [
      'without any mappings',
      withMount(bind),
      '/mounts/0/options: expected uidMappings and gidMappings beside idmap, or a user',
    ],
    [
      'of the container on a new file system',
      withMount({ type: 'tmpfs', options: ['idmap'] }, userNamespace),
      '/mounts/0/options: expected uidMappings and gidMappings beside idmap, as this is no bind mount',
    ],
  ])('idmap is refused %s', (_, config, message) => {
    expect(refused(() => planOf(config))).toContain(message);
  });

  test('of users alone, of groups alone, or overlapping, are refused', () => {
    const found = (change: (mount: Json) => void) => complaints((c) => change(c.mounts[2]));
    expect(found((m) => (m.uidMappings = mappings))).toEqual([
      '/mounts/2/gidMappings: mappings of both, users and groups, nothing',
    ]);
    expect(found((m) => (m.gidMappings = mappings))).toEqual([
      '/mounts/2/uidMappings: mappings of both, users and groups, nothing',
    ]);
    expect(
      found((m) => {
        m.uidMappings = mappings;
        m.gidMappings = [...mappings, { containerID: 5, hostID: 5000, size: 1 }];
      }),
    ).toEqual(['/mounts/2/gidMappings/1/containerID: no id that /mounts/2/gidMappings/0 maps already, 5']);
  });
});

describe('tmpcopyup', () => {
  test('copies before the mount is sealed and attached', () => {
    const { init } = planOf(withMount({ type: 'tmpfs', options: ['tmpcopyup', 'ro', 'size=1m'] }));
    const steps = init.filter(({ from }) => from.startsWith('/mounts/0'));
    expect(steps.map(({ op }) => op)).toEqual(['mount', 'copyUp', 'setMount', 'attachMount']);
    expect(steps[0]).toMatchObject({ options: ['size=1m'], attributes: 0 });
    expect(steps[1]).toMatchObject({ target: '/data', attributes: 1 });
  });

  test('leaves the attributes of the directory to the options that name some', () => {
    const { init } = planOf(withMount({ type: 'tmpfs', options: ['tmpcopyup', 'mode=700'] }));
    expect(all(init, 'copyUp')[0]?.attributes).toBe(0);
  });

  test.each([
    ['a bind', { source: '/a', options: ['bind', 'tmpcopyup'] }],
    ['another file system', { type: 'ext4', source: '/a', options: ['tmpcopyup'] }],
    ['a remount', { type: 'tmpfs', options: ['remount', 'tmpcopyup'] }],
  ])('is refused for %s', (_, mount) => {
    expect(refused(() => planOf(withMount(mount)))).toContain('/mounts/0/options: expected a new tmpfs with tmpcopyup');
  });
});

describe('linux.mountLabel', () => {
  const label = 'system_u:object_r:container_file_t:s0:c1,c2';
  const labelled = (mount: Json, change: (config: Json) => void = () => undefined) =>
    withMount(mount, (config) => {
      config.linux.mountLabel = label;
      change(config);
    });
  const optionsOf = (config: Json) => all(planOf(config).init, 'mount')[0]?.options;

  test.each(['tmpfs', 'devpts', 'overlay', 'ext4'])('is the context of a new %s', (type) => {
    expect(optionsOf(labelled({ type }))).toEqual([`context=${label}`]);
  });

  test.each(['proc', 'sysfs', 'cgroup'])('is none of %s', (type) => {
    const config = labelled({ type }, (c) => c.linux.namespaces.push({ type: 'cgroup' }));
    expect(optionsOf(config)).toEqual([]);
  });

  test('is set on the root of an mqueue', () => {
    const { init } = planOf(labelled({ type: 'mqueue' }));
    expect(all(init, 'mount')[0]?.options).toEqual([]);
    expect(all(init, 'labelMount')[0]).toMatchObject({ label });
  });

  test('leaves a bind as it is, and a mount that has a context of its own', () => {
    expect(planOf(labelled({ source: '/a', options: ['bind'] })).init.map(({ op }) => op)).not.toContain('labelMount');
    expect(optionsOf(labelled({ type: 'tmpfs', options: ['context="a:b:c:d,e"'] }))).toEqual(['context=a:b:c:d,e']);
  });

  test('is another option where the annotation says so', () => {
    const annotated = (type: string) =>
      labelled({ type: 'tmpfs' }, (c) => (c.annotations = { 'run.oci.mount_context_type': type }));
    expect(optionsOf(annotated('rootcontext'))).toEqual([`rootcontext=${label}`]);
    expect(refused(() => planOf(annotated('size')))).toContain(
      '/annotations/run.oci.mount_context_type: expected one of',
    );
  });

  test('is refused where SELinux is not enabled', () => {
    expect(refused(() => planOf(labelled({ type: 'tmpfs' }), {}, { seLinux: false }))).toContain('/linux/mountLabel');
  });
});

describe('options that are longer than fsconfig(2) takes', () => {
  const stepOf = (options: readonly string[], type = 'overlay') =>
    planOf(withMount({ type, source: 'x', options })).init.find(({ op }) => op === 'mount' || op === 'legacyMount');
  const layer = (size: number) => `/${'l'.repeat(size - 1)}`;

  test('255 bytes are not', () => {
    expect(stepOf([`lowerdir=${layer(255)}`])).toMatchObject({ op: 'mount', options: [`lowerdir=${layer(255)}`] });
  });

  test('256 bytes are, and of letters with three bytes 86', () => {
    expect(stepOf([`lowerdir=${layer(256)}`, 'ro', 'nosuid', 'async'])).toMatchObject({
      op: 'legacyMount',
      fstype: 'overlay',
      source: 'x',
      flags: 1,
      data: `lowerdir=${layer(256)}`,
      attributes: 3,
    });
    expect(stepOf([`lowerdir=/${'€'.repeat(84)}`])?.op).toBe('mount');
    expect(stepOf([`lowerdir=/${'€'.repeat(85)}`])?.op).toBe('legacyMount');
  });

  test('more than a page of layers is one option a layer', () => {
    const layers = Array.from({ length: 30 }, (_, index) => `${layer(200)}${index}`);
    expect(stepOf([`lowerdir=${layers.join(':')}::/data\\:a`, 'userxattr'])).toMatchObject({
      op: 'mount',
      options: [...layers.map((path) => `lowerdir+=${path}`), 'datadir+=/data:a', 'userxattr'],
    });
  });

  test('are refused where nothing takes them', () => {
    const long = [`lowerdir=${Array.from({ length: 20 }, () => layer(300)).join(':')}`];
    expect(refused(() => stepOf(long))).toContain('/mounts/0/options: expected options of at most 4095 bytes together');
    expect(refused(() => stepOf([`a=${'b'.repeat(4096)}`], 'tmpfs'))).toContain('/mounts/0/options');
  });
});

test('linux.devices: a path that is there twice is refused, however it is written', () => {
  expect(complaints((c) => c.linux.devices.push({ type: 'p', path: '/dev//pipe' }))).toEqual([
    '/linux/devices/2/path: a path that /linux/devices/1 does not have, "/dev//pipe"',
  ]);
});
