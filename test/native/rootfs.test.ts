// root, rootfsPropagation, pivot_root, maskedPaths and readonlyPaths: what the container stands on and may not touch.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilities, container, expect, facts, inside, mountAt, mountInfo, test, until } from '../harness/index.ts';

test('the root is the rootfs of the bundle', (t) => {
  const box = container(t);
  writeFileSync(join(box.rootfs, 'marker'), '');
  expect(box.run('ls', '/').out.split('\n')).toContain('marker');
});

// Proves: root.path
test('root.path may be absolute', (t) => {
  const box = container(t);
  renameSync(box.rootfs, box.path('elsewhere'));
  mkdirSync(box.rootfs);
  writeFileSync(box.path('elsewhere/marker'), '');
  box.config.root.path = box.path('elsewhere');
  expect(box.run('ls', '/').out.split('\n')).toContain('marker');
});

test('a root.path of several parts is relative to the bundle', (t) => {
  const box = container(t);
  mkdirSync(join(box.bundle, 'rootfs.d'));
  renameSync(box.rootfs, join(box.bundle, 'rootfs.d/inner'));
  mkdirSync(box.rootfs);
  box.config.root.path = './rootfs.d/../rootfs.d/inner';
  expect(box.run('true').code).toBe(0);
  rmSync(join(box.bundle, 'rootfs.d'), { recursive: true });
});

test('the root is writable unless the config says otherwise', (t) => {
  expect(inside(t, {}, 'probe', 'create', '/new')).toBe('/new ok\n');
});

// Proves: root.readonly
test('root.readonly makes the root read-only, and what is mounted on it not', (t) => {
  const out = inside(
    t,
    { root: { readonly: true } },
    'sh',
    '-c',
    'probe create /new; probe create /dev/shm/new; probe mount-flags /',
  );
  expect(facts(out)).toMatchObject({ '/new': 'EROFS', '/dev/shm/new': 'ok' });
  expect(facts(out)['/']).toContain(' ro');
});

test('mount points are created before the root turns read-only', (t) => {
  const box = container(t, { root: { readonly: true } });
  box.config.mounts.push({ destination: '/fresh/point', type: 'tmpfs', source: 'tmpfs' });
  expect(box.run('touch', '/fresh/point/file').code).toBe(0);
});

test('a read-only root cannot be made writable without CAP_SYS_ADMIN', (t) => {
  expect(inside(t, { root: { readonly: true } }, 'probe', 'remount-rw', '/')).toBe('remount EPERM\n');
});

test('the old root is gone: only the root of the container is listed at /', (t) => {
  const mounts = mountInfo(inside(t, {}, 'cat', '/proc/self/mountinfo'));
  expect(mounts.filter(({ point }) => point === '/')).toHaveLength(1);
  expect(mounts[0]?.root).toMatch(/\/rootfs$/);
});

test('with all capabilities nobody climbs out by chroot and ..', (t) => {
  const box = container(t, { process: { capabilities: capabilities('CAP_SYS_CHROOT') } });
  expect(box.run('sh', '-c', 'cd /; i=0; while [ $i -lt 30 ]; do cd ..; i=$((i+1)); done; pwd; ls').out).toMatch(
    /^\/\nbin\n/,
  );
});

const propagations = [
  ['private', false],
  ['rprivate', false],
  ['slave', false],
  ['rslave', false],
  ['shared', true],
  ['rshared', true],
] as const;

// Proves: linux.rootfsPropagation
for (const [rootfsPropagation, shared] of propagations) {
  test(`rootfsPropagation ${rootfsPropagation} leaves the root ${shared ? 'shared' : 'not shared'}`, {
    except: shared ? { runc: 'runc 1.1 makes the parent shared, not the root' } : {},
  }, (t) => {
    const { propagation } = mountAt(inside(t, { linux: { rootfsPropagation } }, 'cat', '/proc/self/mountinfo'), '/');
    expect(propagation.includes('shared')).toBe(shared);
  });
}

test('rootfsPropagation unbindable is what the kernel reports', { except: { runc: 'runc 1.1 refuses it' } }, (t) => {
  expect(
    mountAt(inside(t, { linux: { rootfsPropagation: 'unbindable' } }, 'cat', '/proc/self/mountinfo'), '/').propagation,
  ).toContain('unbindable');
});

test('a rootfsPropagation that does not exist is refused by its value', { except: { crun: 'it ignores it' } }, (t) => {
  const result = container(t, { linux: { rootfsPropagation: 'everywhere' } }).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('everywhere');
});

test('--no-pivot runs a container without pivot_root', (t) => {
  const box = container(t);
  const { code, out } = box.runWith(['--no-pivot'], 'sh', '-c', 'ls /; cat /proc/self/mountinfo');
  expect(code).toBe(0);
  expect(out.split('\n')).toContain('bin');
  expect(out).not.toContain(' /sys/fs/cgroup/unified ');
});

test('a root that is a symlink is refused', { except: { crun: 'it follows it' } }, (t) => {
  const box = container(t);
  renameSync(box.rootfs, box.path('elsewhere'));
  symlinkSync(box.path('elsewhere'), box.rootfs);
  expect(box.run('true').code).toBe(1);
  rmSync(box.rootfs);
});

// Proves: linux.maskedPaths
test('maskedPaths: a masked file reads as empty and takes no writing', (t) => {
  const box = container(t, { linux: { maskedPaths: ['/etc/secret'] } });
  writeFileSync(join(box.rootfs, 'etc/secret'), 'secret');
  expect(box.run('sh', '-c', 'wc -c < /etc/secret; probe stat /etc/secret').out).toMatch(
    /^0\n\/etc\/secret c \d+ 0:0 1:3\n$/,
  );
  expect(readFileSync(join(box.rootfs, 'etc/secret'), 'utf8')).toBe('secret');
});

test('maskedPaths: a masked directory is empty and read-only', (t) => {
  const box = container(t, { linux: { maskedPaths: ['/secrets'] } });
  mkdirSync(join(box.rootfs, 'secrets'));
  writeFileSync(join(box.rootfs, 'secrets/file'), 'secret');
  expect(box.run('sh', '-c', 'ls /secrets; probe create /secrets/x').out).toBe('/secrets/x EROFS\n');
  expect(readdirSync(join(box.rootfs, 'secrets'))).toEqual(['file']);
});

test('maskedPaths: several directories are masked, each from the other apart', (t) => {
  const box = container(t, { linux: { maskedPaths: ['/one', '/two', '/proc/scsi'] } });
  for (const dir of ['one', 'two']) {
    mkdirSync(join(box.rootfs, dir));
    writeFileSync(join(box.rootfs, dir, 'file'), '');
  }
  expect(box.run('ls', '/one', '/two').out).toBe('/one:\n\n/two:\n');
});

test('maskedPaths: what does not exist is passed over and not created', (t) => {
  const box = container(t, { linux: { maskedPaths: ['/no/such/path', '/proc/no-such-file'] } });
  expect(box.run('true').code).toBe(0);
  expect(readdirSync(box.rootfs)).not.toContain('no');
});

test('maskedPaths: what proc hides by default cannot be read', (t) => {
  const out = inside(t, {}, 'sh', '-c', 'probe stat /proc/kcore /proc/keys /proc/timer_list; ls /sys/firmware');
  expect(out).toMatch(/^(\/proc\/\w+ (c \d+ 0:0 1:3|ENOENT)\n){3}$/);
});

// Proves: linux.readonlyPaths
test('readonlyPaths: a file and a directory can be read and not written', (t) => {
  const box = container(t, { linux: { readonlyPaths: ['/etc/fixed', '/fixed'] } });
  writeFileSync(join(box.rootfs, 'etc/fixed'), 'text\n');
  mkdirSync(join(box.rootfs, 'fixed'));
  const { out } = box.run('sh', '-c', 'cat /etc/fixed; probe open /etc/fixed w; probe create /fixed/x');
  expect(out).toBe('text\n/etc/fixed EROFS\n/fixed/x EROFS\n');
});

test('readonlyPaths: what does not exist is passed over', (t) => {
  expect(container(t, { linux: { readonlyPaths: ['/no/such/path'] } }).run('true').code).toBe(0);
});

test('readonlyPaths: /proc/sys cannot be written by root', (t) => {
  expect(inside(t, {}, 'probe', 'open', '/proc/sys/kernel/hostname', 'w')).toContain('EROFS');
});

test('readonlyPaths: a read-only path keeps nosuid, nodev and noexec of what is below', {
  except: { crun: "Debian 12's crun drops them" },
}, (t) => {
  const out = inside(
    t,
    {
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] }],
      linux: { readonlyPaths: ['/proc/sys'] },
    },
    'probe',
    'mount-flags',
    '/proc/sys',
  );
  expect(out).toMatch(/ ro nosuid nodev noexec/);
});

// Proves: process.terminal
test('terminal: the program has a terminal, /dev/console is it, and nothing is left', {
  needs: ['program:script'],
}, (t) => {
  const box = container(t, { process: { terminal: true } });
  box.prepare(['sh', '-c', 'tty; probe stat /dev/console; exit 3']);
  // `script` is the terminal that a foreground run with process.terminal asks its caller for.
  const result = box.call('run', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', 'exec script -qefc "$(printf "%s " "$@")" /dev/null', 'sh'],
  });
  expect(result.code).toBe(3);
  const out = result.out.replaceAll('\r', '');
  expect(out).toMatch(/\/dev\/(console|pts\/0)$/m);
  expect(out).toMatch(/\/dev\/console c 6[02]0 0:\d+ 136:0$/m);
});

test('terminal: what is typed arrives, and the end of input ends the shell', {
  needs: ['program:script'],
}, async (t) => {
  const box = container(t, { process: { terminal: true } });
  box.prepare(['sh', '-c', 'read line; echo "got <$line>"']);
  const command = box.argv('run', '--bundle', box.bundle, box.id).join(' ');
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: box.env(),
  });
  let said = '';
  child.stdout.on('data', (data) => (said += data));
  child.stdin.write('typed\n');
  await until('the answer is there', () => said.includes('got <typed>'));
  await new Promise((resolve) => (child.exitCode === null ? child.on('exit', resolve) : resolve(0)));
  expect(child.exitCode).toBe(0);
});

test('terminal: a detached container with a terminal and no console socket is refused', (t) => {
  const box = container(t, { process: { terminal: true } });
  expect(box.create('true').code).toBe(1);
  expect(box.leaks()).toEqual([]);
});
