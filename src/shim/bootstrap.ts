// `start`: finds the shim that the container belongs to or makes one, and prints where it listens. containerd waits for
// that, and for the end of our output: the shim itself must not have it.

import { sysError, TsrunError } from '../errors.ts';
import { O_RDWR } from '../linux/flags.ts';
import { isSysError, makePath, sys, unlessMissing } from '../linux/sys.ts';
import { encode } from '../proto/encode.ts';
import { BootstrapResult } from './messages/bootstrap.ts';
import { groupOf, socketPath } from './address.ts';
import type { Daemon } from './daemon.ts';
import { type Asked, readAsked } from './bootstrap-input.ts';
import { variable } from './environment.ts';
import type { Flags } from './flags.ts';
import { parseOptions } from './options.ts';

const CONFIG_MOST = 16 << 20;
const EADDRINUSE = 98;
const ENOENT = 2;
const SIGKILL = 9;

/** @returns what the daemon is to do, in the daemon; undefined in the process that containerd waits for. */
export function start(flags: Flags): Daemon | undefined {
  const bundle = sys.currentDir();
  const asked = readAsked(flags);
  const config = sys.readFile(`${bundle}/config.json`, CONFIG_MOST);
  const group = variable('TSRUN_SHIM_GROUP') ?? groupOf(config, asked.id);
  const path = flags.socket === '' ? socketPath(asked.address, asked.namespace, group, asked.socketDir) : flags.socket;
  const address = `unix://${path.replace(/^unix:\/\//, '')}`;
  const listener = listenAt(address.slice('unix://'.length));
  // Somebody of the group is there already.
  if (listener === undefined) {
    tell(bundle, address, asked);
    return undefined;
  }
  const options = parseOptions(asked.options);
  let daemon = 0;
  try {
    if (variable('SCHED_CORE') !== undefined) sys.shareCore();
    daemon = sys.fork(new Uint32Array([listener]));
    if (daemon === 0) {
      detach();
      return { ...asked, bundle, listener, path: address.slice('unix://'.length), publishTo: asked.ttrpcAddress };
    }
    adjust(daemon, options.shimCgroup);
    tell(bundle, address, asked);
    return undefined;
  } catch (error) {
    if (daemon > 0) sys.pidfdSignal(sys.pidfdOpen(daemon), SIGKILL);
    unlessMissing(() => sys.removeFile(address.slice('unix://'.length)));
    throw isSysError(error) ? sysError('start', error) : error;
  }
}

/** Undefined where a shim listens there. */
function listenAt(path: string): number | undefined {
  for (let tries = 0; ; tries++) {
    try {
      return sys.listen(path);
    } catch (error) {
      if (!isSysError(error)) throw error;
      if (error.errno === ENOENT && tries === 0) makeDirectoryOf(path);
      else if (error.errno === EADDRINUSE && tries < 10) {
        if (answers(path)) return undefined;
        // Left over from one that died.
        unlessMissing(() => sys.removeFile(path));
      } else throw sysError('start', error);
    }
  }
}

function makeDirectoryOf(path: string): void {
  try {
    makePath(path.slice(0, path.lastIndexOf('/')), 0o700);
  } catch (error) {
    throw isSysError(error) ? sysError('start', error) : error;
  }
}

/** True if somebody listens at a socket. */
export function answers(path: string): boolean {
  try {
    sys.close(sys.dial(path));
    return true;
  } catch (error) {
    const EAGAIN = 11;
    if (!isSysError(error)) throw error;
    // Whoever is slow to accept is there.
    return error.errno === EAGAIN;
  }
}

/** Lets go of all that belongs to who called: containerd waits until nobody has its pipe open. */
function detach(): void {
  sys.leadGroup();
  const nothing = sys.open('/dev/null', O_RDWR, 0);
  for (const fd of [0, 1, 2]) sys.duplicate(nothing, fd);
  sys.close(nothing);
}

/** The kernel is to choose the shim before containerd, and both rather late. */
function adjust(daemon: number, cgroup: string): void {
  const given = Number(sys.readFile(`/proc/${sys.parentId()}/oom_score_adj`, 64));
  write(`/proc/${daemon}/oom_score_adj`, String(Math.min(given + 1, 1000)));
  if (cgroup !== '') write(`/sys/fs/cgroup/${cgroup.replace(/^\/+/, '')}/cgroup.procs`, String(daemon));
}

function write(path: string, text: string): void {
  const fd = sys.open(path, 1, 0);
  try {
    sys.writeText(fd, text);
  } finally {
    sys.close(fd);
  }
}

/** Where the shim is: in the bundle for a containerd that comes later, on the output for this one. */
function tell(bundle: string, address: string, asked: Asked): void {
  sys.writeFile(`${bundle}/address`, address, 0o600);
  const { version } = asked;
  if (asked.speaksProtobuf) sys.write(1, encode(BootstrapResult, { version, address, protocol: 'ttrpc' }));
  else if (version > 2) sys.writeText(1, JSON.stringify({ version, address, protocol: 'ttrpc' }));
  else sys.writeText(1, address);
}

/** @throws {TsrunError} where a flag is missing that every action needs. */
export function checkFlags({ namespace, id, action }: Flags): void {
  if (namespace === '') throw new TsrunError('shim namespace cannot be empty');
  if (action !== 'start' && action !== 'delete') {
    const found = action === '' ? 'none' : JSON.stringify(action);
    throw new TsrunError(`the action must be start or delete, found ${found}`);
  }
  if (id === '') throw new TsrunError('shim id cannot be empty');
}
