// A directory in, a Bundle out (runtime-spec bundle.md).

import { TsrunError, sysError } from '../errors.ts';
import { S_IFDIR, S_IFMT } from '../linux/flags.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { parseSpec } from '../spec/parse.ts';
import type { Spec } from '../spec/types.ts';
import { type Overlay, parseOverlay } from './overlay.ts';

export interface Bundle {
  /** Absolute, without symbolic links. */
  readonly dir: string;
  readonly spec: Spec;
  /** The configuration as it was read. */
  readonly text: string;
  /** A directory of the host, yet to be made, that its mounts have for the messages of sd_notify(3). */
  readonly notify?: string;
  /** The root filesystem's directory, absolute and without symbolic links. */
  readonly rootfs: string;
  /** Set where the root file system is put together from layers, and the directory is only its place. */
  readonly overlay: Overlay | undefined;
}

/** Far above any real configuration; a larger file is a mistake or an attack on the runtime's memory. */
const CONFIG_MOST = 16 << 20;

/**
 * @param configName The configuration's file name, as in `--config`; relative to the bundle unless absolute.
 * @param rootfsMayMiss For a look at a configuration whose root filesystem is made later.
 * @throws {TsrunError} naming what is missing or wrong; {ConfigError} with all problems of the configuration.
 */
export function openBundle(path: string, configName: string, rootfsMayMiss = false): Bundle {
  const dir = attempt(`bundle ${path}`, () => sys.realPath(path));
  const file = configName.startsWith('/') ? configName : `${dir}/${configName}`;
  const text = attempt(`the bundle has no readable ${configName}`, () => sys.readFile(file, CONFIG_MOST));
  const spec = parseSpec(text, configName);
  const rootfs = spec.root.path.startsWith('/') ? spec.root.path : `${dir}/${spec.root.path}`;
  return { dir, spec, text, rootfs: rootfsMayMiss ? rootfs : openRootfs(rootfs), overlay: readOverlay(dir) };
}

function readOverlay(dir: string): Overlay | undefined {
  const file = `${dir}/overlay.json`;
  const content = attempt(`bundle ${dir}`, () => unlessMissing(() => sys.readFile(file, CONFIG_MOST)));
  return content === undefined ? undefined : parseOverlay(content, file);
}

function openRootfs(path: string): string {
  const doing = 'root file system (/root/path in config.json)';
  const rootfs = attempt(doing, () => sys.realPath(path));
  const [mode = 0] = attempt(doing, () => sys.stat(rootfs));
  if ((mode & S_IFMT) !== S_IFDIR) throw new TsrunError(`${doing}: ${rootfs}: not a directory`);
  if (rootfs === '/') throw new TsrunError(`${doing}: / is the host's own root`);
  // Its directory may be reached through links, the root itself may not be one: whoever can write there could turn it.
  const clean = path.replace(/\/+$/, '');
  const parent = attempt(doing, () => sys.realPath(clean.slice(0, clean.lastIndexOf('/')) || '/'));
  const name = clean.slice(clean.lastIndexOf('/') + 1);
  if (name !== '.' && name !== '..' && rootfs !== `${parent === '/' ? '' : parent}/${name}`)
    throw new TsrunError(`${doing}: ${path} is a symbolic link`);
  return rootfs;
}

function attempt<T>(doing: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw isSysError(error) ? sysError(doing, error) : error;
  }
}
