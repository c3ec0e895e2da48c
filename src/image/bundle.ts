// A bundle of an image: config.json, and overlay.json, which says what the root file system is put together from.

import { sysError, TsrunError } from '../errors.ts';
import { S_IFDIR, S_IFMT } from '../linux/flags.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { convert } from './convert.ts';
import { copyAttributes } from './layer.ts';
import { look, Lowers } from './lowers.ts';
import { type Image, openLayers, overlayForm } from './pull.ts';
import type { ImageStore, UserRecord } from './store.ts';
import { findUser } from './users.ts';

export interface BundleOptions {
  /** In place of the image's Cmd. */
  readonly args: readonly string[];
  readonly terminal: boolean;
  readonly container: UserRecord['container'];
}

const PASSWD_MOST = 4 << 20;

/**
 * Fills a directory that is empty. The caller holds the store's lock; from the record on the layers are safe without.
 * @throws {TsrunError}
 */
export function fillBundle(store: ImageStore, image: Image, dir: string, options: BundleOptions): void {
  const { record, config } = image;
  const lower = [...record.chains].reverse();
  const trees = openLayers(store, lower);
  try {
    const form = overlayForm();
    const lowers = new Lowers(trees, form.opaque);
    const [passwd, group] = accounts(lowers, config.config?.User ?? '');
    const ids = findUser(config.config?.User ?? '', passwd, group);
    const spec = convert(config, { args: options.args, ids, terminal: options.terminal, caller: form.owner });
    for (const name of ['rootfs', 'upper', 'work']) sys.makeDir(`${dir}/${name}`, 0o755);
    inheritRoot(trees, `${dir}/upper`);
    sys.writeFile(`${dir}/config.json`, `${JSON.stringify(spec, null, 2)}\n`, 0o644);
    const user: UserRecord = {
      bundle: dir,
      image: record.digest,
      chains: record.chains,
      ...(options.container === undefined ? {} : { container: options.container }),
    };
    store.save(store.userFile(dir), user);
    const overlay = {
      store: store.root,
      image: record.digest,
      lower: lower.map((chain) => `${store.layerDir(chain)}/tree`),
      upper: 'upper',
      work: 'work',
      volatile: options.container !== undefined,
    };
    // The last file: a bundle without it is none.
    sys.writeFile(`${dir}/overlay.json`, `${JSON.stringify(overlay, null, 2)}\n`, 0o644);
  } finally {
    for (const tree of trees) sys.treeClose(tree);
  }
}

/** Only read where a name could be in them. */
function accounts(lowers: Lowers, user: string): [passwd: string, group: string] {
  if (user === '' || user === '0' || user === '0:0') return ['', ''];
  try {
    return [lowers.readText('etc/passwd', PASSWD_MOST), lowers.readText('etc/group', PASSWD_MOST)];
  } catch (error) {
    throw isSysError(error) ? sysError("the image's /etc/passwd and /etc/group", error) : error;
  }
}

/** The root directory of an overlay is that of its upper layer. */
function inheritRoot(trees: readonly number[], upper: string): void {
  const [top] = trees;
  if (top === undefined) return;
  const root = look(top, '');
  if (root === undefined) return;
  const tree = sys.treeOpen(upper);
  try {
    copyAttributes(root, '', tree, '');
    sys.treeTimes(tree, '', root.seconds, root.nanoseconds);
  } finally {
    sys.treeClose(tree);
  }
}

/** Makes the directory for a bundle, or takes an empty one. @returns its absolute path */
export function claimBundle(path: string): { readonly dir: string; readonly made: boolean } {
  const made = unlessMissing(() => sys.stat(path)) === undefined;
  try {
    // What the container makes setuid must not be within reach of the host's users.
    if (made) sys.makeDir(path, 0o700);
    const dir = sys.realPath(path);
    const [mode = 0] = sys.stat(dir);
    if ((mode & S_IFMT) !== S_IFDIR) throw new TsrunError(`bundle ${path}: not a directory`);
    if (sys.readDir(dir).length > 0) throw new TsrunError(`bundle ${path}: not empty`);
    return { dir, made };
  } catch (error) {
    throw isSysError(error) ? sysError(`bundle ${path}`, error) : error;
  }
}

/** Takes away what fillBundle made of one that failed. */
export function clearBundle(store: ImageStore, dir: string, made: boolean): void {
  unlessMissing(() => sys.removeFile(store.userFile(dir)));
  if (made) {
    sys.removeTree(dir);
    return;
  }
  for (const name of ['rootfs', 'upper', 'work']) sys.removeTree(`${dir}/${name}`);
  for (const name of ['config.json', 'overlay.json']) unlessMissing(() => sys.removeFile(`${dir}/${name}`));
}
