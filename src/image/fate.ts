// What becomes of an entry of a layer (image-spec layer.md). Pure: the names of an archive are hostile, and here they
// are judged before anything is opened.

import type { Entry } from './entries.ts';

export type Fate =
  | { readonly kind: 'directory' | 'file' | 'fifo'; readonly path: string }
  | { readonly kind: 'device'; readonly path: string; readonly type: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'whiteout' | 'opaque'; readonly path: string }
  | { readonly kind: 'nothing' };

/** An entry that is refused; the message follows the entry's name. */
export class Refusal extends Error {}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** The names that aufs kept its own records under; they mean nothing outside of it. */
const AUFS = '.wh..wh.';
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const ID_MOST = 0xffff_fffe;
const DEVICE_MOST = { major: 0xfff, minor: 0xf_ffff };

/** @throws {Refusal} */
export function fateOf(entry: Entry): Fate {
  const path = cleanPath(entry.name);
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  if (name.startsWith(WHITEOUT)) return whiteout(path.slice(0, Math.max(slash, 0)), name);
  if (`/${path}`.includes(`/${WHITEOUT}`)) {
    if (`/${path}`.includes(`/${AUFS}`)) return { kind: 'nothing' };
    throw new Refusal('lies below a whiteout');
  }
  checkIds(entry);
  switch (entry.type) {
    case '0':
      if (path === '') throw new Refusal('is the root of the layer, and no directory');
      return { kind: 'file', path };
    case '5':
      return { kind: 'directory', path };
    case '2':
      if (entry.linkName === '') throw new Refusal('is a symbolic link to nothing');
      return { kind: 'symlink', path: below(path), target: entry.linkName };
    case '1': {
      const target = linkTarget(entry.linkName);
      return target === path ? refuse('is a hard link to itself') : { kind: 'link', path: below(path), target };
    }
    case '3':
    case '4':
      return device(entry, below(path));
    case '6':
      return { kind: 'fifo', path: below(path) };
    default:
      throw new Refusal(`has the type ${JSON.stringify(entry.type)}, which layers do not have`);
  }
}

function refuse(why: string): never {
  throw new Refusal(why);
}

const below = (path: string): string => (path === '' ? refuse('is the root of the layer, and no directory') : path);

/**
 * Without `./`, doubled slashes and one at the end; '' for the root.
 * @throws {Refusal} for a path that leads out of the layer, or could.
 */
function cleanPath(name: string): string {
  // The root itself is called so by `umoci insert`, and it leads nowhere.
  if (name === '/') return '';
  if (name.startsWith('/')) throw new Refusal('has an absolute path');
  if (name.includes('\0')) throw new Refusal('has a NUL in its name');
  // Most names need nothing: no loop for them.
  if (!/(^|\/)(\.{0,2})(\/|$)/.test(name)) return name;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Refusal('has ".." in its path');
  return parts.join('/');
}

function linkTarget(name: string): string {
  if (name === '') throw new Refusal('is a hard link to nothing');
  try {
    return cleanPath(name);
  } catch (error) {
    throw error instanceof Refusal ? new Refusal('is a hard link that leads out of the layer') : error;
  }
}

function whiteout(parent: string, name: string): Fate {
  if (name === OPAQUE) return { kind: 'opaque', path: parent };
  if (name.startsWith(AUFS)) return { kind: 'nothing' };
  const hidden = name.slice(WHITEOUT.length);
  if (hidden === '' || hidden === '.' || hidden === '..') throw new Refusal('is a whiteout of a directory above it');
  return { kind: 'whiteout', path: parent === '' ? hidden : `${parent}/${hidden}` };
}

function device(entry: Entry, path: string): Fate {
  const { type, major, minor } = entry;
  if (major < 0 || major > DEVICE_MOST.major || minor < 0 || minor > DEVICE_MOST.minor)
    throw new Refusal('has a device number that Linux does not have');
  // Overlayfs takes 0/0 for a whiteout: one that the specification's name did not make is a trick.
  if (type === '3' && major === 0 && minor === 0) throw new Refusal('is the character device 0:0, overlayfs whiteout');
  return { kind: 'device', path, type: type === '3' ? S_IFCHR : S_IFBLK };
}

function checkIds({ uid, gid }: Entry): void {
  for (const id of [uid, gid])
    if (id < 0 || id > ID_MOST) throw new Refusal(`belongs to the id ${id}, which Linux does not have`);
}

/** Labels and lists of the machine that the image was made on; umoci and Docker leave them out as well. */
const ignored = ['security.selinux', 'system.nfs4_acl'];

/** The extended attributes that the layer keeps. @throws {Refusal} for those by which overlayfs could be misled. */
export function keptXattrs({ xattrs }: Entry): Entry['xattrs'] {
  if (xattrs.length === 0) return xattrs;
  for (const [name] of xattrs)
    if (/^(trusted|user)\.overlay\./.test(name))
      throw new Refusal(`has the extended attribute ${name}, overlayfs' own`);
  return xattrs.filter(([name]) => !ignored.includes(name));
}
