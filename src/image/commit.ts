// A container's own layer as one more layer of its image, in a layout directory.

import { sysError, TsrunError } from '../errors.ts';
import {
  LOCK_EX,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from '../linux/flags.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { formatTime } from '../linux/time.ts';
import { isDirectory, isOpaque, isWhiteout, type Look, look, typeOf } from './lowers.ts';
import { overlayForm } from './pull.ts';
import { hexOf, parseReference, type Reference } from './reference.ts';
import { type LayerBlob, openImage, type SourceImage } from './source.ts';
import type { ImageRecord } from './store.ts';
import { headersOf, type NewEntry } from './tar-write.ts';
import { parseDocument } from './types.ts';

export interface CommitRequest {
  /** The upper directory. */
  readonly upper: string;
  /** The image below it. */
  readonly record: ImageRecord;
  readonly target: Reference;
  /** For the history of the image. */
  readonly container: string;
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const MEDIA = 'application/vnd.oci.image';
const REF_NAME = 'org.opencontainers.image.ref.name';

/** @returns the digest of the new manifest. @throws {TsrunError}; then the layout has the same images as before. */
export function commit({ upper, record, target, container }: CommitRequest): string {
  if (target.kind !== 'oci' || target.tag === undefined)
    throw new TsrunError(`${target.text}: expected oci:DIR:TAG, a layout directory and a tag to commit to`);
  const source = sourceOf(record);
  try {
    const layout = new Layout(target.path);
    try {
      const base = source.layers.map((layer, index) =>
        layout.copy(layer, layer.digest ?? source.config.rootfs.diff_ids[index] ?? ''),
      );
      const { blob, diffId } = layout.pack(upper);
      const config = layout.put(`${MEDIA}.config.v1+json`, configText(source, diffId, container));
      const document = { schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json`, config, layers: [...base, blob] };
      const manifest = layout.put(`${MEDIA}.manifest.v1+json`, JSON.stringify(document));
      layout.tag(manifest, target.tag);
      return manifest.digest;
    } finally {
      layout.close();
    }
  } catch (error) {
    throw isSysError(error) ? sysError(`commit to ${target.text}`, error) : error;
  }
}

/** Compressed layers are not in the store: they come from where the image was had. */
function sourceOf({ references, digest, platform }: ImageRecord): SourceImage {
  let last: unknown;
  for (const text of references) {
    try {
      const source = openImage(parseReference(text), platform);
      if (source.digest === digest) return source;
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      last = error;
    }
  }
  const why = last instanceof TsrunError ? last.message : `the tag names another image by now`;
  throw new TsrunError(`the layers of the container's image are needed, and where it came from it is no more: ${why}`);
}

/** The configuration with one layer more; what else is in it stays, known or not. */
function configText(source: SourceImage, diffId: string, container: string): string {
  const config = parseDocument(source.configText, 'configuration');
  const [seconds = 0] = sys.clock();
  const created = formatTime(seconds, 0);
  const history = [...(source.config.history ?? []), { created, created_by: `tsrun commit ${container}` }];
  const rootfs = { type: 'layers', diff_ids: [...source.config.rootfs.diff_ids, diffId] };
  return JSON.stringify({ ...config, created, rootfs, history });
}

/** An image layout that is written to (image-spec image-layout.md); made if it is not there. One writer at a time. */
class Layout {
  private readonly dir: string;
  private readonly lock: number;

  constructor(path: string) {
    for (const each of [path, `${path}/blobs`, `${path}/blobs/sha256`])
      if (unlessMissing(() => sys.stat(each)) === undefined) sys.makeDir(each, 0o755);
    this.dir = sys.realPath(path);
    this.lock = sys.open(this.dir, O_RDONLY, 0);
    sys.lock(this.lock, LOCK_EX);
    if (!this.has('oci-layout')) sys.writeFile(`${this.dir}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}', 0o644);
  }

  close(): void {
    sys.close(this.lock);
  }

  put(mediaType: string, text: string): Blob {
    const digest = `sha256:${sys.sha256(text)}`;
    sys.writeFile(this.blob(digest), text, 0o644);
    return { mediaType, digest, size: utf8Size(text) };
  }

  /** A layer as it is in its source, verified on the way. */
  copy(layer: LayerBlob, digest: string): Blob {
    const { mediaType, size } = layer;
    const blob = { mediaType: mediaType === '' ? `${MEDIA}.layer.v1.tar` : mediaType, digest, size };
    if (this.has(`blobs/sha256/${hexOf(digest)}`)) return blob;
    const region = layer.open();
    try {
      this.write((fd) => {
        sys.copyAt(region.fd, region.offset, region.size, fd);
        const reader = sys.archiveOpen(fd, 0, size, 0, size);
        try {
          const [found = ''] = sys.archiveFinish(reader);
          if (`sha256:${found}` !== digest)
            throw new TsrunError(`blob ${digest} is damaged: its digest is sha256:${found}`);
        } finally {
          sys.archiveClose(reader);
        }
        return digest;
      });
    } finally {
      sys.close(region.fd);
    }
    return blob;
  }

  pack(upper: string): { blob: Blob; diffId: string } {
    const tree = sys.treeOpen(upper);
    let diffId = '';
    let size = 0;
    try {
      const digest = this.write((fd) => {
        const pack = sys.packOpen(fd);
        try {
          new Packer(tree, pack).add('');
          const [blob = '', content = ''] = sys.packFinish(pack);
          diffId = `sha256:${content}`;
          [, size = 0] = sys.statDescriptor(fd);
          return `sha256:${blob}`;
        } finally {
          sys.packClose(pack);
        }
      });
      return { blob: { mediaType: `${MEDIA}.layer.v1.tar+gzip`, digest, size }, diffId };
    } finally {
      sys.treeClose(tree);
    }
  }

  /** The index with the tag on this manifest, and on no other. */
  tag({ mediaType, digest, size }: Blob, tag: string): void {
    const text = this.has('index.json') ? sys.readFile(`${this.dir}/index.json`, 8 << 20) : '{}';
    const index = parseDocument(text, `${this.dir}/index.json`);
    const manifests = (Array.isArray(index['manifests']) ? index['manifests'] : []) as {
      annotations?: Record<string, string>;
    }[];
    const others = manifests.filter(({ annotations }) => annotations?.[REF_NAME] !== tag);
    const ours = { mediaType, digest, size, annotations: { [REF_NAME]: tag } };
    sys.writeFile(
      `${this.dir}/index.json`,
      JSON.stringify({ schemaVersion: 2, ...index, manifests: [...others, ours] }),
      0o644,
    );
  }

  /** A blob under a name of its own until its digest is known. */
  private write(make: (fd: number) => string): string {
    const path = `${this.dir}/blobs/.tsrun-${sys.processId()}`;
    const fd = sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644);
    try {
      const digest = make(fd);
      sys.rename(path, this.blob(digest));
      return digest;
    } catch (error) {
      unlessMissing(() => sys.removeFile(path));
      throw error;
    } finally {
      sys.close(fd);
    }
  }

  private blob(digest: string): string {
    return `${this.dir}/blobs/sha256/${hexOf(digest)}`;
  }

  private has(name: string): boolean {
    return unlessMissing(() => sys.stat(`${this.dir}/${name}`)) !== undefined;
  }
}

/** A tree in the form of overlayfs to entries in that of layers. */
class Packer {
  private readonly tree: number;
  private readonly pack: number;
  /** The first name of each file that has several. */
  private readonly names = new Map<number, string>();

  constructor(tree: number, pack: number) {
    this.tree = tree;
    this.pack = pack;
  }

  add(path: string): void {
    const found = look(this.tree, path);
    if (found === undefined) return;
    if (isWhiteout(found)) {
      const slash = path.lastIndexOf('/') + 1;
      this.header(found, { name: `${path.slice(0, slash)}.wh.${path.slice(slash)}`, type: '0', mode: 0 });
      return;
    }
    if (isDirectory(found)) this.addDirectory(path, found);
    else this.addOther(path, found);
  }

  private addDirectory(path: string, found: Look): void {
    this.header(found, { name: path === '' ? './' : `${path}/`, type: '5', xattrs: this.xattrs(path) });
    const below = path === '' ? '' : `${path}/`;
    if (isOpaque(this.tree, path, overlayForm().opaque))
      this.header(found, { name: `${below}.wh..wh..opq`, type: '0', mode: 0 });
    for (const name of sys.treeList(this.tree, path).sort()) this.add(`${below}${name}`);
  }

  private addOther(path: string, found: Look): void {
    const first = this.names.get(found.inode);
    if (first !== undefined) {
      this.header(found, { name: path, type: '1', linkName: first });
      return;
    }
    if (found.links > 1) this.names.set(found.inode, path);
    const same = { name: path, xattrs: this.xattrs(path) };
    switch (typeOf(found)) {
      case S_IFREG:
        this.addFile(path, found, same);
        return;
      case S_IFLNK:
        this.header(found, { ...same, type: '2', linkName: sys.treeReadLink(this.tree, path) });
        return;
      case S_IFCHR:
        this.header(found, { ...same, type: '3', major: found.major, minor: found.minor });
        return;
      case S_IFBLK:
        this.header(found, { ...same, type: '4', major: found.major, minor: found.minor });
        return;
      case S_IFIFO:
        this.header(found, { ...same, type: '6' });
        return;
      default:
      // Sockets: they mean nothing without the process that made them, and tar has no type for them.
    }
  }

  private addFile(path: string, found: Look, same: Pick<NewEntry, 'name' | 'xattrs'>): void {
    const fd = sys.treeOpenFile(this.tree, path);
    try {
      this.header(found, { ...same, type: '0', size: found.size });
      sys.packFile(this.pack, fd, found.size);
    } finally {
      sys.close(fd);
    }
  }

  private header(found: Look, entry: Partial<NewEntry> & Pick<NewEntry, 'name' | 'type'>): void {
    const { mode, seconds, nanoseconds } = found;
    // Without root the caller is uid 0 inside.
    const [uid, gid] = overlayForm().owner === undefined ? [found.uid, found.gid] : [0, 0];
    const all = { size: 0, linkName: '', major: 0, minor: 0, xattrs: [], mode: mode & 0o7777, ...entry };
    for (const text of headersOf({ ...all, uid, gid, seconds, nanoseconds })) sys.packText(this.pack, text);
  }

  private xattrs(path: string): NewEntry['xattrs'] {
    return sys
      .treeXattrs(this.tree, path)
      .filter((name) => !/^(trusted|user)\.overlay\.|^security\.selinux$/.test(name))
      .map((name) => [name, sys.treeXattr(this.tree, path, name)]);
  }
}

function utf8Size(text: string): number {
  let size = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0) ?? 0;
    size += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return size;
}
