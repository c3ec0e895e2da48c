// The options of the specification's table: each must change what the kernel reports, and nothing else.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { TestContext } from 'vitest';
import {
  type Container,
  container,
  expect,
  inside,
  type MountInfo,
  mountAt,
  mountInfo,
  test,
  withMounts,
} from '../harness/index.ts';

const newer = { except: { crun: 'crun 1.8 takes it for mount data' } };

function tmpfs(t: TestContext, ...options: string[]): MountInfo {
  return mountAt(
    inside(
      t,
      withMounts({ destination: '/data', type: 'tmpfs', source: 'tmpfs', options }),
      'cat',
      '/proc/self/mountinfo',
    ),
    '/data',
  );
}

// A bind of a directory that lies on a tmpfs of the test: flags of the host's own mounts must not play a part.
function bound(t: TestContext, options: string[]): { box: Container; tree: string } {
  const box = container(t);
  const tree = box.path('tree');
  mkdirSync(tree);
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', tree]);
  mkdirSync(`${tree}/sub`);
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', `${tree}/sub`]);
  t.onTestFinished(() => void spawnSync('umount', ['--recursive', tree]));
  box.config.mounts.push({ destination: '/tree', type: 'bind', source: tree, options });
  return { box, tree };
}

function infoOf(box: Container, point: string): MountInfo {
  const { out, err } = box.run('cat', '/proc/self/mountinfo');
  expect(err).toBe('');
  return mountAt(out, point);
}

test('without options a tmpfs is rw and relatime and nothing more', (t) => {
  expect(tmpfs(t).options).toEqual(['rw', 'relatime']);
});

const perMount = [
  [['ro'], ['ro', 'relatime']],
  [
    ['ro', 'rw'],
    ['rw', 'relatime'],
  ],
  [['nosuid'], ['rw', 'nosuid', 'relatime']],
  [
    ['nosuid', 'suid'],
    ['rw', 'relatime'],
  ],
  [['nodev'], ['rw', 'nodev', 'relatime']],
  [
    ['nodev', 'dev'],
    ['rw', 'relatime'],
  ],
  [['noexec'], ['rw', 'noexec', 'relatime']],
  [
    ['noexec', 'exec'],
    ['rw', 'relatime'],
  ],
  [['noatime'], ['rw', 'noatime']],
  [
    ['noatime', 'atime'],
    ['rw', 'relatime'],
  ],
  [['strictatime'], ['rw']],
  [['relatime'], ['rw', 'relatime']],
  [['nodiratime'], ['rw', 'nodiratime', 'relatime']],
  [
    ['nodiratime', 'diratime'],
    ['rw', 'relatime'],
  ],
  [['defaults'], ['rw', 'relatime']],
  [
    ['ro', 'nosuid', 'nodev', 'noexec', 'noatime'],
    ['ro', 'nosuid', 'nodev', 'noexec', 'noatime'],
  ],
] as const;

// Proves: mounts[].options
for (const [options, expected] of perMount) {
  const taken = options.length === 2 ? { crun: 'it lets the stricter option win, whatever the order' } : {};
  const unknown = options[0] === 'defaults' ? { runc: 'runc 1.1 takes it for mount data' } : {};

  test(`tmpfs with ${options.join(',')} is mounted ${expected.join(',')}`, {
    except: { ...taken, ...unknown },
  }, (t) => {
    expect(tmpfs(t, ...options).options.toSorted()).toEqual(expected.toSorted());
  });

  test(`bind with ${options.join(',')} is mounted ${expected.join(',')}`, { except: taken }, (t) => {
    const { box } = bound(t, ['bind', ...options]);
    expect(infoOf(box, '/tree').options.toSorted()).toEqual(expected.toSorted());
  });
}

test('nosymfollow is set', newer, (t) => {
  expect(tmpfs(t, 'nosymfollow').options).toContain('nosymfollow');
});

for (const option of ['sync', 'dirsync', 'lazytime'] as const) {
  test(`${option} is an option of the file system`, (t) => {
    expect(tmpfs(t, option).superOptions).toContain(option);
  });
}

test('silent and loud are accepted', newer, (t) => {
  expect(tmpfs(t, 'silent', 'loud').options).toEqual(['rw', 'relatime']);
});

test('a read-only rbind leaves the mounts below as they were', (t) => {
  const { box } = bound(t, ['rbind', 'ro']);
  const { out } = box.run('sh', '-c', 'probe create /tree/x; probe create /tree/sub/x');
  expect(out).toBe('/tree/x EROFS\n/tree/sub/x ok\n');
});

const recursive = [
  ['rro', 'ro'],
  ['rnosuid', 'nosuid'],
  ['rnodev', 'nodev'],
  ['rnoexec', 'noexec'],
  ['rnoatime', 'noatime'],
  ['rnodiratime', 'nodiratime'],
] as const;

for (const [option, flag] of recursive) {
  test(
    `${option} puts ${flag} on a tree and all below it`,
    option.endsWith('atime') ? { except: { crun: "Debian 12's crun leaves out the mask of the atime bits" } } : {},
    (t) => {
      const { box } = bound(t, ['rbind', option]);
      const { out } = box.run('cat', '/proc/self/mountinfo');
      expect(mountAt(out, '/tree').options).toContain(flag);
      expect(mountAt(out, '/tree/sub').options).toContain(flag);
    },
  );
}

for (const [option, flag] of [
  ['rrw', 'ro'],
  ['rsuid', 'nosuid'],
  ['rdev', 'nodev'],
  ['rexec', 'noexec'],
] as const) {
  test(`${option} takes ${flag} from a tree`, {
    except: option === 'rrw' ? { crun: "Debian 12's crun leaves it read-only" } : {},
  }, (t) => {
    const { box } = bound(t, ['rbind', flag, option]);
    expect(infoOf(box, '/tree').options).not.toContain(flag);
  });
}

test('rstrictatime and rrelatime set the access times of a tree', {
  except: { crun: 'crun 1.8 leaves out the mask of the atime bits' },
}, (t) => {
  const strict = bound(t, ['rbind', 'noatime', 'rstrictatime']);
  expect(infoOf(strict.box, '/tree').options).toEqual(['rw']);
  const relative = bound(t, ['rbind', 'noatime', 'rrelatime']);
  expect(infoOf(relative.box, '/tree').options).toEqual(['rw', 'relatime']);
});

test('rnosymfollow is set on a tree', { except: { crun: 'it does not know it' } }, (t) => {
  expect(infoOf(bound(t, ['rbind', 'rnosymfollow']).box, '/tree/sub').options).toContain('nosymfollow');
});

test('rro makes a tree read-only to writers', (t) => {
  const { box } = bound(t, ['rbind', 'rro']);
  expect(box.run('sh', '-c', 'probe create /tree/x; probe create /tree/sub/x').out).toBe(
    '/tree/x EROFS\n/tree/sub/x EROFS\n',
  );
});

const propagation = [
  ['private', [], ['master']],
  ['slave', ['master'], ['master']],
  ['shared', ['shared'], ['master']],
  ['unbindable', ['unbindable'], ['master']],
  ['rprivate', [], []],
  ['rslave', ['master'], ['master']],
  ['rshared', ['shared'], ['shared']],
  ['runbindable', ['unbindable'], ['unbindable']],
] as const;

const crunKeeps: string[] = ['private', 'shared', 'unbindable', 'rshared'];

for (const [option, top, below] of propagation) {
  test(`${option} makes ${option.startsWith('r') ? 'a tree' : 'one mount'} ${option.replace(/^r/, '')}`, {
    except: crunKeeps.includes(option) ? { crun: 'rootfsPropagation or recursion wins' } : {},
  }, (t) => {
    const { box, tree } = bound(t, ['rbind', option]);
    spawnSync('mount', ['--make-rshared', tree]);
    box.config.linux.rootfsPropagation = 'rslave';
    const { out } = box.run('cat', '/proc/self/mountinfo');
    const has = (point: string, kinds: readonly string[]) => {
      const found = mountAt(out, point).propagation;
      if (kinds.length === 0) expect(found, point).toEqual([]);
      for (const kind of kinds) expect(found, point).toContain(kind);
    };
    has('/tree', top);
    // What the option does not reach stays what rootfsPropagation made of it: a slave of the host's shared mount.
    has('/tree/sub', below);
  });
}

test('a slave mount receives what the host mounts later', async (t) => {
  const { box, tree } = bound(t, ['rbind', 'rslave']);
  spawnSync('mount', ['--make-rshared', tree]);
  mkdirSync(`${tree}/later`);
  box.config.linux.rootfsPropagation = 'rslave';
  await box.started(
    'sh',
    '-c',
    'echo up; while ! grep -q /tree/later /proc/self/mountinfo; do sleep 0.01; done; echo seen; exec sleep 100',
  );
  await box.says('up');
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', `${tree}/later`]);
  await box.says('seen');
});

test('a private mount receives nothing', async (t) => {
  const { box, tree } = bound(t, ['rbind', 'rprivate']);
  spawnSync('mount', ['--make-rshared', tree]);
  mkdirSync(`${tree}/later`);
  await box.started(
    'sh',
    '-c',
    'echo up; while [ ! -e /go ]; do sleep 0.01; done; cat /proc/self/mountinfo; echo end; exec sleep 100',
  );
  await box.says('up');
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', `${tree}/later`]);
  spawnSync('touch', [`${box.rootfs}/go`]);
  await box.says('end');
  expect(mountInfo(box.output().replace(/^(up|end)\n/gm, '')).map(({ point }) => point)).not.toContain('/tree/later');
});
