// The default devices and links, linux.devices, and /dev itself.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  baseMounts,
  baseNamespaces,
  capabilities,
  container,
  expect,
  facts,
  inside,
  test,
  tunDevice,
  withoutMount,
} from '../harness/index.ts';

const defaults = { null: '1:3', zero: '1:5', full: '1:7', random: '1:8', urandom: '1:9', tty: '5:0' };

for (const [name, rdev] of Object.entries(defaults)) {
  test(`/dev/${name} is the device ${rdev} that anybody may use`, (t) => {
    expect(inside(t, {}, 'probe', 'stat', `/dev/${name}`)).toBe(`/dev/${name} c 666 0:0 ${rdev}\n`);
  });
}

const links = {
  ptmx: 'pts/ptmx',
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
};

test('the links of /dev point where the specification says', (t) => {
  const out = inside(
    t,
    {},
    'sh',
    '-c',
    Object.keys(links)
      .map((name) => `readlink /dev/${name}`)
      .join(';'),
  );
  expect(out.trim().split('\n')).toEqual(Object.values(links));
});

test('/dev has no other entries than these', (t) => {
  const names = inside(t, {}, 'ls', '/dev').trim().split('\n');
  const known = [...Object.keys(defaults), ...Object.keys(links), 'core', 'console', 'pts', 'shm', 'mqueue'];
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
});

test('a umask of the caller does not narrow the modes of devices', (t) => {
  const box = container(t);
  box.prepare(['probe', 'stat', '/dev/null', '/dev/tty']);
  const { out } = box.call('run', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', 'umask 077; exec "$@"', 'sh'],
  });
  expect(facts(out)).toEqual({ '/dev/null': 'c 666 0:0 1:3', '/dev/tty': 'c 666 0:0 5:0' });
});

// Proves: linux.devices[].*
test('linux.devices: type, number, mode and owner are those of the config', (t) => {
  const devices = [
    { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o640, uid: 12, gid: 34 },
    { path: '/dev/block', type: 'b', major: 7, minor: 99, fileMode: 0o600, uid: 0, gid: 6 },
    { path: '/dev/deep/down/fifo', type: 'p', fileMode: 0o622 },
    { path: '/dev/unbuffered', type: 'u', major: 1, minor: 3, fileMode: 0o666 },
  ];
  const out = inside(t, { linux: { devices } }, 'probe', 'stat', ...devices.map(({ path }) => path));
  expect(facts(out)).toEqual({
    '/dev/fuse': 'c 640 12:34 10:229',
    '/dev/block': 'b 600 0:6 7:99',
    '/dev/deep/down/fifo': 'p 622 0:0',
    '/dev/unbuffered': 'c 666 0:0 1:3',
  });
});

test('linux.devices: a device may lie outside /dev', (t) => {
  const box = container(t, {
    linux: { devices: [{ path: '/odd/place', type: 'c', major: 1, minor: 5, fileMode: 0o666 }] },
  });
  expect(box.run('sh', '-c', 'head -c 3 /odd/place | wc -c').out).toBe('3\n');
});

test('linux.devices: a default device in the config replaces the default', {
  except: { runc: 'runc 1.1 fails on it' },
}, (t) => {
  const devices = [{ path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 0o600, uid: 5, gid: 5 }];
  expect(inside(t, { linux: { devices } }, 'probe', 'stat', '/dev/null')).toBe('/dev/null c 600 5:5 1:3\n');
});

test('linux.devices: an unknown type is refused', { except: { crun: 'it ignores it' } }, (t) => {
  const result = container(t, { linux: { devices: [{ path: '/dev/x', type: 'q', major: 1, minor: 3 }] } }).run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
});

test('linux.devices: a path that leaves the root stays in it', (t) => {
  const canary = container(t);
  mkdirSync(canary.path('canary'));
  const path = `/../../../../../../../../..${canary.path('canary')}/device`;
  container(t, { linux: { devices: [{ path, type: 'c', major: 1, minor: 3 }] } }).run('true');
  expect(readdirSync(canary.path('canary'))).toEqual([]);
});

test('without a /dev mount the devices are made in the root filesystem', (t) => {
  const box = container(t, { mounts: withoutMount('/dev') });
  expect(box.run('sh', '-c', 'probe stat /dev/null; echo x > /dev/null').out).toBe('/dev/null c 666 0:0 1:3\n');
  expect(statSync(join(box.rootfs, 'dev/null')).isCharacterDevice()).toBe(true);
});

test('a bound /dev of the host is left alone', (t) => {
  const mounts = [
    ...withoutMount('/dev'),
    { destination: '/dev', type: 'bind', source: '/dev', options: ['bind', 'ro'] },
  ];
  const before = readdirSync('/dev').toSorted();
  const box = container(t, { mounts });
  expect(box.run('probe', 'stat', '/dev/null').out).toMatch(/^\/dev\/null c 666 0:0 1:3/);
  expect(readdirSync('/dev').toSorted()).toEqual(before);
});

test('a user that is not root can use the default devices', (t) => {
  const out = inside(
    t,
    { process: { user: { uid: 1000, gid: 1000 } } },
    'sh',
    '-c',
    'echo x > /dev/null; head -c 4 /dev/urandom | wc -c; echo by name >> /dev/stdout',
  );
  expect(out).toBe('4\nby name\n');
});

test('the modes of /dev, /dev/shm and /dev/pts are those of their mounts', (t) => {
  const out = facts(
    inside(
      t,
      { process: { capabilities: capabilities() }, mounts: baseMounts },
      'probe',
      'stat',
      '/dev',
      '/dev/shm',
      '/dev/pts',
    ),
  );
  expect(out).toEqual({ '/dev': 'd 755 0:0', '/dev/shm': 'd 1777 0:0', '/dev/pts': 'd 755 0:0' });
});

const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const userNamespace = {
  namespaces: [...baseNamespaces, { type: 'user' }],
  uidMappings: mappings,
  gidMappings: mappings,
};

test("linux.devices: in a user namespace it is the host's device of the same path", {
  needs: ['user namespaces'],
  except: { crun: 'crun 1.8 makes a node' },
}, (t) => {
  const host = statSync(tunDevice());
  const devices = [{ path: '/dev/net/tun', type: 'c', major: 10, minor: 200, fileMode: 0o666 }];
  const box = container(t, { linux: { ...userNamespace, devices } }, { owner: 100_000 });
  const { out, err } = box.run('probe', 'stat', '/dev/net/tun');
  expect(err).toBe('');
  expect(out).toBe(`/dev/net/tun c ${(host.mode & 0o777).toString(8)} 65534:65534 10:200\n`);
});

test('linux.devices: in a user namespace another device at that path of the host is refused', {
  needs: ['user namespaces'],
  except: { runc: 'runc 1.1 binds whatever is there', crun: 'crun 1.8 binds whatever is there' },
}, (t) => {
  const devices = [{ path: tunDevice(), type: 'c', major: 1, minor: 1 }];
  const box = container(t, { linux: { ...userNamespace, devices } }, { owner: 100_000 });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/make device failed: statx \/dev\/net\/tun: .*ENODEV.*\/linux\/devices\/0/);
});

for (const [what, make] of [
  ['a file', (path: string) => writeFileSync(path, '')],
  ['another device', (path: string) => void spawnSync('mknod', [path, 'c', '1', '5'])],
  ['a link to the right one', (path: string) => symlinkSync('/dev/zero', path)],
] as const) {
  test(`linux.devices: ${what} that stands at the path already is refused`, {
    except: { runc: 'runc 1.1 takes it as it is', crun: 'crun 1.8 takes it as it is' },
  }, (t) => {
    const box = container(t, {
      mounts: withoutMount('/dev'),
      linux: { devices: [{ path: '/dev/mine', type: 'c', major: 1, minor: 3 }] },
    });
    mkdirSync(join(box.rootfs, 'dev'), { recursive: true });
    make(join(box.rootfs, 'dev/mine'));
    const { code, err } = box.run('true');
    expect(code).toBe(1);
    expect(err).toMatch(/\/dev\/mine.*\/linux\/devices\/0/);
  });
}

test('linux.devices: the right device that stands at the path already is kept', (t) => {
  const box = container(t, {
    mounts: withoutMount('/dev'),
    linux: { devices: [{ path: '/dev/mine', type: 'c', major: 1, minor: 3 }] },
  });
  mkdirSync(join(box.rootfs, 'dev'), { recursive: true });
  spawnSync('mknod', ['-m', '600', join(box.rootfs, 'dev/mine'), 'c', '1', '3']);
  expect(box.run('probe', 'stat', '/dev/mine').out).toMatch(/^\/dev\/mine c \d+ 0:0 1:3/);
});

test('linux.devices: a path that is given twice is refused', {
  except: { runc: 'runc 1.1 makes the first', crun: 'crun 1.8 makes the first' },
}, (t) => {
  const device = { path: '/dev/mine', type: 'c', major: 1, minor: 3 };
  const { code, err } = container(t, { linux: { devices: [device, { ...device, minor: 5 }] } }).run('true');
  expect(code).toBe(1);
  expect(err).toContain('/linux/devices/1/path');
});
