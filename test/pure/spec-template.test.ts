import { describe, expect, test } from 'vitest';
import { specTemplate } from '../../src/spec/template.ts';

const rooted = specTemplate({ rootless: false, uid: 1000, gid: 1001 });
const rootless = specTemplate({ rootless: true, uid: 1000, gid: 1001 });

describe('the template', () => {
  test('is of version 1.3.0 and has a terminal', () => {
    expect(rooted.ociVersion).toBe('1.3.0');
    expect(rooted.process?.terminal).toBe(true);
    expect(rooted.process?.args).toEqual(['sh']);
  });

  test('gives no inheritable and no ambient capabilities (CVE-2022-29162)', () => {
    expect(Object.keys(rooted.process?.capabilities ?? {})).toEqual(['bounding', 'effective', 'permitted']);
    expect(Object.keys(rootless.process?.capabilities ?? {})).toEqual(['bounding', 'effective', 'permitted']);
  });

  test('denies all devices and maps no ids', () => {
    expect(rooted.linux.resources).toEqual({ devices: [{ allow: false, access: 'rwm' }] });
    expect(rooted.linux.uidMappings).toBeUndefined();
    expect(rooted.linux.namespaces?.map(({ type }) => type)).toEqual([
      'pid',
      'network',
      'ipc',
      'uts',
      'mount',
      'cgroup',
    ]);
  });

  test('without root maps the caller to root and has no limits', () => {
    expect(rootless.linux.uidMappings).toEqual([{ containerID: 0, hostID: 1000, size: 1 }]);
    expect(rootless.linux.gidMappings).toEqual([{ containerID: 0, hostID: 1001, size: 1 }]);
    expect(rootless.linux.resources).toBeUndefined();
    expect(rootless.linux.namespaces?.map(({ type }) => type)).toEqual([
      'pid',
      'ipc',
      'uts',
      'mount',
      'cgroup',
      'user',
    ]);
  });

  test('without root binds /sys and sets no group of /dev/pts', () => {
    const find = (destination: string) => rootless.mounts?.find((mount) => mount.destination === destination);
    expect(find('/sys')).toEqual({
      destination: '/sys',
      type: 'none',
      source: '/sys',
      options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
    });
    expect(find('/dev/pts')?.options).toEqual(['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620']);
    expect(find('/proc')).toEqual({ destination: '/proc', type: 'proc', source: 'proc' });
  });
});
