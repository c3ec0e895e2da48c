// What nobody uses any more. References are counted anew each time, under the store's exclusive lock: no count can be wrong
// after a crash.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { hexOf } from './reference.ts';
import type { ImageRecord, ImageStore, UserRecord } from './store.ts';
import { isAlive } from './users-alive.ts';

export interface Removed {
  readonly images: number;
  readonly layers: number;
}

/** Removes all images, layers and bundles that no living container and no unpacked bundle uses. */
export const prune = (store: ImageStore): Removed =>
  exclusively(store, () => {
    const users = livingUsers(store);
    const used = new Set(users.map(({ image }) => image));
    const unused = store.images().filter(({ digest }) => !used.has(digest));
    for (const image of unused) forget(store, image);
    const layers = sweep(store, users);
    return { images: unused.length, layers };
  });

/** Removes the images that the names mean, and the layers that no other has. @throws {TsrunError} if one is in use. */
export const remove = (store: ImageStore, names: readonly string[]): Removed =>
  exclusively(store, () => {
    const users = livingUsers(store);
    const images = names.map((name) => findImage(store, name));
    for (const image of images) {
      const user = users.find(({ image: digest }) => digest === image.digest);
      if (user !== undefined)
        throw new TsrunError(`image ${image.references[0] ?? image.digest} is in use by ${user.bundle}`);
    }
    for (const image of images) forget(store, image);
    return { images: images.length, layers: sweep(store, users) };
  });

/** By a reference, or by the beginning of a digest of at least four digits. @throws {TsrunError} */
export function findImage(store: ImageStore, name: string): ImageRecord {
  const images = store.images();
  const named = images.filter(({ references }) => references[0] === name);
  const digits = name.replace(/^sha256:/, '');
  const found =
    named.length > 0
      ? named
      : images.filter(
          ({ digest, configDigest, references }) =>
            references.includes(name) ||
            (/^[a-f0-9]{4,64}$/.test(digits) && [digest, configDigest].some((each) => hexOf(each).startsWith(digits))),
        );
  const [image] = found;
  if (image === undefined)
    throw new TsrunError(`the store has no image ${JSON.stringify(name)}; \`tsrun images\` lists them`);
  if (found.length > 1) throw new TsrunError(`${JSON.stringify(name)} means ${found.length} images: give more digits`);
  return image;
}

function exclusively<T>(store: ImageStore, call: () => T): T {
  let lock = -1;
  try {
    lock = store.lock('exclusive');
    return call();
  } catch (error) {
    throw isSysError(error) ? sysError('image store', error) : error;
  } finally {
    if (lock >= 0) sys.close(lock);
  }
}

/** What is left of dead ones is taken away. */
function livingUsers(store: ImageStore): UserRecord[] {
  return store.users().filter((user) => {
    if (isAlive(user)) return true;
    if (user.container !== undefined) sys.removeTree(user.bundle);
    unlessMissing(() => sys.removeFile(store.userFile(user.bundle)));
    return false;
  });
}

function forget(store: ImageStore, { digest, configDigest }: ImageRecord): void {
  sys.removeFile(store.imageFile(digest));
  const left = store.images();
  for (const blob of new Set([digest, configDigest]))
    if (!left.some((image) => image.configDigest === blob)) unlessMissing(() => sys.removeFile(store.blobFile(blob)));
}

/** Layers without a user, and all that crashes left. Returns the number of layers. */
function sweep(store: ImageStore, users: readonly UserRecord[]): number {
  const used = new Set([...store.images(), ...users].flatMap(({ chains }) => chains.map(hexOf)));
  let count = 0;
  for (const name of store.names('layers')) {
    const path = `${store.root}/layers/${name}`;
    // Nobody can hold one: they are taken under the shared lock.
    if (name.endsWith('.lock')) sys.removeFile(path);
    else if (!used.has(name)) {
      // Out of sight first: half a layer must not be found by its name.
      sys.rename(path, `${store.root}/tmp/${name}`);
      count++;
    }
  }
  for (const name of store.names('tmp')) sys.removeTree(`${store.root}/tmp/${name}`);
  const bundles = new Set(users.map(({ bundle }) => bundle));
  for (const name of store.names('bundles'))
    if (!bundles.has(`${store.bundles}/${name}`)) sys.removeTree(`${store.bundles}/${name}`);
  return count;
}
