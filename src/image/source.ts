// Where blobs come from: an OCI layout directory, or an archive with one inside, or an archive of `docker save`.
// Image layouts: image-spec image-layout.md.

import { sysError, TsrunError } from '../errors.ts';
import { O_NONBLOCK, O_RDONLY, S_IFMT, S_IFREG } from '../linux/flags.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { decodeText } from '../linux/utf8.ts';
import { type ArchiveIndex, indexArchive } from './archive-index.ts';
import { platformText, selectPlatform } from './platform.ts';
import { hexOf, type Reference } from './reference.ts';
import {
  checkConfig,
  checkIndex,
  checkManifest,
  type Descriptor,
  type ImageConfig,
  type Index,
  parseDocument,
  type Platform,
} from './types.ts';

/** Bytes in a file; whoever has one closes it. */
export interface Region {
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

/** A layer as its source has it. */
export interface LayerBlob {
  readonly mediaType: string;
  /** Undefined where the source does not name it: in an archive of `docker save` only the content has a digest. */
  readonly digest: string | undefined;
  readonly size: number;
  open(): Region;
}

/** All of an image but the content of its layers. */
export interface SourceImage {
  /** Of the manifest; of the configuration where there is none. */
  readonly digest: string;
  /** The texts as they lie in the source. */
  readonly manifestText: string | undefined;
  readonly configText: string;
  readonly configDigest: string;
  readonly config: ImageConfig;
  readonly layers: readonly LayerBlob[];
}

const DOCUMENT_MOST = 8 << 20;
const REF_NAME = 'org.opencontainers.image.ref.name';
const FULL_NAME = 'io.containerd.image.name';
const INDEX_DEPTH = 4;

/** Files by name, as a layout has them: in a directory or in an archive. */
interface Files {
  /** @throws {TsrunError} where it is missing, or no regular file. */
  open(name: string): Region;
  close(): void;
}

/** @throws {TsrunError} with the place and what is wrong there. */
export function openImage(reference: Reference, wanted: Platform): SourceImage {
  const files = openFiles(reference);
  try {
    return reference.kind === 'docker-archive'
      ? openDockerImage(files, reference, wanted)
      : openLayoutImage(files, reference, wanted);
  } finally {
    files.close();
  }
}

function openFiles({ kind, path, text }: Reference): Files {
  if (kind === 'oci') {
    const dir = attempt(text, () => sys.realPath(path));
    return { open: (name) => openRegular(`${dir}/${name}`, text), close: () => undefined };
  }
  const file = attempt(text, () => sys.realPath(path));
  const whole = openRegular(file, text);
  let index: ArchiveIndex;
  try {
    index = indexArchive(whole, text);
  } catch (error) {
    sys.close(whole.fd);
    throw error;
  }
  return {
    open(name) {
      const found = index(name);
      if (found === undefined) throw new TsrunError(`${text}: the archive has no ${name}`);
      // A descriptor of its own: layers outlive the index.
      return { ...found, fd: attempt(text, () => sys.open(file, O_RDONLY, 0)) };
    },
    close: () => sys.close(whole.fd),
  };
}

/** The size is not known to the door: what descriptors say of it is checked against the file's end. */
function openRegular(path: string, what: string): Region {
  const fd = attempt(what, () => sys.open(path, O_RDONLY | O_NONBLOCK, 0));
  const { mode, size } = attempt(what, () => statOf(fd));
  if ((mode & S_IFMT) === S_IFREG) return { fd, offset: 0, size };
  sys.close(fd);
  throw new TsrunError(`${what}: ${path} is not a regular file`);
}

function statOf(fd: number): { mode: number; size: number } {
  const [mode = 0, size = 0] = sys.statDescriptor(fd);
  return { mode, size };
}

function openLayoutImage(files: Files, reference: Reference, wanted: Platform): SourceImage {
  const what = reference.text;
  checkLayout(readText(files, 'oci-layout', what), what);
  const index = checkIndex(
    parseDocument(readText(files, 'index.json', what), `${what}: index.json`),
    `${what}: index.json`,
  );
  const { text: manifestText, digest } = resolve(files, chosen(index, reference), wanted, what, 0);
  const name = `${what}: manifest ${digest}`;
  const manifest = checkManifest(parseDocument(manifestText, name), name);
  const configText = readBlob(files, manifest.config, what);
  const configName = `${what}: configuration ${manifest.config.digest}`;
  return {
    digest,
    manifestText,
    configText,
    configDigest: manifest.config.digest,
    config: configFor(wanted, configText, configName),
    layers: manifest.layers.map((layer) => ({
      mediaType: layer.mediaType,
      digest: layer.digest,
      size: layer.size,
      open: () => openBlob(openFiles, reference, layer),
    })),
  };
}

function checkLayout(text: string, what: string): void {
  const { imageLayoutVersion: version } = parseDocument(text, `${what}: oci-layout`);
  if (typeof version !== 'string' || !version.startsWith('1.'))
    throw new TsrunError(
      `${what}: oci-layout: /imageLayoutVersion: expected "1.0.0", found ${JSON.stringify(version)}`,
    );
}

/** The descriptor that a tag or digest means. Without either: the only image, or the one with the tag `latest`. */
function chosen({ manifests }: Index, { tag, digest, text }: Reference): readonly Descriptor[] {
  if (digest !== undefined) {
    const found = manifests.filter((each) => each.digest === digest);
    // A manifest inside of a nested index is not listed here, but its blob has the name.
    return found.length > 0 ? found : [{ mediaType: '', digest, size: -1 }];
  }
  const tags = manifests.map(({ annotations }) => annotations?.[REF_NAME]);
  const wanted = tag ?? (new Set(tags).size > 1 ? 'latest' : undefined);
  const found = manifests.filter(
    ({ annotations }) =>
      wanted === undefined || annotations?.[REF_NAME] === wanted || annotations?.[FULL_NAME] === wanted,
  );
  if (found.length > 0) return found;
  const known = [...new Set(tags.filter((each) => each !== undefined))];
  const has = known.length === 0 ? 'no tags' : `the tags ${known.join(', ')}`;
  throw new TsrunError(
    manifests.length === 0
      ? `${text}: the layout has no images`
      : `${text}: no image ${wanted === undefined ? '' : `with the tag ${JSON.stringify(wanted)}`}; the layout has ${has}`,
  );
}

interface Resolved {
  readonly text: string;
  readonly digest: string;
}

function resolve(
  files: Files,
  candidates: readonly Descriptor[],
  wanted: Platform,
  what: string,
  depth: number,
): Resolved {
  const best = selectPlatform(candidates, wanted);
  if (best === undefined) {
    const has = candidates.map(({ platform }) => (platform === undefined ? 'any' : platformText(platform)));
    throw new TsrunError(`${what}: no image for ${platformText(wanted)}; there is ${has.join(', ') || 'none'}`);
  }
  const text = readBlob(files, best, what);
  const document = parseDocument(text, `${what}: ${best.digest}`);
  if (!Array.isArray(document['manifests'])) return { text, digest: best.digest };
  if (depth === INDEX_DEPTH) throw new TsrunError(`${what}: indexes that name indexes, ${INDEX_DEPTH} deep`);
  const index = checkIndex(document, `${what}: index ${best.digest}`);
  return resolve(files, index.manifests, wanted, what, depth + 1);
}

const blobName = (digest: string): string => `blobs/sha256/${hexOf(digest)}`;

/** A whole document, verified. A size of -1 stands for one that is not known. */
function readBlob(files: Files, { digest, size }: Descriptor, what: string): string {
  if (size > DOCUMENT_MOST) throw new TsrunError(`${what}: ${digest} has ${size} bytes, too many for a document`);
  const text = readText(files, blobName(digest), what);
  const found = `sha256:${sys.sha256(text)}`;
  if (found !== digest) throw new TsrunError(`${what}: blob ${digest} is damaged: its digest is ${found}`);
  return text;
}

/** Only its size is checked here: the content is, while it streams. */
function openBlob(open: (reference: Reference) => Files, reference: Reference, { digest, size }: Descriptor): Region {
  const files = open(reference);
  try {
    const region = files.open(blobName(digest));
    if (region.size === size) return region;
    sys.close(region.fd);
    throw new TsrunError(`${reference.text}: blob ${digest} is damaged: it has ${region.size} bytes, not ${size}`);
  } finally {
    files.close();
  }
}

function readText(files: Files, name: string, what: string): string {
  const region = files.open(name);
  try {
    if (region.size > DOCUMENT_MOST) throw new TsrunError(`${what}: ${name} has ${region.size} bytes`);
    return fromBytes(attempt(what, () => sys.readAt(region.fd, region.offset, region.size)));
  } finally {
    sys.close(region.fd);
  }
}

/** One character a byte to text; most documents are ASCII, which is both. */
export function fromBytes(bytes: string): string {
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  return decodeText(Uint8Array.from(bytes, (letter) => letter.charCodeAt(0)));
}

/** An index need not say what its images are for, but their configurations do. */
function configFor(wanted: Platform, text: string, what: string): ImageConfig {
  const config = checkConfig(parseDocument(text, what), what);
  const { os = wanted.os, architecture = wanted.architecture } = config;
  if (os !== wanted.os || architecture !== wanted.architecture)
    throw new TsrunError(
      `${what}: the image is for ${os}/${architecture}, not ${platformText(wanted)}; --platform ${os}/${architecture} takes it`,
    );
  return config;
}

/** podman and skopeo write out what Docker leaves away. */
const shortName = (name: string): string => name.replace(/^docker\.io\//, '').replace(/^library\//, '');

/** An archive of `docker save`: manifest.json names a configuration and plain tar files, in order. */
function openDockerImage(files: Files, reference: Reference, wanted: Platform): SourceImage {
  const what = reference.text;
  const list: unknown = parseDocument(`{"images":${readText(files, 'manifest.json', what)}}`, `${what}: manifest.json`)[
    'images'
  ];
  const images = (Array.isArray(list) ? list : []) as { Config?: unknown; RepoTags?: unknown; Layers?: unknown }[];
  const tagged = ({ RepoTags }: { RepoTags?: unknown }) => (Array.isArray(RepoTags) ? (RepoTags as unknown[]) : []);
  const { tag } = reference;
  const isMeant = (name: unknown) =>
    typeof name === 'string' && tag !== undefined && shortName(name) === shortName(tag);
  const found = images.filter((image) => tag === undefined || tagged(image).some(isMeant));
  const [image] = found;
  if (image === undefined || (found.length > 1 && tag === undefined)) {
    const has = images.flatMap(tagged).join(', ') || 'images without a name';
    throw new TsrunError(
      `${what}: ${tag === undefined ? 'name one image' : `no image ${tag}`}; the archive has ${has}`,
    );
  }
  const { Config: configName, Layers: layers } = image;
  if (typeof configName !== 'string' || !Array.isArray(layers) || !layers.every((name) => typeof name === 'string'))
    throw new TsrunError(`${what}: manifest.json: expected Config and Layers`);
  const configText = readText(files, configName, what);
  const configDigest = `sha256:${sys.sha256(configText)}`;
  return {
    digest: configDigest,
    manifestText: undefined,
    configText,
    configDigest,
    config: configFor(wanted, configText, `${what}: ${configName}`),
    layers: layers.map((name) => {
      const { fd, size } = files.open(name);
      sys.close(fd);
      const open = () => {
        const again = openFiles(reference);
        try {
          return again.open(name);
        } finally {
          again.close();
        }
      };
      return { mediaType: '', digest: undefined, size, open };
    }),
  };
}

function attempt<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw isSysError(error) ? sysError(what, error) : error;
  }
}
