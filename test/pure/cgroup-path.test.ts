import { describe, expect, test } from 'vitest';
import { cgroupPath, findCgroup2, parseOwnCgroup } from '../../src/cgroup/path.ts';
import { TsrunError } from '../../src/errors.ts';

const base = { id: 'web', mount: '/sys/fs/cgroup', own: '/user.slice/session-1.scope' };

describe('the cgroup of a container', () => {
  test('is below the mount for an absolute cgroupsPath, wherever tsrun runs', () => {
    expect(cgroupPath({ ...base, cgroupsPath: '/pods/a' })).toBe('/sys/fs/cgroup/pods/a');
    expect(cgroupPath({ ...base, cgroupsPath: '/pods/a', own: '/../outside' })).toBe('/sys/fs/cgroup/pods/a');
  });

  test('is beside that of tsrun for a relative cgroupsPath', () => {
    expect(cgroupPath({ ...base, cgroupsPath: 'pods/a' })).toBe('/sys/fs/cgroup/user.slice/pods/a');
  });

  test('is named after the id by default', () => {
    expect(cgroupPath(base)).toBe('/sys/fs/cgroup/user.slice/tsrun-web');
    expect(cgroupPath({ ...base, cgroupsPath: '' })).toBe('/sys/fs/cgroup/user.slice/tsrun-web');
  });

  test('is below the root if tsrun runs in the root', () => {
    expect(cgroupPath({ ...base, own: '/' })).toBe('/sys/fs/cgroup/tsrun-web');
    expect(cgroupPath({ ...base, own: '/init' })).toBe('/sys/fs/cgroup/tsrun-web');
  });

  test('is below the hybrid mount too', () => {
    expect(cgroupPath({ ...base, mount: '/sys/fs/cgroup/unified', own: '/' })).toBe('/sys/fs/cgroup/unified/tsrun-web');
  });

  test('has no doubled slashes and dots', () => {
    expect(cgroupPath({ ...base, cgroupsPath: '//a/./b//c/' })).toBe('/sys/fs/cgroup/a/b/c');
    expect(cgroupPath({ ...base, cgroupsPath: './a' })).toBe('/sys/fs/cgroup/user.slice/a');
  });

  test('may have dots and colons in names', () => {
    expect(cgroupPath({ ...base, cgroupsPath: '/a..b/..c/system.slice:x:y' })).toBe(
      '/sys/fs/cgroup/a..b/..c/system.slice:x:y',
    );
  });

  test.each(['/', '.', './', '//', '/a/../b', '..', 'a/..', '/..', '../../x', '/a\0b', 'a\nb'])(
    'cannot be that of cgroupsPath %j',
    (cgroupsPath) => {
      expect(() => cgroupPath({ ...base, cgroupsPath })).toThrow(TsrunError);
      expect(() => cgroupPath({ ...base, cgroupsPath })).toThrow('/linux/cgroupsPath');
    },
  );

  test('cannot be relative to a cgroup outside of the namespace', () => {
    expect(() => cgroupPath({ ...base, own: '/../session.scope' })).toThrow('outside of its cgroup namespace');
  });
});

describe('/proc/self/cgroup', () => {
  test('names the cgroup in the line of hierarchy 0', () => {
    expect(parseOwnCgroup('0::/user.slice/session-1.scope\n')).toBe('/user.slice/session-1.scope');
    expect(parseOwnCgroup('12:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c:d\n')).toBe('/c:d');
  });

  test('names none on a host with cgroup v1 only', () => {
    expect(parseOwnCgroup('4:memory:/\n10::/\n')).toBeUndefined();
    expect(parseOwnCgroup('')).toBeUndefined();
  });
});

describe('/proc/self/mountinfo', () => {
  const root = '20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw';
  const sys = '21 20 0:20 / /sys rw shared:7 - sysfs sysfs rw';
  const unified = '30 21 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate';
  const tmpfs = '30 21 0:26 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755';
  const hybrid = '31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw';

  const find = (...lines: string[]): string | undefined => findCgroup2(`${lines.join('\n')}\n`);

  test('shows a unified host', () => {
    expect(find(root, sys, unified)).toBe('/sys/fs/cgroup');
  });

  test('shows a hybrid host', () => {
    expect(find(root, sys, tmpfs, hybrid, '32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu')).toBe(
      '/sys/fs/cgroup/unified',
    );
  });

  test('shows a host with cgroup v1 only', () => {
    expect(find(root, sys, tmpfs, '32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu')).toBeUndefined();
    expect(findCgroup2('')).toBeUndefined();
  });

  test('prefers /sys/fs/cgroup, wherever it stands', () => {
    expect(find(root, sys, '29 20 0:26 / /mnt/cg rw - cgroup2 cgroup2 rw', unified)).toBe('/sys/fs/cgroup');
  });

  test('finds cgroup2 mounted over a hybrid /sys/fs/cgroup', () => {
    expect(find(root, sys, tmpfs, hybrid, '40 30 0:27 / /sys/fs/cgroup rw - cgroup2 none rw')).toBe('/sys/fs/cgroup');
  });

  test('does not count a mount that a later one of another type covers', () => {
    expect(find(root, sys, unified, '40 30 0:40 / /sys/fs/cgroup ro - tmpfs tmpfs ro')).toBeUndefined();
  });

  test('takes the last of two mounts with the same parent and place', () => {
    expect(find(root, sys, unified, '40 21 0:40 / /sys/fs/cgroup ro - tmpfs tmpfs ro')).toBeUndefined();
  });

  test('does not count a mount below a covered directory', () => {
    const cover = '40 30 0:40 / /sys/fs/cgroup ro - tmpfs tmpfs ro';
    expect(find(root, sys, tmpfs, hybrid, cover)).toBeUndefined();
    expect(find(root, sys, unified, '41 21 0:41 / /sys rw - tmpfs tmpfs rw')).toBeUndefined();
  });

  test('is not misled by a root that is younger than what is mounted in it', () => {
    expect(find(sys, unified, root)).toBe('/sys/fs/cgroup');
  });

  test('works in a root directory that is not a mount', () => {
    expect(find(sys, unified)).toBe('/sys/fs/cgroup');
  });

  test('does not count a bind mount of a part of the hierarchy', () => {
    expect(find(root, sys, '30 21 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw')).toBeUndefined();
  });

  test('has its octal escapes decoded', () => {
    expect(find(root, '30 20 0:26 / /mnt/my\\040cg\\134x\\011 rw - cgroup2 cgroup2 rw')).toBe('/mnt/my cg\\x\t');
  });

  test('may have any number of optional fields, and lines that make no sense', () => {
    expect(find('nonsense', root, '30 20 0:26 / /cg rw master:1 propagate_from:2 unbindable - cgroup2 - rw')).toBe(
      '/cg',
    );
  });
});
