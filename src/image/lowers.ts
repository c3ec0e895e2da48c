// What the layers below show at a path, as overlayfs puts them together: the uppermost that has it, unless a whiteout or an
// opaque directory is met on the way.

import { isSysError, sys } from '../linux/sys.ts';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from '../linux/flags.ts';

/** What lies at a path of a tree; see `treeLook`. */
export interface Look {
  readonly tree: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly links: number;
  readonly inode: number;
}

const ENOENT = 2;
const ENOTDIR = 20;
const ENODATA = 61;
const ENOTSUP = 95;
const LINKS_MOST = 40;

export const typeOf = ({ mode }: Look): number => mode & S_IFMT;
export const isDirectory = (look: Look | undefined): boolean => look !== undefined && typeOf(look) === S_IFDIR;
export const isWhiteout = (look: Look): boolean => typeOf(look) === S_IFCHR && look.major === 0 && look.minor === 0;

/** Undefined where the tree itself has nothing at the path. */
export function look(tree: number, path: string): Look | undefined {
  try {
    const [
      mode = 0,
      uid = 0,
      gid = 0,
      size = 0,
      major = 0,
      minor = 0,
      seconds = 0,
      nanoseconds = 0,
      links = 0,
      inode = 0,
    ] = sys.treeLook(tree, path);
    return { tree, mode, uid, gid, size, major, minor, seconds, nanoseconds, links, inode };
  } catch (error) {
    if (isSysError(error) && (error.errno === ENOENT || error.errno === ENOTDIR)) return undefined;
    throw error;
  }
}

export function isOpaque(tree: number, path: string, xattr: string): boolean {
  try {
    return sys.treeXattr(tree, path, xattr) === 'y';
  } catch (error) {
    if (isSysError(error) && (error.errno === ENODATA || error.errno === ENOTSUP)) return false;
    throw error;
  }
}

/** Trees from the uppermost down. */
export class Lowers {
  readonly trees: readonly number[];
  private readonly opaque: string;

  /** @param opaque The extended attribute of an opaque directory. */
  constructor(trees: readonly number[], opaque: string) {
    this.trees = trees;
    this.opaque = opaque;
  }

  /** What is to be seen at a path; nothing where an element on the way is no directory. No link is followed. */
  find(path: string): Look | undefined {
    for (const tree of this.trees) {
      const answer = this.findIn(tree, path);
      if (answer === 'hidden') return undefined;
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  private findIn(tree: number, path: string): Look | 'hidden' | undefined {
    if (path === '') return look(tree, '');
    const parts = path.split('/');
    let opaque = false;
    for (let i = 1; i <= parts.length; i++) {
      const place = parts.slice(0, i).join('/');
      const here = look(tree, place);
      if (here === undefined) return opaque ? 'hidden' : undefined;
      if (isWhiteout(here)) return 'hidden';
      if (i === parts.length) return here;
      if (!isDirectory(here)) return 'hidden';
      opaque ||= isOpaque(tree, place, this.opaque);
    }
    return undefined;
  }

  /** A small file by its path in the root that the layers make together, links followed inside it; '' for none. */
  readText(path: string, most: number): string {
    const resolved = this.resolve(path);
    return resolved === undefined ? '' : sys.treeRead(resolved.tree, resolved.path, most);
  }

  private resolve(path: string): { tree: number; path: string } | undefined {
    let left = path.split('/').filter(Boolean);
    const done: string[] = [];
    for (let links = 0; left.length > 0; ) {
      const [part = '', ...rest] = left;
      left = rest;
      if (part === '.' || part === '') continue;
      if (part === '..') {
        done.pop();
        continue;
      }
      const place = [...done, part].join('/');
      const here = this.find(place);
      if (here === undefined) return undefined;
      if (typeOf(here) === S_IFLNK) {
        if (++links > LINKS_MOST) return undefined;
        const target = sys.treeReadLink(here.tree, place);
        if (target.startsWith('/')) done.length = 0;
        left = [...target.split('/').filter(Boolean), ...left];
      } else if (left.length === 0) {
        return { tree: here.tree, path: place };
      } else {
        done.push(part);
      }
    }
    return undefined;
  }
}
