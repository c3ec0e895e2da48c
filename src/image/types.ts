// Documents of an image (image-spec 1.1): what is used of them, checked when they are read.

import { TsrunError } from '../errors.ts';
import { isDigest } from './reference.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** image-spec descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** image-spec image-index.md */
export interface Index {
  readonly manifests: readonly Descriptor[];
}

/** image-spec manifest.md */
export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** image-spec config.md */
export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture?: string;
  readonly os?: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
  readonly config?: {
    readonly User?: string;
    readonly ExposedPorts?: Readonly<Record<string, unknown>>;
    readonly Env?: readonly string[];
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Volumes?: Readonly<Record<string, unknown>>;
    readonly WorkingDir?: string;
    readonly Labels?: Readonly<Record<string, string>>;
    readonly StopSignal?: string;
  };
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly history?: readonly unknown[];
}

type Json = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === 'string';
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isTextMap: Check = (value) => isObject(value) && Object.values(value).every(isText);

/** A document that does not say what its specification asks for. */
const bad = (what: string, pointer: string, expected: string) =>
  new TsrunError(`${what}: ${pointer === '' ? 'the whole file' : pointer}: expected ${expected}`);

/** @throws {TsrunError} */
export function parseDocument(text: string, what: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // worded below: what the engine has to say of it differs from engine to engine
  }
  throw bad(what, '', 'a JSON object');
}

const SIZE_MOST = 2 ** 50;

function checkDescriptor(value: unknown, what: string, pointer: string): Descriptor {
  if (!isObject(value)) throw bad(what, pointer, 'a descriptor');
  const { mediaType, digest, size, platform } = value;
  if (typeof mediaType !== 'string') throw bad(what, `${pointer}/mediaType`, 'a text');
  if (!isDigest(digest)) throw bad(what, `${pointer}/digest`, '"sha256:" and 64 hexadecimal digits');
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > SIZE_MOST)
    throw bad(what, `${pointer}/size`, 'a number of bytes');
  if (platform !== undefined) {
    if (!isObject(platform) || !isText(platform['os']) || !isText(platform['architecture']))
      throw bad(what, `${pointer}/platform`, 'os and architecture');
    if (platform['variant'] !== undefined && !isText(platform['variant']))
      throw bad(what, `${pointer}/platform/variant`, 'a text');
  }
  if (value['annotations'] !== undefined && !isTextMap(value['annotations']))
    throw bad(what, `${pointer}/annotations`, 'texts by name');
  return value as unknown as Descriptor;
}

/** @throws {TsrunError} */
export function checkIndex(value: Json, what: string): Index {
  const { manifests } = value;
  if (!Array.isArray(manifests)) throw bad(what, '/manifests', 'a list');
  return { manifests: manifests.map((each, index) => checkDescriptor(each, what, `/manifests/${index}`)) };
}

/** Below this an image is whole; overlayfs itself takes no more layers than 500. */
const LAYERS_MOST = 500;

/** @throws {TsrunError} */
export function checkManifest(value: Json, what: string): Manifest {
  const { layers } = value;
  const config = checkDescriptor(value['config'], what, '/config');
  if (!Array.isArray(layers) || layers.length > LAYERS_MOST)
    throw bad(what, '/layers', `a list of at most ${LAYERS_MOST}`);
  return { config, layers: layers.map((each, index) => checkDescriptor(each, what, `/layers/${index}`)) };
}

const configFields: Readonly<Record<string, readonly [check: Check, expected: string]>> = {
  User: [isText, 'a text'],
  ExposedPorts: [isObject, 'an object'],
  Env: [isTexts, 'a list of texts'],
  Entrypoint: [isTexts, 'a list of texts'],
  Cmd: [isTexts, 'a list of texts'],
  Volumes: [isObject, 'an object'],
  WorkingDir: [isText, 'a text'],
  Labels: [isTextMap, 'texts by name'],
  StopSignal: [isText, 'a text'],
};

const topFields: Readonly<Record<string, readonly [check: Check, expected: string]>> = {
  created: [isText, 'a text'],
  author: [isText, 'a text'],
  architecture: [isText, 'a text'],
  os: [isText, 'a text'],
  variant: [isText, 'a text'],
  'os.version': [isText, 'a text'],
  'os.features': [isTexts, 'a list of texts'],
  history: [Array.isArray, 'a list'],
};

/** Fields that are null are absent, as Go writes them. @throws {TsrunError} */
export function checkConfig(value: Json, what: string): ImageConfig {
  const top = checkFields(value, topFields, what, '');
  const inner = value['config'] ?? {};
  if (!isObject(inner)) throw bad(what, '/config', 'an object');
  const config = checkFields(inner, configFields, what, '/config');
  const { rootfs } = value;
  const ids = isObject(rootfs) ? (rootfs['diff_ids'] ?? []) : undefined;
  if (!Array.isArray(ids) || !ids.every(isDigest))
    throw bad(what, '/rootfs/diff_ids', 'a list of "sha256:" with 64 hexadecimal digits');
  return { ...top, config, rootfs: { diff_ids: ids } };
}

function checkFields(
  value: Json,
  fields: Readonly<Record<string, readonly [check: Check, expected: string]>>,
  what: string,
  pointer: string,
): Json {
  const kept: Record<string, unknown> = {};
  for (const [name, [check, expected]] of Object.entries(fields)) {
    const field = value[name] ?? undefined;
    if (field === undefined) continue;
    if (!check(field)) throw bad(what, `${pointer}/${name}`, expected);
    kept[name] = field;
  }
  return kept;
}
