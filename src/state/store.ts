// Containers as directories below the state root: ROOT/ID/state.json, and a socket while `start` is awaited.
// A directory is made with mkdir(2), which only one can win, and locked with flock(2), which a crash releases.

import { badId, idInUse, noSuchContainer, sysError, TsrunError } from '../errors.ts';
import { LOCK_EX, O_RDONLY } from '../linux/flags.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import type { ContainerRecord } from './container.ts';

const EEXIST = 17;
const ENOENT = 2;

/** A held lock; given back by closing its descriptor. */
export interface Lock {
  readonly fd: number;
}

export class Store {
  readonly root: string;

  /** @param root Absolute path; made when the first container is. */
  constructor(root: string) {
    this.root = root;
  }

  dirOf(id: string): string {
    return `${this.root}/${id}`;
  }

  /** Where compiled seccomp filters are kept: with a dot in front, no container can have the name. */
  get filters(): string {
    return `${this.root}/.seccomp`;
  }

  /** Where a created container waits for `start`. */
  gateOf(id: string): string {
    return `${this.dirOf(id)}/start.sock`;
  }

  /** What the container sees of NOTIFY_SOCKET: a directory with the one socket. */
  notifyOf(id: string): string {
    return `${this.dirOf(id)}/notify`;
  }

  /**
   * Makes the container's directory, 0700, and locks it.
   * @throws {TsrunError} if the id is malformed or in use.
   */
  claim(id: string): Lock {
    checkId(id);
    const dir = this.dirOf(id);
    for (let tries = 0; ; tries++) {
      try {
        sys.makeDir(dir, 0o700);
        return this.lockNew(id);
      } catch (error) {
        if (!isSysError(error)) throw error;
        if (error.errno === EEXIST) throw idInUse(id);
        if (error.errno !== ENOENT || tries > 0) throw sysError('state directory', error);
        makePath(this.root);
      }
    }
  }

  private lockNew(id: string): Lock {
    try {
      return this.lock(id);
    } catch (error) {
      // A directory that is not locked is nobody's.
      unlessMissing(() => sys.removeDir(this.dirOf(id)));
      throw error;
    }
  }

  /** Waits until nobody else changes the container. */
  lock(id: string): Lock {
    const fd = sys.open(this.dirOf(id), O_RDONLY, 0);
    sys.lock(fd, LOCK_EX);
    return { fd };
  }

  unlock(lock: Lock): void {
    sys.close(lock.fd);
  }

  save(record: ContainerRecord): void {
    sys.writeFile(`${this.dirOf(record.id)}/state.json`, JSON.stringify(record), 0o600);
  }

  /** Keeps the configuration for `exec`: the bundle's may change, or go, while the container runs. */
  keepConfig(id: string, text: string): void {
    sys.createFile(this.configOf(id), text, 0o600);
  }

  /** @throws {TsrunError} where the container was made by a release that kept none. */
  config(id: string): string {
    const text = unlessMissing(() => sys.readFile(this.configOf(id), 16 << 20));
    if (text === undefined) throw new TsrunError(`container ${JSON.stringify(id)}: ${this.configOf(id)} is missing`);
    return text;
  }

  private configOf(id: string): string {
    return `${this.dirOf(id)}/config.json`;
  }

  /** @throws {TsrunError} `container does not exist` */
  load(id: string): ContainerRecord {
    const record = this.find(id);
    if (record === undefined) throw noSuchContainer(id);
    return record;
  }

  find(id: string): ContainerRecord | undefined {
    checkId(id);
    const text = unlessMissing(() => sys.readFile(`${this.dirOf(id)}/state.json`, 16 << 20));
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as ContainerRecord;
    } catch {
      throw new TsrunError(
        `container ${JSON.stringify(id)}: ${this.dirOf(id)}/state.json is damaged; end the container's processes by hand, then remove the directory`,
      );
    }
  }

  /** True where the id has a directory, whatever is in it. */
  has(id: string): boolean {
    checkId(id);
    return unlessMissing(() => sys.stat(this.dirOf(id))) !== undefined;
  }

  /** Ids in the order of their names. */
  ids(): string[] {
    return (unlessMissing(() => sys.readDir(this.root)) ?? []).filter(isId).sort();
  }

  /** Removes the container's directory; without `state.json` nothing in it means anything, so that goes first. */
  remove(id: string): void {
    const dir = this.dirOf(id);
    const names = unlessMissing(() => sys.readDir(dir)) ?? [];
    names.sort((a, b) => Number(b === 'state.json') - Number(a === 'state.json'));
    for (const name of names) {
      const path = `${dir}/${name}`;
      if (path !== this.notifyOf(id)) unlessMissing(() => sys.removeFile(path));
      else removeNotify(path);
    }
    unlessMissing(() => sys.removeDir(dir));
  }
}

function removeNotify(dir: string): void {
  for (const name of unlessMissing(() => sys.readDir(dir)) ?? []) unlessMissing(() => sys.removeFile(`${dir}/${name}`));
  unlessMissing(() => sys.removeDir(dir));
}

function checkId(id: string): void {
  if (!isId(id)) throw badId(id);
}

/** Letters, digits and `_+.-`, up to 255, and no dot in front: never a path, never hidden. */
function isId(id: string): boolean {
  return /^[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,254}$/.test(id);
}

/** @throws {TsrunError} if nothing of the directory's name can stand in an id. */
export function idFromPath(bundle: string): string {
  const path = sys.realPath(bundle);
  const name = path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/[^A-Za-z0-9_+.-]/g, '_')
    .replace(/^\.+/, '')
    .slice(0, 200);
  if (isId(name)) return name;
  throw new TsrunError(`no container id can be made from the directory's name: use run --bundle ${bundle} ID`);
}

function makePath(path: string): void {
  try {
    sys.makeDir(path, 0o700);
  } catch (error) {
    if (!isSysError(error)) throw error;
    if (error.errno === EEXIST) return;
    const cut = path.lastIndexOf('/');
    if (error.errno !== ENOENT || cut <= 0) throw sysError('state root', error);
    makePath(path.slice(0, cut));
    makePath(path);
  }
}
