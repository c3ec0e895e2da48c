// The bundle of one container of an image, in the store.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { clearBundle, fillBundle } from './bundle.ts';
import { pull, type PullOptions } from './pull.ts';
import type { Reference } from './reference.ts';
import type { ImageStore } from './store.ts';
import { isOfContainer, startTimeOf } from './users-alive.ts';

export interface RunBundle {
  readonly id: string;
  readonly dir: string;
  /** The file that stands for it in the store. */
  readonly user: string;
  /** Takes it away, unless a container has it by now. */
  release(): void;
}

export interface RunRequest {
  readonly args: readonly string[];
  readonly terminal: boolean;
  /** The container's id; made from the image's name where it is undefined. */
  readonly id: string | undefined;
  /** Where the state of a container with this id would be. */
  readonly state: (id: string) => string;
}

const EEXIST = 17;

/** @throws {TsrunError} with nothing left of the bundle; layers that are whole stay. */
export function runBundleDir(
  store: ImageStore,
  reference: Reference,
  options: PullOptions,
  { args, terminal, id: givenId, state }: RunRequest,
): RunBundle {
  const lock = attempt(() => store.lock('shared'));
  try {
    const image = pull(store, reference, options);
    const { id, dir } = claim(store, givenId, nameOf(reference), state);
    const pid = sys.processId();
    const maker = { pid, startTime: startTimeOf(pid) };
    try {
      const container = { state: state(id), ...maker };
      fillBundle(store, image, dir, { args, terminal, container });
    } catch (error) {
      clearBundle(store, dir, true);
      throw error;
    }
    const release = () => {
      const again = attempt(() => store.lock('shared'));
      try {
        // A container that has ended took it along, and then the name may be another's.
        const owner = store.user(dir)?.container;
        const isOurs = owner?.pid === maker.pid && owner.startTime === maker.startTime;
        if (isOurs && !isOfContainer(dir, state(id))) clearBundle(store, dir, true);
      } finally {
        sys.close(again);
      }
    };
    return { id, dir, user: store.userFile(dir), release };
  } finally {
    sys.close(lock);
  }
}

/** mkdir(2) decides who gets a name. A bundle whose id another state root has taken gets one of its own. */
function claim(
  store: ImageStore,
  given: string | undefined,
  name: string,
  state: (id: string) => string,
): { id: string; dir: string } {
  for (let number = 1; ; number++) {
    const id = given ?? (number === 1 ? name : `${name}-${number}`);
    const place = given === undefined || number === 1 ? id : `${id}-${number}`;
    const isTaken = () => given === undefined && unlessMissing(() => sys.stat(state(id))) !== undefined;
    if (isTaken()) continue;
    const dir = `${store.bundles}/${place}`;
    try {
      sys.makeDir(dir, 0o755);
      // Its last owner may have been about to end at the first look: the directory goes before the state does.
      if (!isTaken()) return { id, dir };
      sys.removeDir(dir);
    } catch (error) {
      if (!isSysError(error) || error.errno !== EEXIST) throw isSysError(error) ? sysError('bundle', error) : error;
    }
  }
}

/** Of the last part of the path, and the tag: `oci:images/debian:12` is `debian-12`. */
function nameOf({ path, tag, text }: Reference): string {
  const base = path
    .replace(/\/+$/, '')
    .replace(/^.*\//, '')
    .replace(/\.tar$/, '');
  const name = [base, ...(tag === undefined ? [] : [tag])]
    .join('-')
    .replace(/[^A-Za-z0-9_+.-]/g, '_')
    .replace(/^\.+/, '')
    .slice(0, 200);
  if (name === '') throw new TsrunError(`no container id can be made from ${text}: give --id`);
  return name;
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw isSysError(error) ? sysError('image store', error) : error;
  }
}
