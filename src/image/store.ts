// Images on this machine, by content:
//   blobs/sha256/HEX     manifests and configurations, as they came
//   layers/HEX/tree      an unpacked layer, by its chain id; layers/HEX.lock while somebody makes it
//   images/HEX.json      an image, by the digest of its manifest
//   users/HEX.json       a bundle that uses layers, by its path
//   bundles/ID           bundles that `run IMAGE` made for a container
//   tmp/HEX              a layer that is being unpacked
//   lock                 shared by whoever adds, exclusive for whoever removes
// What has a name here is whole: it is made elsewhere and renamed. A crash leaves files in tmp, which nobody looks at, and
// locks that the kernel takes back.

import { sysError, TsrunError } from '../errors.ts';
import { LOCK_EX, LOCK_SH, O_CREAT, O_RDWR } from '../linux/flags.ts';
import { isSysError, makePath, sys, unlessMissing } from '../linux/sys.ts';
import { hexOf } from './reference.ts';
import type { Platform } from './types.ts';

/** The content of images/HEX.json. */
export interface ImageRecord {
  /** Of the manifest, or of the configuration where it came without one. */
  readonly digest: string;
  readonly configDigest: string;
  /** References that it was had by, the last one first. */
  readonly references: readonly string[];
  readonly platform: Platform;
  /** RFC 3339; '' where the image does not say. */
  readonly created: string;
  /** Chain ids, from the lowest layer up. */
  readonly chains: readonly string[];
}

/** The content of layers/HEX/layer.json. */
export interface LayerRecord {
  readonly diffId: string;
  /** Chain id of the layer below; '' for the lowest. */
  readonly parent: string;
  /** Bytes of the blob that it came from. */
  readonly size: number;
}

/** The content of users/HEX.json. */
export interface UserRecord {
  readonly bundle: string;
  readonly image: string;
  readonly chains: readonly string[];
  /** Set where the bundle belongs to a container and ends with it. */
  readonly container?: {
    readonly state: string;
    /** The process that makes it, until the state has it. */
    readonly pid: number;
    readonly startTime: string;
  };
}

export class ImageStore {
  readonly root: string;

  /** @param root Absolute path; made when the first image is. */
  constructor(root: string) {
    this.root = root;
  }

  layerDir(chain: string): string {
    return `${this.root}/layers/${hexOf(chain)}`;
  }

  tmpDir(chain: string): string {
    return `${this.root}/tmp/${hexOf(chain)}`;
  }

  get bundles(): string {
    return `${this.root}/bundles`;
  }

  userFile(bundle: string): string {
    return `${this.root}/users/${sys.sha256(bundle)}.json`;
  }

  exists(): boolean {
    return unlessMissing(() => sys.stat(this.root)) !== undefined;
  }

  /** Holds off whoever would remove something, or whoever adds; given back by closing the descriptor. */
  lock(how: 'shared' | 'exclusive'): number {
    this.make();
    return lockFile(`${this.root}/lock`, how === 'shared' ? LOCK_SH : LOCK_EX);
  }

  /** Waits until nobody else unpacks the layer. */
  lockLayer(chain: string): number {
    return lockFile(`${this.layerDir(chain)}.lock`, LOCK_EX);
  }

  hasLayer(chain: string): boolean {
    return unlessMissing(() => sys.stat(this.layerDir(chain))) !== undefined;
  }

  layer(chain: string): LayerRecord | undefined {
    return read<LayerRecord>(`${this.layerDir(chain)}/layer.json`);
  }

  images(): ImageRecord[] {
    return this.records<ImageRecord>('images');
  }

  users(): UserRecord[] {
    return this.records<UserRecord>('users');
  }

  /** By the bundle's path. */
  user(bundle: string): UserRecord | undefined {
    return read<UserRecord>(this.userFile(bundle));
  }

  image(digest: string): ImageRecord | undefined {
    return read<ImageRecord>(this.imageFile(digest));
  }

  imageFile(digest: string): string {
    return `${this.root}/images/${hexOf(digest)}.json`;
  }

  blobFile(digest: string): string {
    return `${this.root}/blobs/sha256/${hexOf(digest)}`;
  }

  save(path: string, record: ImageRecord | LayerRecord | UserRecord): void {
    sys.writeFile(path, JSON.stringify(record), 0o600);
  }

  names(folder: string): string[] {
    return (unlessMissing(() => sys.readDir(`${this.root}/${folder}`)) ?? []).sort();
  }

  private records<T>(folder: string): T[] {
    return this.names(folder)
      .filter((name) => /^[a-f0-9]{64}\.json$/.test(name))
      .flatMap((name) => read<T>(`${this.root}/${folder}/${name}`) ?? []);
  }

  /** Whoever may write here could put files below every container. */
  private checkOwner(): void {
    const [mode = 0, uid] = unlessMissing(() => sys.stat(this.root)) ?? [0, sys.userId()];
    if (uid !== sys.userId() || (mode & OTHERS_WRITE) !== 0)
      throw new TsrunError(
        `image store ${this.root}: others may write there; expected a directory of the caller alone`,
      );
  }

  /** 0700, so that neither devices nor setuid programs of a layer can be reached by others. */
  private make(): void {
    this.checkOwner();
    if (unlessMissing(() => sys.stat(`${this.root}/tmp`)) !== undefined) return;
    for (const name of ['', '/blobs', '/blobs/sha256', '/layers', '/images', '/users', '/bundles', '/tmp'])
      makeStorePath(`${this.root}${name}`);
  }
}

const OTHERS_WRITE = 0o022;

function read<T>(path: string): T | undefined {
  const text = unlessMissing(() => sys.readFile(path, 16 << 20));
  // A power cut can leave a file empty that had just been made.
  if (text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new TsrunError(`${path} is damaged: remove it, then run \`tsrun image prune\``);
  }
}

function lockFile(path: string, how: number): number {
  const fd = sys.open(path, O_RDWR | O_CREAT, 0o600);
  sys.lock(fd, how);
  return fd;
}

function makeStorePath(path: string): void {
  try {
    makePath(path, 0o700);
  } catch (error) {
    throw isSysError(error) ? sysError('image store', error) : error;
  }
}
