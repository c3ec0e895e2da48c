// One layer from its stream to a tree that overlayfs can take. What an entry needs of the layers below (attributes of
// directories that the layer does not name, whether there is anything to hide) is done when all entries are there, so
// that layers can be written at the same time.

import { TsrunError } from '../errors.ts';
import { errnoName, errnoText } from '../linux/errno.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../linux/flags.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { type Entry, EntryReader } from './entries.ts';
import { type Fate, fateOf, keptXattrs, Refusal } from './fate.ts';
import { isDirectory, look, type Look, type Lowers, typeOf } from './lowers.ts';
import { fromBytes, type Region } from './source.ts';

export interface LayerOptions {
  /** A directory that is empty: the layer's root. */
  readonly dir: string;
  readonly region: Region;
  readonly compression: Compression;
  /** Of the blob; undefined where nobody has said it. */
  readonly digest: string | undefined;
  readonly diffId: string;
  /** For messages. */
  readonly name: string;
  readonly limits: Limits;
  readonly form: OverlayForm;
}

/** What an image may grow to when it is unpacked. */
export interface Limits {
  /** Bytes of a layer's tar stream. */
  readonly bytes: number;
  /** Entries of a layer. */
  readonly entries: number;
}

/** What the caller may write: with root all that a layer says and `trusted.` attributes for overlayfs, without it `user.` */
export interface OverlayForm {
  readonly opaque: 'trusted.overlay.opaque' | 'user.overlay.opaque';
  /** Set without root: owner of all files, in whose user namespace they belong to uid 0 and gid 0. */
  readonly owner: readonly [uid: number, gid: number] | undefined;
}

export type Compression = 'plain' | 'gzip' | 'zstd';

const compressions: Readonly<Record<Compression, number>> = { plain: 0, gzip: 1, zstd: 2 };

const ENOENT = 2;
const EEXIST = 17;
const S_IFCHR = 0o020000;
/** What the owner of a directory needs to fill it, unless he is root. */
const OWNER_ALL = 0o700;
/** Entries between two looks at the other layers. */
const TURN = 64;

export class Layer {
  private readonly options: LayerOptions;
  private readonly archive: number;
  private readonly tree: number;
  private readonly reader: EntryReader;
  private entry: Entry | undefined;
  private entries = 0;
  /** Directories with the time that they get in the end: every child that is made changes it. */
  private readonly times: (readonly [path: string, seconds: number, nanoseconds: number])[] = [];
  /** Directories that are closed to their owner, who still has to fill them. */
  private readonly closed: (readonly [path: string, mode: number])[] = [];
  private readonly whiteouts: string[] = [];
  private readonly opaque: string[] = [];
  /** Made for what is in them; their attributes are those of the layers below. */
  private readonly implied = new Set<string>(['']);
  /** Hard links to what this layer has not, or not yet. */
  private readonly links: (readonly [path: string, target: string])[] = [];
  private open = true;

  constructor(options: LayerOptions) {
    this.options = options;
    const { region, limits } = options;
    this.tree = sys.treeOpen(options.dir);
    try {
      this.archive = sys.archiveOpen(
        region.fd,
        region.offset,
        region.size,
        compressions[options.compression],
        limits.bytes,
      );
    } catch (error) {
      sys.treeClose(this.tree);
      throw error;
    }
    const { archive } = this;
    this.reader = new EntryReader({
      header: () => sys.archiveHeader(archive),
      text: (size) => sys.archiveText(archive, size),
      skip: (size) => sys.archiveSkip(archive, size),
    });
  }

  /** Takes some entries. False once there are no more. @throws {TsrunError} */
  advance(): boolean {
    return this.attempt(() => {
      for (let i = 0; i < TURN; i++) {
        this.entry = this.reader.next();
        if (this.entry === undefined) {
          this.verify();
          return false;
        }
        this.entries++;
        if (this.entries > this.options.limits.entries)
          throw this.failure(`more than ${this.options.limits.entries} entries; --max-entries allows more`);
        this.take(this.entry, fateOf(this.entry));
      }
      return true;
    });
  }

  /** Bytes of its blob that have been read. */
  get read(): number {
    return this.open ? sys.archiveAt(this.archive) : this.options.region.size;
  }

  /** What needs the layers below, and then the times. */
  finish(lowers: Lowers): void {
    this.entry = undefined;
    this.attempt(() => {
      for (const [path, target] of this.links) this.lateLink(path, target, lowers);
      for (const path of this.whiteouts) this.hide(path, lowers);
      for (const path of this.opaque) {
        this.ensureDirectory(path);
        sys.treeSetXattr(this.tree, path, this.options.form.opaque, 'y');
      }
      for (const path of this.implied) this.inherit(path, lowers);
      for (const [path, mode] of this.closed.reverse()) sys.treeOwner(this.tree, path, mode, ...this.ownIds());
      for (let i = this.times.length - 1; i >= 0; i--) {
        const [path, seconds, nanoseconds] = this.times[i] as (typeof this.times)[number];
        sys.treeTimes(this.tree, path, seconds, nanoseconds);
      }
    });
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    sys.archiveClose(this.archive);
    sys.treeClose(this.tree);
    sys.close(this.options.region.fd);
  }

  private verify(): void {
    const { digest, diffId } = this.options;
    const [blob = '', content = ''] = sys.archiveFinish(this.archive);
    if (digest !== undefined && digest !== `sha256:${blob}`)
      throw this.failure(`is damaged: the digest of its blob is sha256:${blob}`);
    if (diffId !== `sha256:${content}`)
      throw this.failure(`is not what the configuration names: its diff id is sha256:${content}, not ${diffId}`);
  }

  private take(entry: Entry, fate: Fate): void {
    const { tree } = this;
    switch (fate.kind) {
      case 'file':
        this.create(fate.path, () => this.writeFile(fate.path, entry));
        this.setXattrs(fate.path, entry);
        return;
      case 'directory':
        this.makeDirectory(fate.path, entry);
        break;
      case 'symlink':
        this.create(fate.path, () => sys.treeSymlink(tree, fate.path, fate.target));
        this.setAttributes(fate.path, S_IFLNK, entry);
        break;
      case 'link':
        this.link(fate.path, fate.target);
        break;
      case 'fifo':
        this.create(fate.path, () => sys.treeNode(tree, fate.path, S_IFIFO, 0, 0));
        this.setAttributes(fate.path, S_IFIFO, entry);
        break;
      case 'device':
        this.makeDevice(fate.path, fate.type, entry);
        break;
      case 'whiteout':
        this.whiteouts.push(fate.path);
        break;
      case 'opaque':
        this.opaque.push(fate.path);
        break;
      case 'nothing':
        break;
    }
    if (entry.size > 0) sys.archiveSkip(this.archive, entry.size);
  }

  private writeFile(path: string, entry: Entry): void {
    const { tree, archive } = this;
    const { mode, size, seconds, nanoseconds, sparse } = entry;
    const [uid, gid] = this.idsOf(entry);
    if (sparse === undefined) {
      sys.treeFile(tree, path, archive, size, mode, uid, gid, seconds, nanoseconds);
      return;
    }
    if (sparse.size > this.options.limits.bytes)
      throw new Refusal(`has ${sparse.size} bytes with its holes; --max-size allows more`);
    const map = new Uint32Array(sparse.pieces.flatMap(({ offset, length }) => [...words(offset), ...words(length)]));
    const padding = (512 - (size % 512)) % 512;
    sys.treeSparseFile(tree, path, archive, map, sparse.size, padding, mode, uid, gid, seconds, nanoseconds);
  }

  /** Makes what the call makes; a directory on the way that the layer has not named yet is made first. */
  private create(path: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!isSysError(error)) throw error;
      if (error.errno === EEXIST) throw new Refusal('is there twice');
      if (error.errno !== ENOENT || !this.ensureParents(path)) throw error;
      call();
    }
  }

  /** False where all were there. */
  private ensureParents(path: string): boolean {
    const slash = path.lastIndexOf('/');
    return slash > 0 && this.ensureDirectory(path.slice(0, slash));
  }

  private ensureDirectory(path: string): boolean {
    if (path === '' || isDirectory(look(this.tree, path))) return false;
    this.ensureParents(path);
    sys.treeDir(this.tree, path, 0o755);
    this.implied.add(path);
    return true;
  }

  private makeDirectory(path: string, entry: Entry): void {
    this.implied.delete(path);
    if (path !== '') {
      try {
        sys.treeDir(this.tree, path, 0o700);
      } catch (error) {
        if (!isSysError(error)) throw error;
        // One that was made for what is in it, or that is named twice, which archives of directories often do.
        if (error.errno === EEXIST && isDirectory(look(this.tree, path))) return this.setDirectory(path, entry);
        if (error.errno === EEXIST) throw new Refusal('is there twice');
        if (error.errno !== ENOENT || !this.ensureParents(path)) throw error;
        sys.treeDir(this.tree, path, 0o700);
      }
    }
    this.setDirectory(path, entry);
  }

  /** Without root a file stands in its place: devices are those of the container's /dev. */
  private makeDevice(path: string, type: number, entry: Entry): void {
    const { owner } = this.options.form;
    const make = () =>
      owner === undefined
        ? sys.treeNode(this.tree, path, type, entry.major, entry.minor)
        : sys.treeFile(this.tree, path, this.archive, 0, entry.mode, ...owner, entry.seconds, entry.nanoseconds);
    this.create(path, make);
    this.setAttributes(path, owner === undefined ? type : S_IFREG, entry);
  }

  private setDirectory(path: string, entry: Entry): void {
    const mode = S_IFDIR | entry.mode;
    const isClosed = this.options.form.owner !== undefined && (mode & OWNER_ALL) !== OWNER_ALL;
    if (isClosed) this.closed.push([path, mode]);
    sys.treeOwner(this.tree, path, isClosed ? mode | OWNER_ALL : mode, ...this.idsOf(entry));
    this.setXattrs(path, entry);
    this.times.push([path, entry.seconds, entry.nanoseconds]);
  }

  private setAttributes(path: string, type: number, entry: Entry): void {
    sys.treeOwner(this.tree, path, type | entry.mode, ...this.idsOf(entry));
    this.setXattrs(path, entry);
    sys.treeTimes(this.tree, path, entry.seconds, entry.nanoseconds);
  }

  /** After the owner: chown(2) takes file capabilities away. */
  private setXattrs(path: string, entry: Entry): void {
    for (const [name, value] of keptXattrs(entry)) {
      if (this.options.form.owner !== undefined && !name.startsWith('user.')) continue;
      try {
        sys.treeSetXattr(this.tree, path, name, value);
      } catch (error) {
        if (isSysError(error))
          throw new Refusal(`cannot have the extended attribute ${name}: ${wordErrno(error.errno)}`);
        throw error;
      }
    }
  }

  private link(path: string, target: string): void {
    const there = look(this.tree, target);
    if (there === undefined) {
      this.links.push([path, target]);
      return;
    }
    if (isDirectory(there)) throw new Refusal('is a hard link to a directory');
    this.create(path, () => sys.treeLink(this.tree, path, target));
  }

  /** A link whose other name came later, or is in a layer below: then the file is brought up, as overlayfs would do it. */
  private lateLink(path: string, target: string, lowers: Lowers): void {
    if (look(this.tree, target) === undefined) {
      const below = lowers.find(target);
      if (below === undefined)
        throw this.failure(`${show(path)} is a hard link to ${show(target)}, which is not there`);
      if (typeOf(below) !== S_IFREG)
        throw this.failure(`${show(path)} is a hard link to ${show(target)}, which is not a file of this layer`);
      this.ensureParents(target);
      sys.treeCopyFile(below.tree, target, this.tree, target);
      this.copyAttributes(target, below);
    }
    if (look(this.tree, path) !== undefined) throw this.failure(`${show(path)} is there twice`);
    this.create(path, () => sys.treeLink(this.tree, path, target));
  }

  /** A whiteout hides only what lies below: without that, it would be seen itself (layer.md#whiteouts). */
  private hide(path: string, lowers: Lowers): void {
    const own = look(this.tree, path);
    if (own !== undefined) {
      if (isDirectory(own)) sys.treeSetXattr(this.tree, path, this.options.form.opaque, 'y');
      return;
    }
    if (lowers.find(path) === undefined) return;
    this.ensureParents(path);
    sys.treeNode(this.tree, path, S_IFCHR, 0, 0);
  }

  /** A directory that only stands on the way has the attributes that it has below. */
  private inherit(path: string, lowers: Lowers): void {
    const below = lowers.find(path);
    if (below !== undefined && !isDirectory(below)) {
      throw this.failure(
        `has entries below ${show(path)}, which is ${typeOf(below) === S_IFLNK ? 'a symbolic link' : 'no directory'} in a layer below`,
      );
    }
    if (below === undefined) {
      // No layer says more of it: the same in each store, then, and not the time at which it was unpacked.
      sys.treeOwner(this.tree, path, S_IFDIR | 0o755, ...this.ownIds());
      this.times.push([path, 0, 0]);
      return;
    }
    this.copyAttributes(path, below);
  }

  private ownIds(): [number, number] {
    return [sys.userId(), sys.groupId()];
  }

  private idsOf({ uid, gid }: Entry): readonly [uid: number, gid: number] {
    return this.options.form.owner ?? [uid, gid];
  }

  private copyAttributes(path: string, from: Look): void {
    copyAttributes(from, path, this.tree, path);
    if (isDirectory(from)) this.times.push([path, from.seconds, from.nanoseconds]);
    else sys.treeTimes(this.tree, path, from.seconds, from.nanoseconds);
  }

  private failure(problem: string): TsrunError {
    return new TsrunError(`${this.options.name}: ${problem}`);
  }

  private attempt<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      const place = this.entry === undefined ? '' : `${show(this.entry.name)} `;
      if (error instanceof Refusal) throw this.failure(`${place}${error.message}`);
      if (error instanceof RangeError) throw this.failure(`the tar archive has ${error.message}`);
      if (isSysError(error)) throw this.failure(wordFailure(place, error, this.options.limits));
      throw error;
    }
  }
}

/** Owner, rights and extended attributes, but for those of overlayfs. Times come when nothing else will change them. */
export function copyAttributes(from: Look, source: string, tree: number, path: string): void {
  sys.treeOwner(tree, path, from.mode, from.uid, from.gid);
  for (const name of sys.treeXattrs(from.tree, source)) {
    if (/^(trusted|user)\.overlay\.|^security\.selinux$/.test(name)) continue;
    sys.treeSetXattr(tree, path, name, sys.treeXattr(from.tree, source, name));
  }
}

/** Low word first. */
const words = (value: number): [number, number] => [value >>> 0, Math.floor(value / 2 ** 32)];

/** A name of an archive for a message: no control codes, not too long. */
const show = (name: string): string => JSON.stringify(fromBytes(name.length > 200 ? `${name.slice(0, 200)}...` : name));

const wordErrno = (errno: number): string => `${errnoText(errno)} (${errnoName(errno)})`;

function wordFailure(place: string, { syscall, errno }: { syscall: string; errno: number }, limits: Limits): string {
  const name = errnoName(errno);
  if (name === 'EFBIG' && syscall === 'limit') return `has more than ${limits.bytes} bytes; --max-size allows more`;
  if (name === 'ENODATA') return 'is cut off';
  if (name === 'E2BIG' && syscall === 'zstd') return 'is compressed with a window of more than 32 MB (zstd --ultra)';
  if (name === 'EBADMSG')
    return syscall === 'tar'
      ? 'is damaged: no tar header where one should be'
      : `is damaged: ${syscall} cannot read it`;
  if (name === 'ELOOP') return `${place}lies behind a symbolic link`;
  if (name === 'ENOTDIR') return `${place}lies below something that is no directory`;
  return `${place}cannot be made: ${syscall}: ${wordErrno(errno)}`;
}
