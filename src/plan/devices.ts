// linux.devices and the devices and links that every container has (config-linux.md#default-devices,
// runtime-linux.md#dev-symbolic-links).

import { S_IFBLK, S_IFCHR, S_IFIFO } from '../linux/flags.ts';
import { cleanPath } from '../spec/text.ts';
import type { LinuxDevice, Spec } from '../spec/types.ts';
import { bindsDev } from './mounts.ts';
import type { InitStep } from './steps.gen.ts';

const defaults: readonly (readonly [path: string, major: number, minor: number])[] = [
  ['/dev/null', 1, 3],
  ['/dev/zero', 1, 5],
  ['/dev/full', 1, 7],
  ['/dev/random', 1, 8],
  ['/dev/urandom', 1, 9],
  ['/dev/tty', 5, 0],
];

const links: readonly (readonly [path: string, text: string])[] = [
  ['/dev/fd', '/proc/self/fd'],
  ['/dev/stdin', '/proc/self/fd/0'],
  ['/dev/stdout', '/proc/self/fd/1'],
  ['/dev/stderr', '/proc/self/fd/2'],
  ['/dev/core', '/proc/kcore'],
];

const types: Readonly<Record<string, number>> = { b: S_IFBLK, c: S_IFCHR, u: S_IFCHR, p: S_IFIFO };

/** @param bound Nodes cannot be made in a user namespace: the host's are bound in their place. */
export function planDevices(spec: Spec, bound: boolean): InitStep[] {
  const hasMount = (spec.linux.namespaces ?? []).some((entry) => entry.type === 'mount');
  if (!hasMount || bindsDev(spec)) return [];
  const bind = bound ? 1 : 0;
  const wanted: InitStep[] = [];
  const named = new Set<string>();
  spec.linux.devices?.forEach((device, index) => {
    const path = cleanPath(device.path);
    named.add(path);
    if (path !== '/dev/ptmx') wanted.push(planDevice(device, path, index, bind));
  });
  return [
    ...defaults
      .filter(([path]) => !named.has(path))
      .map(
        ([path, major, minor]): InitStep => ({
          op: 'makeDevice',
          path,
          mode: S_IFCHR | 0o666,
          major,
          minor,
          uid: 0,
          gid: 0,
          bind,
          from: '',
          why: 'every container has it (config-linux.md#default-devices)',
        }),
      ),
    ...wanted,
    {
      op: 'makeLink',
      path: '/dev/ptmx',
      text: 'pts/ptmx',
      replace: 1,
      from: '',
      why: "opens a terminal of the container's own devpts",
    },
    ...links.map(
      ([path, text]): InitStep => ({
        op: 'makeLink',
        path,
        text,
        replace: 0,
        from: '',
        why: 'every container has it (runtime-linux.md#dev-symbolic-links)',
      }),
    ),
  ];
}

const planDevice = (device: LinuxDevice, path: string, index: number, bind: number): InitStep => ({
  op: 'makeDevice',
  path,
  // Docker writes all of st_mode, and a type in it must not make another one of `type`.
  mode: (types[device.type] ?? S_IFCHR) | ((device.fileMode ?? 0o666) & 0o7777),
  major: device.major ?? 0,
  minor: device.minor ?? 0,
  uid: device.uid ?? 0,
  gid: device.gid ?? 0,
  // A fifo is no device: mknod(2) makes one in a user namespace too, and the host's is nobody's business inside.
  bind: device.type === 'p' ? 0 : bind,
  from: `/linux/devices/${index}`,
  why: 'asked for',
});
