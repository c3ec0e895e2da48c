// mounts: every kind of source and destination, and what a mount may not do to the host.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  baseMounts,
  capabilities,
  container,
  expect,
  facts,
  inside,
  type Mount,
  mountAt,
  mountInfo,
  test,
  withMounts,
} from '../harness/index.ts';

function bind(source: string, destination: string, ...options: string[]): Mount {
  return { destination, type: 'bind', source, options: ['bind', ...options] };
}

// Proves: mounts[].destination, mounts[].type
for (const { destination, type = '' } of baseMounts) {
  const kind = type === 'cgroup' ? 'cgroup2' : type;
  test(`${destination} is a ${kind}`, (t) => {
    expect(mountAt(inside(t, {}, 'cat', '/proc/self/mountinfo'), destination).type).toBe(kind);
  });
}

test('nothing of the host is mounted inside', (t) => {
  const points = mountInfo(inside(t, {}, 'cat', '/proc/self/mountinfo')).map(({ point }) => point);
  const allowed = ['/', '/proc', '/dev', '/sys'];
  expect(points.filter((point) => !allowed.some((dir) => point === dir || point.startsWith(`${dir}/`)))).toEqual([]);
});

test('proc shows the processes of the container only', (t) => {
  const pids = inside(t, {}, 'ls', '/proc')
    .split('\n')
    .filter((name) => /^\d+$/.test(name));
  expect(pids).toEqual(['1']);
});

test('mount data such as size= and mode= reach the file system', (t) => {
  const tmpfs = {
    destination: '/data',
    type: 'tmpfs',
    source: 'name',
    options: ['size=64k', 'mode=0710', 'nr_inodes=11'],
  };
  const mount = mountAt(inside(t, withMounts(tmpfs), 'sh', '-c', 'cat /proc/self/mountinfo'), '/data');
  expect(mount).toMatchObject({ type: 'tmpfs', source: 'name' });
  expect(mount.superOptions).toEqual(expect.arrayContaining(['size=64k', 'mode=710', 'nr_inodes=11']));
});

test('a tmpfs is as full as its size= says', (t) => {
  const tmpfs = { destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] };
  expect(container(t, withMounts(tmpfs)).run('dd', 'if=/dev/zero', 'of=/data/file', 'bs=1k', 'count=65').code).toBe(1);
});

test('mount data that the file system does not know is refused, by mount and by word', (t) => {
  const tmpfs = { destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['nonsense=1'] };
  const box = container(t, withMounts(tmpfs));
  const result = box.run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toMatch(/data|\/mounts\/7/);
  expect(box.leaks()).toEqual([]);
});

test('a file system type that the kernel does not know is refused by its name', (t) => {
  const result = container(t, withMounts({ destination: '/data', type: 'nosuchfs', source: 'x' })).run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toMatch(/nosuchfs|data/);
});

test('a missing mount point is created, with its parents', (t) => {
  const box = container(t, withMounts({ destination: '/a/b/c', type: 'tmpfs', source: 'tmpfs' }));
  expect(box.run('touch', '/a/b/c/file').code).toBe(0);
  expect(statSync(join(box.rootfs, 'a/b/c')).mode & 0o777).toBe(0o755);
  expect(readdirSync(join(box.rootfs, 'a/b/c'))).toEqual([]);
});

// Proves: mounts[].source
test('a directory is bound where nothing was', (t) => {
  const box = container(t);
  mkdirSync(box.path('shared'));
  writeFileSync(box.path('shared/file'), 'from the host');
  box.config.mounts.push(bind(box.path('shared'), '/mnt/new'));
  expect(box.run('cat', '/mnt/new/file')).toMatchObject({ code: 0, out: 'from the host' });
});

test('a file is bound where nothing was', (t) => {
  const box = container(t);
  writeFileSync(box.path('file'), 'one file');
  box.config.mounts.push(bind(box.path('file'), '/etc/deep/new.conf'));
  expect(box.run('cat', '/etc/deep/new.conf')).toMatchObject({ code: 0, out: 'one file' });
  expect(statSync(join(box.rootfs, 'etc/deep/new.conf')).size).toBe(0);
});

test('a file is bound over a file', (t) => {
  const box = container(t);
  writeFileSync(box.path('file'), 'covering');
  box.config.mounts.push(bind(box.path('file'), '/etc/passwd'));
  expect(box.run('cat', '/etc/passwd').out).toBe('covering');
});

test('a directory over a file is refused', (t) => {
  const box = container(t);
  mkdirSync(box.path('dir'));
  box.config.mounts.push(bind(box.path('dir'), '/etc/passwd'));
  expect(box.run('true').code).toBe(1);
});

// By these words Docker gives its hint that a volume and its place are not of the same kind.
test('a file cannot be bound onto a directory, in the words that engines look for', (t) => {
  const box = container(t);
  writeFileSync(box.path('file'), 'from outside');
  box.config.mounts.push(bind(box.path('file'), '/etc'));
  const result = box.run('true');
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/not a directory/i);
});

test('a bind source that is missing is refused by its name', (t) => {
  const result = container(t, withMounts(bind('/no/such/source', '/mnt'))).run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toContain('/no/such/source');
});

test('a relative bind source is relative to the bundle', (t) => {
  const box = container(t);
  box.config.mounts.push(bind('rootfs/etc', '/again'));
  expect(box.run('cat', '/again/group').out).toContain('root:x:0');
});

test('what is written through a bind arrives on the host', (t) => {
  const box = container(t);
  mkdirSync(box.path('shared'));
  box.config.mounts.push(bind(box.path('shared'), '/shared'));
  box.run('sh', '-c', 'echo inside > /shared/file');
  expect(readFileSync(box.path('shared/file'), 'utf8')).toBe('inside\n');
});

test('a read-only bind cannot be written, and the host can still write there', (t) => {
  const box = container(t);
  mkdirSync(box.path('shared'));
  box.config.mounts.push(bind(box.path('shared'), '/shared', 'ro'));
  expect(box.run('probe', 'create', '/shared/file').out).toBe('/shared/file EROFS\n');
  writeFileSync(box.path('shared/file'), '');
});

test('bind takes one mount and rbind takes those below too', (t) => {
  const box = container(t);
  mkdirSync(box.path('tree/sub'), { recursive: true });
  mountOnHost(t, 'tmpfs', box.path('tree/sub'));
  writeFileSync(box.path('tree/sub/file'), '');
  box.config.mounts.push(bind(box.path('tree'), '/one'), { ...bind(box.path('tree'), '/all'), options: ['rbind'] });
  expect(box.run('sh', '-c', 'ls /one/sub; echo -; ls /all/sub').out).toBe('-\nfile\n');
});

test('a remount changes the flags of what is there', (t) => {
  const box = container(
    t,
    withMounts(
      { destination: '/data', type: 'tmpfs', source: 'tmpfs' },
      { destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['remount', 'ro'] },
    ),
  );
  expect(box.run('probe', 'create', '/data/file').out).toBe('/data/file EROFS\n');
});

test('mounts are made in the order of the config: a later one covers an earlier one', (t) => {
  const sized = (size: string): Mount => ({
    destination: '/data',
    type: 'tmpfs',
    source: size,
    options: [`size=${size}`],
  });
  const mounts = mountInfo(inside(t, withMounts(sized('64k'), sized('128k')), 'cat', '/proc/self/mountinfo'));
  expect(mounts.filter(({ point }) => point === '/data').map(({ source }) => source)).toEqual(['64k', '128k']);
});

test('a bind of a directory below another mount finds its place in that mount', (t) => {
  const box = container(t, withMounts({ destination: '/data', type: 'tmpfs', source: 'tmpfs' }));
  mkdirSync(box.path('shared'));
  box.config.mounts.push(bind(box.path('shared'), '/data/inner'));
  expect(box.run('touch', '/data/inner/file').code).toBe(0);
  expect(readdirSync(box.path('shared'))).toEqual(['file']);
  expect(existsSync(join(box.rootfs, 'data/inner'))).toBe(false);
});

for (const [name, target] of [
  ['absolute', (canary: string) => canary],
  ['relative', (canary: string) => `../../../../../../../../..${canary}`],
] as const) {
  test(`a destination over a symlink with an ${name} target stays in the root (CVE-2019-18837)`, (t) => {
    const box = container(t, withMounts({ destination: '/link/point', type: 'tmpfs', source: 'tmpfs' }));
    mkdirSync(box.path('canary'));
    symlinkSync(target(box.path('canary')), join(box.rootfs, 'link'));
    const { code, out } = box.run('cat', '/proc/self/mountinfo');
    expect(readdirSync(box.path('canary'))).toEqual([]);
    if (code === 0) expect(mountAt(out, join(box.path('canary'), 'point')).type).toBe('tmpfs');
  });
}

test('a file bound over a symlink follows it inside the root and creates nothing outside', (t) => {
  const box = container(t);
  mkdirSync(box.path('canary'));
  writeFileSync(box.path('file'), 'content');
  symlinkSync(join(box.path('canary'), 'planted'), join(box.rootfs, 'etc/link'));
  box.config.mounts.push(bind(box.path('file'), '/etc/link'));
  box.run('true');
  expect(readdirSync(box.path('canary'))).toEqual([]);
});

test('.. in a destination does not leave the root', (t) => {
  const box = container(
    t,
    withMounts({ destination: '/../../../../../tmp/../escaped', type: 'tmpfs', source: 'tmpfs' }),
  );
  const { code, out } = box.run('cat', '/proc/self/mountinfo');
  expect(existsSync('/escaped')).toBe(false);
  if (code === 0) expect(mountAt(out, '/escaped').type).toBe('tmpfs');
});

test('a destination that is not absolute lies below the root', (t) => {
  expect(
    mountAt(
      inside(t, withMounts({ destination: 'data', type: 'tmpfs', source: 'tmpfs' }), 'cat', '/proc/self/mountinfo'),
      '/data',
    ).type,
  ).toBe('tmpfs');
});

test("a new devpts is the container's own", (t) => {
  const { out } = container(t).run('sh', '-c', 'ls /dev/pts; probe stat /dev/ptmx /dev/pts/ptmx');
  expect(out.split('\n')[0]).toBe('ptmx');
  expect(facts(out)['/dev/pts/ptmx']).toMatch(/^c 666 .* 5:2$/);
});

test('a cgroup mount shows the container its own cgroup only, read-only', (t) => {
  const { out } = container(t).run(
    'sh',
    '-c',
    'cat /sys/fs/cgroup/cgroup.procs | head -1; probe create /sys/fs/cgroup/x; probe mount-flags /sys/fs/cgroup',
  );
  expect(out.split('\n')[0]).toBe('1');
  expect(out).toContain('x EROFS');
});

test('nothing that was mounted can be seen or undone from outside', async (t) => {
  const box = await container(t, withMounts({ destination: '/data', type: 'tmpfs', source: 'tmpfs' })).started();
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(box.rootfs);
});

test('with CAP_SYS_ADMIN a program can unmount what covers nothing of the host', (t) => {
  const box = container(t, { process: { capabilities: capabilities('CAP_SYS_ADMIN') } });
  expect(box.run('sh', '-c', 'umount /dev/shm && ls /dev/shm')).toMatchObject({ code: 0, out: '' });
});

function mountOnHost(t: Parameters<typeof inside>[0], type: string, point: string): void {
  const { status, stderr } = spawnSync('mount', ['-t', type, type, point], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  t.onTestFinished(() => void spawnSync('umount', [point]));
}
