// Containers as directories below the state root: ROOT/ID/state.json, and a socket while `start` is awaited.
// A directory is made with mkdir(2), which only one can win, and locked with flock(2), which a crash releases.

import { badId, idInUse, noSuchContainer, sysError, TsrunError } from '../errors.ts';
import { LOCK_EX, LOCK_NB, LOCK_UN, O_RDONLY } from '../linux/flags.ts';
import { isSysError, makePath, sys, unlessMissing } from '../linux/sys.ts';
import type { ContainerRecord } from './container.ts';

const EEXIST = 17;
const ENOENT = 2;
const EAGAIN = 11;

/**
 * The right to change one container. It is bound to the container's directory, not to its id: once that is removed, the
 * id may be a new container's.
 */
export interface Lock {
  readonly id: string;
  /** -1 once it is let go. */
  fd: number;
}

/** How long another command may take to let go of a container whose processes were killed. */
const LOCK_WAIT_MS = 10_000;
const LOCK_STEP_MS = 5;

export class Store {
  readonly root: string;
  private readonly held: Map<string, Lock> = new Map();

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
    for (let madeRoot = false; ; ) {
      try {
        sys.makeDir(dir, 0o700);
        const lock = this.lockNew(id);
        // A delete --force may have taken it for a leftover, in the moment before it was locked.
        if (lock !== undefined) return lock;
      } catch (error) {
        if (!isSysError(error)) throw error;
        if (error.errno === EEXIST) throw idInUse(id);
        if (error.errno !== ENOENT || madeRoot) throw sysError('state directory', error);
        makeRoot(this.root);
        madeRoot = true;
      }
    }
  }

  private lockNew(id: string): Lock | undefined {
    try {
      return this.lock(id);
    } catch (error) {
      // A directory that is not locked is nobody's.
      unlessMissing(() => sys.removeDir(this.dirOf(id)));
      throw error;
    }
  }

  /** Waits until nobody else changes the container; undefined if there is none, or it was deleted meanwhile. */
  lock(id: string): Lock | undefined {
    const lock = this.open(id);
    return lock !== undefined && this.retake(lock) ? lock : undefined;
  }

  /**
   * Like lock, but where another command is at it, calls `hasten`, and then waits no longer than 10 s.
   * @throws {TsrunError} if the other is still at it.
   */
  lockHastily(id: string, hasten: () => void): Lock | undefined {
    const lock = this.open(id);
    if (lock === undefined) return undefined;
    for (let waited = 0; !tryLock(lock.fd); waited += LOCK_STEP_MS) {
      if (waited >= LOCK_WAIT_MS) {
        sys.close(lock.fd);
        throw new TsrunError(`container ${JSON.stringify(id)}: another command is still changing it`);
      }
      if (waited % 1000 === 0) hasten();
      sys.poll(new Uint32Array(0), LOCK_STEP_MS);
    }
    return this.retake(lock) ? lock : undefined;
  }

  /** Lets others at the container for a while: see retake. */
  yield(lock: Lock): void {
    if (this.held.delete(lock.id)) sys.lock(lock.fd, LOCK_UN);
  }

  /** Waits for the lock that was yielded; false, and the lock is gone, if the container was deleted meanwhile. */
  retake(lock: Lock): boolean {
    sys.lock(lock.fd, LOCK_EX);
    this.held.set(lock.id, lock);
    if (sys.isAt(lock.fd, this.dirOf(lock.id)) === 1) return true;
    this.unlock(lock);
    return false;
  }

  /** Lets go for good; nothing where that was done already. */
  unlock(lock: Lock): void {
    if (this.held.get(lock.id) === lock) this.held.delete(lock.id);
    if (lock.fd >= 0) sys.close(lock.fd);
    lock.fd = -1;
  }

  private open(id: string): Lock | undefined {
    checkId(id);
    const fd = unlessMissing(() => sys.open(this.dirOf(id), O_RDONLY, 0));
    return fd === undefined ? undefined : { id, fd };
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

  /**
   * Removes the directory of a container whose lock is held, and lets go of the lock. Nothing where it is not held: the
   * directory is somebody else's then. Without `state.json` nothing in it means anything, so that goes first.
   */
  remove(id: string): void {
    const lock = this.held.get(id);
    if (lock === undefined) return;
    const dir = this.dirOf(id);
    const names = unlessMissing(() => sys.readDir(dir)) ?? [];
    names.sort((a, b) => Number(b === 'state.json') - Number(a === 'state.json'));
    for (const name of names) {
      const path = `${dir}/${name}`;
      if (path !== this.notifyOf(id)) unlessMissing(() => sys.removeFile(path));
      else removeNotify(path);
    }
    unlessMissing(() => sys.removeDir(dir));
    this.unlock(lock);
  }
}

function tryLock(fd: number): boolean {
  try {
    sys.lock(fd, LOCK_EX | LOCK_NB);
    return true;
  } catch (error) {
    if (isSysError(error) && error.errno === EAGAIN) return false;
    throw error;
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

/** @param path The state root. */
function makeRoot(path: string): void {
  try {
    makePath(path, 0o700);
  } catch (error) {
    throw isSysError(error) ? sysError('state root', error) : error;
  }
}
