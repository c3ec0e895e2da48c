// linux.cgroupsPath and what /proc says of the runtime in, the directory of the container's cgroup out.

import { ConfigError, TsrunError } from '../errors.ts';

export interface CgroupPlace {
  /** linux.cgroupsPath of the configuration. An empty one counts as absent, as in runc. */
  readonly cgroupsPath?: string | undefined;
  /** The container's id, already checked. */
  readonly id: string;
  /** Where cgroup2 is mounted, such as `/sys/fs/cgroup` or `/sys/fs/cgroup/unified`. */
  readonly mount: string;
  /** The runtime's own cgroup as in /proc/self/cgroup, such as `/user.slice/session-1.scope`. */
  readonly own: string;
}

/**
 * The absolute path of the container's cgroup, without `.`, `..` and doubled slashes (runtime-spec config-linux.md,
 * "Cgroups Path"). An absolute cgroupsPath is below the mount point. A relative one, and the default `tsrun-<id>`, are
 * below the parent of the runtime's own cgroup, as in runc: a cgroup that has processes of its own, as the runtime's
 * has, cannot give controllers to children (kernel cgroup-v2.rst, "No Internal Process Constraint").
 * @throws {ConfigError} naming /linux/cgroupsPath if it climbs, has control characters, or names the mount itself.
 * @throws {TsrunError} if the own cgroup is needed and lies outside of the cgroup namespace.
 */
export function cgroupPath({ cgroupsPath, id, mount, own }: CgroupPlace): string {
  const given = cgroupsPath ?? '';
  const names = components(given === '' ? `tsrun-${id}` : given, given);
  const parents = given.startsWith('/') ? [] : parentOf(own);
  return `${mount === '/' ? '' : mount}/${[...parents, ...names].join('/')}`;
}

function components(path: string, given: string): string[] {
  const refuse = (expected: string): never => {
    throw new ConfigError('config.json', [
      { pointer: '/linux/cgroupsPath', expected, found: JSON.stringify(given.slice(0, 80)) },
    ]);
  };
  // The kernel refuses newlines in names of cgroups, since they would make /proc/PID/cgroup ambiguous.
  if (path.includes('\0') || path.includes('\n')) refuse('a path without NUL and newline characters');
  const names = split(path);
  if (names.includes('..')) refuse('a path without ".."');
  if (names.length === 0) refuse('a path below the root of the cgroup hierarchy');
  return names;
}

function parentOf(own: string): string[] {
  const names = split(own);
  if (names.includes('..')) {
    throw new TsrunError(
      `the cgroup of tsrun, ${own}, is outside of its cgroup namespace: give an absolute linux.cgroupsPath`,
    );
  }
  return names.slice(0, -1);
}

function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/**
 * The cgroup v2 path of a process from the text of its /proc/PID/cgroup: the entry of hierarchy 0 (cgroups(7)).
 * Undefined if there is none, because cgroup v2 is not in this kernel.
 */
export function parseOwnCgroup(text: string): string | undefined {
  const line = text.split('\n').find((line) => line.startsWith('0::/'));
  return line?.slice('0::'.length);
}

/**
 * Where cgroup2 can be reached, from the text of /proc/self/mountinfo (proc(5)): /sys/fs/cgroup if it is there, else
 * the first other place. Undefined if it is nowhere. The path is decoded.
 * Mounts that another one covers, at the same path or above it, do not count; nor do bind mounts of a part of the
 * hierarchy, in which the paths of /proc/self/cgroup lead elsewhere.
 */
export function findCgroup2(mountinfo: string): string | undefined {
  const mounts = mountinfo.split('\n').flatMap(parseMount);
  const ids = new Set(mounts.map((mount) => mount.id));
  const children = new Map<string, MountLine>();
  for (const mount of mounts) {
    const parent = ids.has(mount.parent) && mount.parent !== mount.id ? mount.parent : UNLISTED;
    children.set(`${parent} ${mount.path}`, mount);
  }
  const paths = mounts
    .filter((mount) => mount.usable && visibleAt(mount.path, children) === mount)
    .map((mount) => mount.path);
  return paths.find((path) => path === '/sys/fs/cgroup') ?? paths[0];
}

/** Stands for the mount below the topmost listed ones: proc(5) leaves out what is not reachable from the root. */
const UNLISTED = '-';

interface MountLine {
  readonly id: string;
  readonly parent: string;
  readonly path: string;
  readonly usable: boolean;
}

/**
 * Walks to the path as the kernel does. The order of lines does not tell what covers what: since Linux 6.8 they are
 * sorted by age, and a /sys that an initramfs mounted and moved is older than the root below it.
 */
function visibleAt(path: string, children: ReadonlyMap<string, MountLine>): MountLine | undefined {
  let top: MountLine | undefined;
  for (let end = 0; end >= 0; end = end < path.length ? nextSlash(path, end) : -1) {
    const prefix = end === 0 ? '/' : path.slice(0, end);
    for (;;) {
      const next = children.get(`${top?.id ?? UNLISTED} ${prefix}`);
      if (next === undefined) break;
      top = next;
    }
  }
  return top;
}

function nextSlash(path: string, from: number): number {
  const slash = path.indexOf('/', from + 1);
  return slash < 0 ? path.length : slash;
}

// 36 35 98:0 /root /mount/point rw,noatime master:1 - fstype source options; the optional fields end at the hyphen.
function parseMount(line: string): MountLine[] {
  const fields = line.split(' ');
  const [id, parent, , root, path] = fields;
  const hyphen = fields.indexOf('-', 6);
  if (id === undefined || parent === undefined || path === undefined || hyphen < 0) return [];
  return [{ id, parent, path: unescapeOctal(path), usable: fields[hyphen + 1] === 'cgroup2' && root === '/' }];
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
