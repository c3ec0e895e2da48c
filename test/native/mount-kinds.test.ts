// mounts[]: kinds of sources and file systems that need more than one look.
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  baseConfig,
  baseNamespaces,
  type Container,
  container,
  expect,
  mountAt,
  runtime,
  test,
  withoutMount,
} from '../harness/index.ts';

/** An overlay with the given number of layers; file N is that of layer N. */
function overlay(t: TestContext, layers: number, name = 'layer'): { box: Container; value: string } {
  const box = container(t);
  const dirs = Array.from({ length: layers }, (_, number) => box.path(`${name}${number}`));
  dirs.forEach((dir, number) => {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, `file${number}`), `of ${number}`);
    writeFileSync(join(dir, 'same'), `same of ${number}`);
  });
  for (const dir of ['upper', 'work']) mkdirSync(box.path(dir));
  const value = dirs.map((dir) => dir.replaceAll(':', '\\:')).join(':');
  box.config.mounts.push({
    destination: '/data',
    type: 'overlay',
    source: 'overlay',
    options: [`lowerdir=${value}`, `upperdir=${box.path('upper')}`, `workdir=${box.path('work')}`, 'nosuid'],
  });
  return { box, value };
}

for (const [layers, least, most] of [
  [2, 0, 255],
  [12, 256, 3800],
] as const) {
  test(`mounts[].options: an overlay of ${layers} layers`, (t) => {
    const { box, value } = overlay(t, layers);
    expect(value.length).toBeGreaterThanOrEqual(least);
    expect(value.length).toBeLessThanOrEqual(most);
    const { out, err } = box.run(
      'sh',
      '-c',
      `cat /data/same /data/file${layers - 1}; echo; echo x > /data/new; cat /proc/self/mountinfo`,
    );
    expect(err).toBe('');
    const [first, ...info] = out.split('\n');
    expect(first).toBe(`same of 0of ${layers - 1}`);
    expect(mountAt(info.join('\n'), '/data')).toMatchObject({ type: 'overlay', options: ['rw', 'nosuid', 'relatime'] });
    expect(info.join('\n')).not.toContain('/proc/self/fd');
  });
}

test('mounts[].options: an overlay of more layers than a page holds', {
  needs: ['kernel:6.7'],
  except: { runc: 'mount(2) cuts the options at 4095 bytes', crun: 'mount(2) cuts the options at 4095 bytes' },
}, (t) => {
  const { box, value } = overlay(t, 100);
  expect(value.length).toBeGreaterThan(4096);
  const { out, err } = box.run('sh', '-c', 'cat /data/same /data/file99');
  expect(err).toBe('');
  expect(out).toBe('same of 0of 99');
});

test('mounts[].options: a colon in the name of a layer', { needs: ['kernel:6.7'], only: ['tsrun'] }, (t) => {
  for (const layers of [2, 12, 100])
    expect(overlay(t, layers, 'a:b').box.run('cat', '/data/same').out).toBe('same of 0');
});

test('mounts[].options: a long value that is wrong is told as it is', (t) => {
  const box = container(t);
  const long = `lowerdir=/no/such/${'x'.repeat(200)}:/no/such/${'y'.repeat(200)}`;
  box.config.mounts.push({ destination: '/data', type: 'overlay', source: 'overlay', options: [long] });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  if (runtime.family === 'tsrun') expect(err).toMatch(/legacy mount \/data failed: mount overlay: .*ENOENT/);
  expect(box.leaks()).toEqual([]);
});

test('mounts[].options: options that are longer than the kernel takes are refused', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/d', type: 'tmpfs', source: 'tmpfs', options: [`x=${'y'.repeat(4096)}`] });
  expect(box.run('true').err).toMatch(/\/mounts\/\d+\/options: expected options of at most 4095 bytes/);
});

test('mounts[].source: a socket is bound', async (t) => {
  const box = container(t);
  const server = createServer().listen(box.path('socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  t.onTestFinished(() => void server.close());
  box.config.mounts.push({ destination: '/run/socket', type: 'bind', source: box.path('socket'), options: ['bind'] });
  expect(box.run('probe', 'stat', '/run/socket').out).toMatch(/^\/run\/socket . 755 0:0/);
});

test('mounts[].source: a link is followed on the host, and the destination inside the root', (t) => {
  const box = container(t);
  writeFileSync(box.path('real'), 'real');
  symlinkSync(box.path('real'), box.path('link'));
  mkdirSync(join(box.rootfs, 'place'));
  symlinkSync('/place', join(box.rootfs, 'over'));
  box.config.mounts.push({ destination: '/over/file', type: 'bind', source: box.path('link'), options: ['bind'] });
  expect(box.run('cat', '/place/file').out).toBe('real');
});

test('mounts[].source: a relative one begins at the bundle', (t) => {
  const box = container(t);
  writeFileSync(box.path('beside'), 'beside');
  box.config.mounts.push({ destination: '/data', type: 'bind', source: '../beside', options: ['bind', 'ro'] });
  expect(box.run('cat', '/data').out).toBe('beside');
});

test('mounts[].type cgroup: without a cgroup namespace it shows the hierarchy that /proc/self/cgroup is about', (t) => {
  const box = container(t);
  box.config.linux.namespaces = baseNamespaces.filter(({ type }) => type !== 'cgroup');
  const own = '/sys/fs/cgroup$(grep ^0: /proc/self/cgroup | busybox cut -d: -f3)';
  const { out } = box.run('sh', '-c', `cat ${own}/cgroup.procs | head -1; probe create /sys/fs/cgroup/x`);
  expect(out).toBe('1\n/sys/fs/cgroup/x EROFS\n');
});

test('mounts[].type cgroup: without ro it can be written', (t) => {
  const mounts = [
    ...withoutMount('/sys'),
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid'] },
  ];
  const box = container(t, { mounts });
  expect(box.run('sh', '-c', 'mkdir /sys/fs/cgroup/below && rmdir /sys/fs/cgroup/below').code).toBe(0);
});

test('linux.mountLabel: without SELinux it is refused, and the message says why', {
  only: ['tsrun'],
}, (t) => {
  const box = container(t, { linux: { mountLabel: 'system_u:object_r:container_file_t:s0:c1,c2' } });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toContain('/linux/mountLabel: expected (nothing) on a host where SELinux is disabled');
});

test('mounts[].destination: a procfs on a link is refused', { except: { crun: 'crun 1.8 follows it' } }, (t) => {
  const box = container(t, { mounts: baseConfig().mounts.map((mount) => ({ ...mount })) });
  spawnSync('rm', ['-r', join(box.rootfs, 'proc')]);
  mkdirSync(join(box.rootfs, 'bad'));
  symlinkSync('/bad', join(box.rootfs, 'proc'));
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toContain('must be mounted on ordinary directory');
});

for (const path of ['/proc/self/attr', '/proc/sys', '/proc/1/status']) {
  test(`mounts[].destination: ${path} may not be covered`, {
    except: { runc: 'runc 1.1 judges binds only', crun: 'crun 1.8 allows it' },
  }, (t) => {
    const box = container(t);
    box.config.mounts.push({ destination: path, type: 'tmpfs', source: 'tmpfs', options: [] });
    expect(box.run('true').code).toBe(1);
  });
}

test('mounts[].destination: a file that shows limits may be covered', (t) => {
  const box = container(t);
  writeFileSync(box.path('uptime'), '1.00 1.00\n');
  box.config.mounts.push({ destination: '/proc/uptime', type: 'bind', source: box.path('uptime'), options: ['bind'] });
  expect(box.run('cat', '/proc/uptime').out).toBe('1.00 1.00\n');
});
