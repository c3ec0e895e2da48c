// The mounts that make a container's root file system: what a snapshotter of containerd asks for, onto the bundle's rootfs.

import { sysError, TsrunError } from '../errors.ts';
import { capture } from '../linux/capture.ts';
import { MOUNT_ATTR_RDONLY, O_PATH } from '../linux/flags.ts';
import { readAnyText, isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { makeFileSystem } from '../plan/mount-data.ts';
import { type MountOptions, parseMountOptions } from '../plan/mount-options.ts';

/** containerd.types.Mount */
export interface RootfsMount {
  readonly type: string;
  readonly source: string;
  /** Below the root file system; '' for itself. */
  readonly target: string;
  readonly options: readonly string[];
}

const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const MOUNT_ATTR_IDMAP = 0x100000;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const EINVAL = 22;
const EBUSY = 16;
const EEXIST = 17;
const ENOENT = 2;
const BUSY_TRIES = 50;
const BUSY_MS = 50;
const PAGE = 4095;
const SYSTEM_MOUNTS = 16 << 20;

/** Mounts all, in order. After a failure none is left. Changes the working directory. */
export function mountRootfs(mounts: readonly RootfsMount[], rootfs: string): void {
  try {
    sys.makeDir(rootfs, 0o711);
  } catch (error) {
    if (!isSysError(error) || error.errno !== EEXIST) throw error;
  }
  for (const [index, mount] of mounts.entries()) {
    try {
      mountOne(mount, rootfs, index);
    } catch (error) {
      unmountRootfs(rootfs);
      throw isSysError(error) ? sysError(`mount ${mount.type} onto rootfs`, error) : error;
    }
  }
}

function mountOne(mount: RootfsMount, rootfs: string, index: number): void {
  if (/^fuse3?\./.test(mount.type)) mountFuse(mount, rootfs);
  else if (mount.options.includes('loop')) withLoopDevice(mount, (device) => mountKernel(device, rootfs, index));
  else mountKernel(mount, rootfs, index);
}

/** mount.fuse3(8) */
function mountFuse({ type, source, target, options }: RootfsMount, rootfs: string): void {
  const [kind = '', ...name] = type.split('.');
  const more = options.length === 0 ? [] : ['-o', options.join(',')];
  const { status } = capture(`mount.${kind}`, [source, `${rootfs}${target}`, ...more, '-t', name.join('.')]);
  if (status !== 0) throw new TsrunError(`mount ${type} onto rootfs: mount.${kind} failed with status ${status >> 8}`);
}

/** The device ends with the last mount of it. */
function withLoopDevice(mount: RootfsMount, use: (mount: RootfsMount) => void): void {
  const options = mount.options.filter((option) => option !== 'loop' && option !== 'direct-io');
  const direct = mount.options.includes('direct-io') ? 1 : 0;
  const [number = 0, fd = -1] = sys.loopDevice(mount.source, options.includes('ro') ? 1 : 0, direct);
  try {
    use({ ...mount, source: `/dev/loop${number}`, options });
  } finally {
    sys.close(fd);
  }
}

function mountKernel(mount: RootfsMount, rootfs: string, index: number): void {
  const { plain, uidMap, gidMap } = takeIdMaps(mount.options);
  const options = parseMountOptions(plain);
  // The top of what is mounted there: the next mount's target may be inside of the last one.
  const root = sys.open(rootfs, O_PATH, 0);
  const target = mount.target === '' ? root : sys.openInRoot(root, mount.target, O_PATH);
  const namespace = uidMap === '' ? -1 : sys.userNamespace(uidMap, gidMap);
  try {
    if (mount.type === 'bind' || options.bind !== undefined) bind(mount.source, options, target, namespace);
    else makeMount(mount, options, target, namespace, index, rootfs);
  } finally {
    for (const fd of new Set([root, target, namespace])) if (fd >= 0) sys.close(fd);
  }
}

/** `uidmap=C:H:N,…` and `gidmap=`: lines as in user_namespaces(7). */
function takeIdMaps(options: readonly string[]): { plain: string[]; uidMap: string; gidMap: string } {
  const lines = (name: string) =>
    options
      .filter((option) => option.startsWith(`${name}=`))
      .flatMap((option) => option.slice(name.length + 1).split(','))
      .map((range) => `${range.split(':').join(' ')}\n`)
      .join('');
  const plain = options.filter((option) => !/^[ug]idmap=/.test(option));
  const [uidMap, gidMap] = [lines('uidmap'), lines('gidmap')];
  if ((uidMap === '') !== (gidMap === '')) throw new TsrunError('rootfs: uidmap= and gidmap= go together');
  return { plain, uidMap, gidMap };
}

function bind(source: string, options: MountOptions, target: number, namespace: number): void {
  const recursive = options.bind === 'rbind';
  const tree = sys.openTree(source, OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0));
  try {
    if (namespace >= 0) sys.mountSetattr(tree, recursive ? 1 : 0, MOUNT_ATTR_IDMAP, 0, 0, namespace);
    attach(tree, options, target);
  } finally {
    sys.close(tree);
  }
}

function attach(mount: number, { single, tree, propagation }: MountOptions, target: number): void {
  if ((single.set | single.clear) !== 0) sys.mountSetattr(mount, 0, single.set, single.clear, 0, -1);
  if ((tree.set | tree.clear) !== 0) sys.mountSetattr(mount, 1, tree.set, tree.clear, 0, -1);
  for (const { flag, recursive } of propagation) sys.mountSetattr(mount, recursive ? 1 : 0, 0, 0, flag, -1);
  sys.moveMount(mount, target);
}

function makeMount(
  { type, source }: RootfsMount,
  options: MountOptions,
  target: number,
  namespace: number,
  index: number,
  rootfs: string,
): void {
  const mapped = type === 'overlay' && namespace >= 0 ? mapLayers(options.data, namespace, rootfs) : undefined;
  try {
    const mount = newMount(
      type,
      source,
      { ...options, data: shorten(type, mapped?.data ?? options.data) },
      index,
      rootfs,
    );
    try {
      if (namespace >= 0 && mapped === undefined) sys.mountSetattr(mount, 0, MOUNT_ATTR_IDMAP, 0, 0, namespace);
      attach(mount, { ...options, single: { set: 0, clear: 0 } }, target);
    } finally {
      sys.close(mount);
    }
  } finally {
    mapped?.undo();
  }
}

/** A detached mount. */
function newMount(fstype: string, source: string, options: MountOptions, index: number, rootfs: string): number {
  const step = makeFileSystem({
    source,
    fstype,
    options: options.data,
    attributes: options.single.set,
    instead: '',
    also: 0,
    from: `/rootfs/${index}`,
    why: '',
  });
  if (step.op === 'mount') return configured(fstype, source, step.options, options.single.set);
  if (step.op !== 'legacyMount') throw new TsrunError(`rootfs: ${fstype} cannot be mounted`);
  // On a directory that is made for it, which is taken away from under it at once.
  const place = `${bundleOf(rootfs)}/.mount`;
  sys.makeDir(place, 0o700);
  try {
    sys.mount(source, place, fstype, step.flags, step.data);
    const mount = sys.openTree(place, OPEN_TREE_CLONE);
    sys.unmount(place, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (step.attributes !== 0) sys.mountSetattr(mount, 0, step.attributes, 0, 0, -1);
    return mount;
  } finally {
    sys.removeDir(place);
  }
}

function configured(fstype: string, source: string, options: readonly string[], attributes: number): number {
  const fs = sys.fsOpen(fstype);
  try {
    if (source !== '') sys.fsConfig(fs, FSCONFIG_SET_STRING, 'source', source);
    for (const option of options) {
      const cut = option.indexOf('=');
      if (cut < 0) sys.fsConfig(fs, FSCONFIG_SET_FLAG, option, '');
      else sys.fsConfig(fs, FSCONFIG_SET_STRING, option.slice(0, cut), option.slice(cut + 1));
    }
    sys.fsConfig(fs, FSCONFIG_CMD_CREATE, '', '');
    return sys.fsMount(fs, attributes);
  } catch (error) {
    if (!isSysError(error)) throw error;
    const said = logOf(fs);
    throw new TsrunError(`${sysError(`mount ${fstype} onto rootfs`, error).message}${said === '' ? '' : `: ${said}`}`);
  } finally {
    sys.close(fs);
  }
}

/** What the kernel has to say beyond the number: lines such as "e overlay: …". */
function logOf(fs: number): string {
  const lines: string[] = [];
  for (;;) {
    try {
      const line = String.fromCharCode(...sys.read(fs, 1024)).trim();
      if (line === '') break;
      lines.push(line.replace(/^[ewi] /, ''));
    } catch (error) {
      if (!isSysError(error)) throw error;
      break;
    }
  }
  return lines.join('; ');
}

/** Where an overlay has more layers than a page can name, names relative to the directory that holds them all. */
function shorten(type: string, data: readonly string[]): readonly string[] {
  if (type !== 'overlay' || data.join(',').length <= PAGE) return data;
  const layers = data.filter((option) => /^(lowerdir|upperdir|workdir)=/.test(option)).flatMap(pathsOf);
  const common = commonDirectory(layers);
  if (common === '') return data;
  sys.changeDir(common);
  return data.map((option) => {
    const [key = '', ...rest] = option.split('=');
    if (!/^(lowerdir|upperdir|workdir)$/.test(key)) return option;
    return `${key}=${rest
      .join('=')
      .split(':')
      .map((path) => path.slice(common.length + 1))
      .join(':')}`;
  });
}

const pathsOf = (option: string): string[] => option.slice(option.indexOf('=') + 1).split(':');

/** The deepest directory that all lie below; '' if there is none but the root. */
function commonDirectory(paths: readonly string[]): string {
  const [first = '', ...rest] = paths.map((path) => path.split('/').slice(0, -1));
  const parts = [...first];
  for (const other of rest) {
    let same = 0;
    while (same < parts.length && parts[same] === other[same]) same++;
    parts.length = same;
  }
  return parts.join('/');
}

/** Layers below that are seen through id-mapped, read-only copies of the mount that holds them. */
function mapLayers(
  data: readonly string[],
  namespace: number,
  rootfs: string,
): { data: readonly string[]; undo: () => void } {
  const lower = data.find((option) => option.startsWith('lowerdir='));
  if (lower === undefined) return { data, undo: () => {} };
  const paths = pathsOf(lower);
  const common = commonDirectory(paths);
  const place = `${bundleOf(rootfs)}/.layers`;
  const tree = sys.openTree(common === '' ? '/' : common, OPEN_TREE_CLONE);
  try {
    sys.mountSetattr(tree, 0, MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY, 0, 0, namespace);
    sys.makeDir(place, 0o700);
    const target = sys.open(place, O_PATH, 0);
    sys.moveMount(tree, target);
    sys.close(target);
  } finally {
    sys.close(tree);
  }
  return {
    data: data.map((option) =>
      option === lower ? `lowerdir=${paths.map((path) => `${place}${path.slice(common.length)}`).join(':')}` : option,
    ),
    undo: () => {
      sys.unmount(place, MNT_DETACH | UMOUNT_NOFOLLOW);
      sys.removeDir(place);
    },
  };
}

/**
 * Unmounts all that is at the bundle's rootfs and below. What is not mounted, or not there, is no failure.
 * @throws {TsrunError} `failed rootfs umount` if somebody still uses it after 2.5 s.
 */
export function unmountRootfs(rootfs: string): void {
  while (isMounted(rootfs)) {
    // Without mounts below it, which is the rule, there is no need to look at all mounts of the host.
    if (detach(rootfs)) continue;
    const mounts = mountsBelow(rootfs);
    for (const mount of mounts) patiently(mount);
    if (mounts.length === 0) patiently(rootfs);
  }
}

const isMounted = (path: string): boolean => unlessMissing(() => sys.isMountRoot(path)) === 1;

/** True if it is unmounted, false if it is busy. */
function detach(path: string): boolean {
  try {
    sys.unmount(path, UMOUNT_NOFOLLOW);
    return true;
  } catch (error) {
    if (!isSysError(error)) throw error;
    if (error.errno === EINVAL || error.errno === ENOENT) return true;
    if (error.errno !== EBUSY) throw sysError('failed rootfs umount', error);
    return false;
  }
}

function patiently(path: string): void {
  for (let tries = 0; !detach(path); tries++) {
    if (tries >= BUSY_TRIES) throw new TsrunError(`failed rootfs umount: ${path}: device or resource busy (EBUSY)`);
    sys.poll(new Uint32Array(0), BUSY_MS);
  }
}

/** Mount points at a path and below it, the last one first. proc_pid_mountinfo(5) */
function mountsBelow(path: string): string[] {
  const points = readAnyText('/proc/self/mountinfo', SYSTEM_MOUNTS)
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, code: string) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    );
  return points.filter((point) => point === path || point.startsWith(`${path}/`)).reverse();
}

/** Nobody but root gets into a bundle: a place for what must be mounted for a moment. */
const bundleOf = (rootfs: string): string => rootfs.slice(0, rootfs.lastIndexOf('/'));
