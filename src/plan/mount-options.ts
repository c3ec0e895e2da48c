// The mount options of config.md#linux-mount-options as a table. A new option is a new line.

import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_I_VERSION,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from '../linux/flags.ts';

/** One option's meaning for mount_setattr(2), for the superblock, or for the way it is mounted. */
interface Meaning {
  readonly set?: number;
  readonly clear?: number;
  /** For the whole tree below a bind mount. */
  readonly recursive?: true;
  /** A superblock flag under the name that fsconfig(2) has for it. */
  readonly superblock?: string;
  /** A superblock flag that only mount(2) can set. */
  readonly remount?: number;
  readonly bind?: 'bind' | 'rbind';
  /** The mount that is there already is changed. */
  readonly again?: true;
  readonly idmap?: 'idmap' | 'ridmap';
  readonly copyUp?: true;
}

const atime = (set: number): Meaning => ({ set, clear: MOUNT_ATTR__ATIME });
const nothing: Meaning = {};

/** Options on a single mount; with an r before the name, those marked below hold for the tree. */
const attributes: Readonly<Record<string, Meaning>> = {
  ro: { set: MOUNT_ATTR_RDONLY, superblock: 'ro' },
  rw: { clear: MOUNT_ATTR_RDONLY, superblock: 'rw' },
  nosuid: { set: MOUNT_ATTR_NOSUID },
  suid: { clear: MOUNT_ATTR_NOSUID },
  nodev: { set: MOUNT_ATTR_NODEV },
  dev: { clear: MOUNT_ATTR_NODEV },
  noexec: { set: MOUNT_ATTR_NOEXEC },
  exec: { clear: MOUNT_ATTR_NOEXEC },
  nodiratime: { set: MOUNT_ATTR_NODIRATIME },
  diratime: { clear: MOUNT_ATTR_NODIRATIME },
  noatime: atime(MOUNT_ATTR_NOATIME),
  // The kernel's default is relatime: that is where the negations lead back to.
  atime: atime(0),
  relatime: atime(0),
  norelatime: atime(MOUNT_ATTR_STRICTATIME),
  strictatime: atime(MOUNT_ATTR_STRICTATIME),
  nostrictatime: atime(0),
  nosymfollow: { set: MOUNT_ATTR_NOSYMFOLLOW },
  symfollow: { clear: MOUNT_ATTR_NOSYMFOLLOW },
};

const others: Readonly<Record<string, Meaning>> = {
  defaults: nothing,
  // What the kernel prints while it mounts: fsconfig(2) prints nothing, it answers.
  loud: nothing,
  silent: nothing,
  bind: { bind: 'bind' },
  rbind: { bind: 'rbind' },
  remount: { again: true },
  idmap: { idmap: 'idmap' },
  ridmap: { idmap: 'ridmap' },
  tmpcopyup: { copyUp: true },
  sync: { superblock: 'sync' },
  async: { superblock: 'async' },
  dirsync: { superblock: 'dirsync' },
  lazytime: { superblock: 'lazytime' },
  nolazytime: { superblock: 'nolazytime' },
  // Mandatory locking is gone since Linux 5.15; the names are still accepted.
  mand: { superblock: 'mand' },
  nomand: { superblock: 'nomand' },
  iversion: { remount: MS_I_VERSION },
  noiversion: nothing,
};

/** `shared` and the like; with an r before the name, for the tree. mount_namespaces(7) */
export const propagations: Readonly<Record<string, { readonly flag: number; readonly recursive: boolean }>> = {
  shared: { flag: MS_SHARED, recursive: false },
  slave: { flag: MS_SLAVE, recursive: false },
  private: { flag: MS_PRIVATE, recursive: false },
  unbindable: { flag: MS_UNBINDABLE, recursive: false },
  rshared: { flag: MS_SHARED, recursive: true },
  rslave: { flag: MS_SLAVE, recursive: true },
  rprivate: { flag: MS_PRIVATE, recursive: true },
  runbindable: { flag: MS_UNBINDABLE, recursive: true },
};

/** An option called `constructor` is none of ours, though every object has one. */
const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

function meaningOf(option: string): Meaning | undefined {
  const known = own(attributes, option) ?? own(others, option);
  if (known !== undefined || option[0] !== 'r') return known;
  const single = own(attributes, option.slice(1));
  return single === undefined ? undefined : { set: single.set ?? 0, clear: single.clear ?? 0, recursive: true };
}

export interface Change {
  readonly set: number;
  readonly clear: number;
}

export interface MountOptions {
  readonly bind: 'bind' | 'rbind' | undefined;
  readonly single: Change;
  readonly tree: Change;
  readonly propagation: readonly { readonly flag: number; readonly recursive: boolean }[];
  /** For the file system: superblock flags, and what the table does not know. */
  readonly data: readonly string[];
  readonly remount: number;
  /** `remount`: no new mount, the one at the destination is changed. */
  readonly again: boolean;
  /** Ids are mapped, for one mount or for its tree. */
  readonly idmap: 'idmap' | 'ridmap' | undefined;
  /** `tmpcopyup`: a tmpfs begins with what lies below it. */
  readonly copyUp: boolean;
}

/** Reads options from left to right: a later one undoes an earlier one. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let bind: MountOptions['bind'];
  let single: Change = { set: 0, clear: 0 };
  let tree: Change = { set: 0, clear: 0 };
  let remount = 0;
  let again = false;
  let idmap: MountOptions['idmap'];
  let copyUp = false;
  const data: string[] = [];
  const propagation: { flag: number; recursive: boolean }[] = [];
  for (const option of options) {
    const spread = own(propagations, option);
    if (spread !== undefined) {
      propagation.push(spread);
      continue;
    }
    const meaning = meaningOf(option);
    if (meaning === undefined) {
      // Names and values of the file system's own; several may stand in one string.
      if (!option.includes(',') && !option.includes('"')) data.push(option);
      else data.push(...splitData(option));
      continue;
    }
    if (meaning.bind !== undefined) bind = meaning.bind;
    if (meaning.again === true) again = true;
    if (meaning.idmap !== undefined) idmap = meaning.idmap;
    if (meaning.copyUp === true) copyUp = true;
    if (meaning.superblock !== undefined) data.push(meaning.superblock);
    if (meaning.remount !== undefined) remount |= meaning.remount;
    if (meaning.recursive === true) tree = add(tree, meaning);
    else single = add(single, meaning);
  }
  return { bind, single, tree, propagation, data, remount, again, idmap, copyUp };
}

/** A comma between quotes is part of a value, as in `context="u:r:t:s0:c1,c2"`; the kernel wants it without the quotes. */
const splitData = (option: string): string[] =>
  (option.match(/(?:"[^"]*"|[^,"]|")+/g) ?? []).map((part) => part.replace(/^([a-z]+)="(.*)"$/, '$1=$2'));

function add(change: Change, { set = 0, clear = 0 }: Meaning): Change {
  // mount_setattr(2): an access time value is set only together with clearing the whole field.
  return { set: (change.set & ~clear) | set, clear: (change.clear & ~(set & ~MOUNT_ATTR__ATIME)) | clear };
}

/** Names of every option above, for `features`. */
export const mountOptionNames: readonly string[] = [
  ...Object.keys(attributes),
  ...Object.keys(attributes).map((name) => `r${name}`),
  ...Object.keys(others),
  ...Object.keys(propagations),
];
