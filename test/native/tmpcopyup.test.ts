// mounts[].options tmpcopyup: a tmpfs that begins with what the image has in its place.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  baseNamespaces,
  type Changes,
  type Container,
  container,
  expect,
  facts,
  mountAt,
  test,
} from '../harness/index.ts';

const peer = { except: { runc: 'runc 1.1 keeps no owner of it', crun: 'crun 1.8 copies no attributes of it' } };

function boxWith(t: TestContext, options: string[] = [], changes: Changes = {}): [Container, string] {
  const box = container(t, changes);
  const dir = join(box.rootfs, 'etc/app');
  mkdirSync(join(dir, 'deep/er'), { recursive: true });
  writeFileSync(join(dir, 'file'), 'content');
  writeFileSync(join(dir, 'deep/er/large'), Buffer.alloc(3_000_000, 'x'));
  box.config.mounts.push({
    destination: '/etc/app',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['tmpcopyup', ...options],
  });
  return [box, dir];
}

test('mounts[].options: tmpcopyup files and directories are there, in a tmpfs', (t) => {
  const [box] = boxWith(t);
  const { out } = box.run(
    'sh',
    '-c',
    'cat /etc/app/file; echo; wc -c < /etc/app/deep/er/large; cat /proc/self/mountinfo',
  );
  expect(out.split('\n').slice(0, 2)).toEqual(['content', '3000000']);
  expect(mountAt(out.split('\n').slice(2).join('\n'), '/etc/app').type).toBe('tmpfs');
});

test('mounts[].options: tmpcopyup what is changed inside stays the same in the image', (t) => {
  const [box, dir] = boxWith(t);
  expect(box.run('sh', '-c', 'echo other > /etc/app/file; rm -r /etc/app/deep').code).toBe(0);
  expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('content');
});

test('mounts[].options: tmpcopyup modes, owners, links and times are kept', {
  except: { runc: 'runc 1.1 applies its umask and keeps no times', crun: 'crun 1.8 keeps no times' },
}, (t) => {
  const [box, dir] = boxWith(t);
  chownSync(join(dir, 'file'), 12, 34);
  chmodSync(join(dir, 'file'), 0o4751);
  utimesSync(join(dir, 'file'), 1_000_000, 2_000_000);
  chownSync(join(dir, 'deep'), 56, 78);
  chmodSync(join(dir, 'deep'), 0o1730);
  symlinkSync('/nowhere/at/all', join(dir, 'link'));
  const { out } = box.run(
    'sh',
    '-c',
    'probe stat /etc/app/file /etc/app/deep; readlink /etc/app/link; stat -c %Y /etc/app/file',
  );
  expect(out.split('\n')).toEqual([
    '/etc/app/file f 4751 12:34',
    '/etc/app/deep d 1730 56:78',
    '/nowhere/at/all',
    '2000000',
    '',
  ]);
});

test('mounts[].options: tmpcopyup the directory keeps mode and owner where the options name none', peer, (t) => {
  const [box, dir] = boxWith(t);
  chownSync(dir, 12, 34);
  chmodSync(dir, 0o750);
  expect(facts(box.run('probe', 'stat', '/etc/app').out)).toEqual({ '/etc/app': 'd 750 12:34' });
});

test('mounts[].options: tmpcopyup a mode among the options wins', {
  except: { runc: 'runc 1.1 takes that of the image' },
}, (t) => {
  const [box, dir] = boxWith(t, ['mode=0711']);
  chmodSync(dir, 0o750);
  expect(box.run('probe', 'stat', '/etc/app').out).toMatch(/^\/etc\/app d 711 /);
});

test('mounts[].options: tmpcopyup fifos, devices, holes and capabilities of files are kept', {
  only: ['tsrun'],
}, (t) => {
  const [box, dir] = boxWith(t);
  spawnSync('mkfifo', ['-m', '640', join(dir, 'fifo')]);
  spawnSync('mknod', ['-m', '606', join(dir, 'null'), 'c', '1', '3']);
  spawnSync('truncate', ['-s', '1T', join(dir, 'sparse')]);
  // v2 file capabilities: cap_net_raw, permitted and effective.
  spawnSync('python3', [
    '-c',
    'import os,sys; os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))',
    join(dir, 'file'),
  ]);
  const { out, err } = box.run('sh', '-c', 'probe stat /etc/app/fifo /etc/app/null; stat -c %s:%b /etc/app/sparse');
  expect(err).toBe('');
  expect(out).toBe('/etc/app/fifo p 640 0:0\n/etc/app/null c 606 0:0 1:3\n1099511627776:0\n');
});

test('mounts[].options: tmpcopyup read-only after the copy', {
  except: { crun: 'crun 1.8 fails on it', runc: 'runc 1.1 copies into a read-only mount' },
}, (t) => {
  const [box] = boxWith(t, ['ro']);
  expect(box.run('sh', '-c', 'cat /etc/app/file; probe create /etc/app/x').out).toBe('content/etc/app/x EROFS\n');
});

test('mounts[].options: tmpcopyup in a user namespace', { only: ['tsrun'], needs: ['user namespaces'] }, (t) => {
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const [box] = boxWith(t, [], {
    linux: { namespaces: [...baseNamespaces, { type: 'user' }], uidMappings: mappings, gidMappings: mappings },
  });
  box.giveTo(100_000);
  expect(box.run('probe', 'stat', '/etc/app/file').out).toBe('/etc/app/file f 644 0:0\n');
});

test('mounts[].options: tmpcopyup a destination that is missing is an empty tmpfs, which all may write to', (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/not/there', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] });
  expect(box.run('sh', '-c', 'ls /not/there; stat -c %a /not/there')).toMatchObject({ code: 0, out: '1777\n' });
});

test('mounts[].options: tmpcopyup a tmpfs that is too small is an error that names it', { only: ['tsrun'] }, (t) => {
  const [box] = boxWith(t, ['size=64k']);
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/copy up \/etc\/app failed: sendfile large: .*ENOSPC.*\/mounts\/\d+\/options.*larger size=/);
});

test('mounts[].options: tmpcopyup links of the image lead nowhere outside', { only: ['tsrun'] }, (t) => {
  const [box, dir] = boxWith(t);
  symlinkSync('/../../../../../../../etc', join(dir, 'deep/out'));
  symlinkSync('/../../../../../../../etc', join(box.rootfs, 'outside'));
  box.config.mounts.push({ destination: '/outside', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] });
  const { out } = box.run('sh', '-c', 'readlink /etc/app/deep/out; ls /outside');
  expect(out.split('\n')[0]).toBe('/../../../../../../../etc');
  expect(out).not.toContain('machine-id');
});

test('mounts[].options: tmpcopyup it is refused for anything but a tmpfs', {
  except: { runc: 'runc 1.1 ignores it', crun: 'it ignores it' },
}, (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/data', type: 'bind', source: '/tmp', options: ['bind', 'tmpcopyup'] });
  expect(box.run('true').code).toBe(1);
});
