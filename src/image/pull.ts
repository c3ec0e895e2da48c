// An image from its source into the store: what is missing is unpacked, layers side by side, and nobody unpacks twice.

import { TsrunError } from '../errors.ts';
import { sys, unlessMissing } from '../linux/sys.ts';
import { type Compression, Layer, type Limits, type OverlayForm } from './layer.ts';
import { Lowers } from './lowers.ts';
import type { Reference } from './reference.ts';
import { type LayerBlob, openImage, type Region, type SourceImage } from './source.ts';
import type { ImageRecord, ImageStore } from './store.ts';
import type { ImageConfig, Platform } from './types.ts';

export interface PullOptions {
  readonly platform: Platform;
  readonly limits: Limits;
  readonly progress: Progress;
}

/** Told of what is going on; see progress.ts. */
export interface Progress {
  /** Bytes that have to be unpacked, in so many layers. */
  begin(layers: number, bytes: number): void;
  /** A layer is in the store. */
  done(layer: string, bytes: number): void;
  /** Some more has been unpacked; the function counts the bytes of layers that have been read so far. */
  tick(read: () => number): void;
  end(): void;
}

export interface Image {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
}

/** Layers that are unpacked at the same time: each has a thread and about 1.5 MB, with zstd up to 32 MB. */
const AT_ONCE = 4;

/** As the effective user, who alone decides which attributes overlayfs takes. */
export function overlayForm(): OverlayForm {
  const uid = sys.userId();
  return uid === 0
    ? { opaque: 'trusted.overlay.opaque', owner: undefined }
    : { opaque: 'user.overlay.opaque', owner: [uid, sys.groupId()] };
}

/** The caller holds the store's lock. @throws {TsrunError} */
export function pull(store: ImageStore, reference: Reference, options: PullOptions): Image {
  const source = openImage(reference, options.platform);
  const { diff_ids: diffIds } = source.config.rootfs;
  if (diffIds.length !== source.layers.length)
    throw new TsrunError(
      `${reference.text}: the configuration names ${diffIds.length} layers, the manifest ${source.layers.length}`,
    );
  if (diffIds.length === 0) throw new TsrunError(`${reference.text}: the image has no layers: there is nothing to run`);
  const chains = chainIds(diffIds);
  unpackMissing(store, source, chains, reference.text, options);
  return { record: keep(store, source, chains, reference.text), config: source.config };
}

/** image-spec config.md#layer-chainid */
function chainIds(diffIds: readonly string[]): string[] {
  const chains: string[] = [];
  for (const diffId of diffIds) {
    const parent = chains.at(-1);
    chains.push(parent === undefined ? diffId : `sha256:${sys.sha256(`${parent} ${diffId}`)}`);
  }
  return chains;
}

interface Job {
  readonly index: number;
  readonly chain: string;
  readonly lock: number;
  layer: Layer | undefined;
  finished: boolean;
}

function unpackMissing(
  store: ImageStore,
  source: SourceImage,
  chains: readonly string[],
  what: string,
  { limits, progress }: PullOptions,
): void {
  const jobs: Job[] = [];
  try {
    // From the lowest up, as everybody does: so nobody waits for somebody who waits for him.
    chains.forEach((chain, index) => {
      if (store.hasLayer(chain) || jobs.some((job) => job.chain === chain)) return;
      const lock = store.lockLayer(chain);
      if (store.hasLayer(chain)) sys.close(lock);
      else jobs.push({ index, chain, lock, layer: undefined, finished: false });
    });
    if (jobs.length === 0) return;
    const sizes = jobs.map(({ index }) => source.layers[index]?.size ?? 0);
    progress.begin(
      jobs.length,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    const start = (job: Job) => {
      job.layer = startLayer(store, job, source, what, limits);
    };
    const made = new Set(jobs.map(({ chain }) => chain));
    runJobs(
      jobs,
      start,
      (job) => {
        finish(store, job, source, chains, made);
        progress.done(chains[job.index] ?? '', source.layers[job.index]?.size ?? 0);
      },
      progress,
    );
    publish(store, jobs);
  } finally {
    for (const job of jobs) {
      job.layer?.close();
      if (!job.finished) sys.removeTree(store.tmpDir(job.chain));
      sys.close(job.lock);
    }
    progress.end();
  }
}

/** A few at a time in turns, finished from the lowest up. */
function runJobs(
  jobs: readonly Job[],
  start: (job: Job) => void,
  finishOne: (job: Job) => void,
  progress: Progress,
): void {
  let next = 0;
  let finished = 0;
  const running: Job[] = [];
  const read = new Set<Job>();
  while (finished < jobs.length) {
    while (running.length < AT_ONCE && next < jobs.length) {
      const job = jobs[next++] as Job;
      start(job);
      running.push(job);
    }
    for (const job of [...running]) {
      if (job.layer?.advance() === true) continue;
      read.add(job);
      running.splice(running.indexOf(job), 1);
    }
    progress.tick(() => jobs.reduce((sum, { layer }) => sum + (layer?.read ?? 0), 0));
    for (let job = jobs[finished]; job !== undefined && read.has(job); job = jobs[++finished]) finishOne(job);
  }
}

function startLayer(store: ImageStore, job: Job, source: SourceImage, what: string, limits: Limits): Layer {
  const blob = source.layers[job.index] as LayerBlob;
  const tmp = store.tmpDir(job.chain);
  // Of somebody who was killed: whoever has the lock is alone here.
  sys.removeTree(tmp);
  sys.makeDir(tmp, 0o700);
  sys.makeDir(`${tmp}/tree`, 0o755);
  const region = blob.open();
  const diffId = source.config.rootfs.diff_ids[job.index] ?? '';
  const name = `${what}: layer ${job.index + 1} (${(blob.digest ?? diffId).slice(0, 19)}...)`;
  try {
    return new Layer({
      dir: `${tmp}/tree`,
      region,
      compression: compressionOf(blob, region, name),
      digest: blob.digest,
      diffId,
      name,
      limits,
      form: overlayForm(),
    });
  } catch (error) {
    sys.close(region.fd);
    throw error;
  }
}

/** The first bytes decide, as in the engines; a media type that says otherwise is a mistake that is told. */
function compressionOf({ mediaType }: LayerBlob, { fd, offset }: Region, name: string): Compression {
  const start = sys.readAt(fd, offset, 4);
  const found: Compression = start.startsWith('\x1f\x8b') ? 'gzip' : start === '\x28\xb5\x2f\xfd' ? 'zstd' : 'plain';
  if (mediaType !== '' && !/\.tar(\.|\+|$)/.test(mediaType))
    throw new TsrunError(`${name}: has the media type ${JSON.stringify(mediaType)}, which is no layer`);
  if (/encrypted/.test(mediaType)) throw new TsrunError(`${name}: is encrypted`);
  return found;
}

/** All lower layers are whole, in place or made beside this one. */
function finish(
  store: ImageStore,
  job: Job,
  source: SourceImage,
  chains: readonly string[],
  made: ReadonlySet<string>,
): void {
  const below = chains.slice(0, job.index).reverse();
  const trees = openTrees(below.map((chain) => (made.has(chain) ? store.tmpDir(chain) : store.layerDir(chain))));
  try {
    job.layer?.finish(new Lowers(trees, overlayForm().opaque));
  } finally {
    for (const tree of trees) sys.treeClose(tree);
  }
  job.layer?.close();
  store.save(`${store.tmpDir(job.chain)}/layer.json`, {
    diffId: source.config.rootfs.diff_ids[job.index] ?? '',
    parent: below[0] ?? '',
    size: source.layers[job.index]?.size ?? 0,
  });
}

/** On the disk before they have a name: no power cut leaves half a layer under one. */
function publish(store: ImageStore, jobs: readonly Job[]): void {
  const [first] = jobs;
  if (first !== undefined) sys.syncFileSystem(first.lock);
  for (const job of jobs) {
    sys.rename(store.tmpDir(job.chain), store.layerDir(job.chain));
    job.finished = true;
  }
}

/** @param chains The uppermost first. */
export const openLayers = (store: ImageStore, chains: readonly string[]): number[] =>
  openTrees(chains.map((chain) => store.layerDir(chain)));

function openTrees(dirs: readonly string[]): number[] {
  const trees: number[] = [];
  try {
    for (const dir of dirs) trees.push(sys.treeOpen(`${dir}/tree`));
    return trees;
  } catch (error) {
    for (const tree of trees) sys.treeClose(tree);
    throw error;
  }
}

function keep(store: ImageStore, source: SourceImage, chains: readonly string[], reference: string): ImageRecord {
  const before = store.image(source.digest);
  if (before !== undefined && before.references[0] === reference) return before;
  const { config, digest, configDigest, manifestText, configText } = source;
  const record: ImageRecord = {
    digest,
    configDigest,
    references: [reference, ...(before?.references ?? []).filter((text) => text !== reference)].slice(0, 16),
    platform: {
      os: config.os ?? 'linux',
      architecture: config.architecture ?? '',
      ...(config.variant === undefined ? {} : { variant: config.variant }),
    },
    created: config.created ?? '',
    chains,
  };
  const keepBlob = (name: string, text: string) => {
    const file = store.blobFile(name);
    if (unlessMissing(() => sys.stat(file)) === undefined) sys.writeFile(file, text, 0o600);
  };
  if (manifestText !== undefined) keepBlob(digest, manifestText);
  keepBlob(configDigest, configText);
  store.save(store.imageFile(digest), record);
  return record;
}
