// NOTIFY_SOCKET: what the container tells of itself goes on to the service manager of the runtime's caller (sd_notify(3)).
// The container gets a socket of its own, in a directory that is bound into it. Read only where the caller has one.

import { sysError } from '../errors.ts';
import { POLLIN } from '../linux/flags.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import type { Spec } from '../spec/types.ts';

const INSIDE = '/run/notify';
const NAME = 'notify.sock';
const EAGAIN = 11;
const MESSAGE_MOST = 65536;
/** How long a service manager may take to read what it was sent. */
const BARRIER_MS = 5000;

/**
 * What a container may say. Not MAINPID, whose number would be one of the host's, nor what hands descriptors over or
 * widens who may speak.
 */
const allowed = [
  'READY=',
  'RELOADING=',
  'STOPPING=',
  'STATUS=',
  'ERRNO=',
  'WATCHDOG=',
  'EXTEND_TIMEOUT_USEC=',
  'MONOTONIC_USEC=',
];

/** There is a mount namespace to bind the directory in. */
export const canNotify = ({ linux }: Spec): boolean => (linux.namespaces ?? []).some((entry) => entry.type === 'mount');

/** The configuration with the directory at its place. */
export function withNotify(spec: Spec, dir: string): Spec {
  const mount = {
    destination: INSIDE,
    type: 'bind',
    source: dir,
    options: ['bind', 'nosuid', 'noexec', 'nodev', 'ro'],
  };
  return { ...spec, mounts: [...(spec.mounts ?? []), mount] };
}

export const notifyVariable = `NOTIFY_SOCKET=${INSIDE}/${NAME}`;

export class NotifyProxy {
  /** Readable when the container has said something. */
  readonly fd: number;
  private readonly host: number;

  /**
   * @param host The NOTIFY_SOCKET of the caller.
   * @throws {TsrunError} if nobody listens there.
   */
  constructor(host: string, dir: string) {
    this.host = attempt(() => sys.datagram(host, 0));
    // What a manager is too slow for is dropped: the container must not hold its runtime up.
    sys.setNonBlocking(this.host);
    unlessMissing(() => sys.removeFile(`${dir}/${NAME}`));
    this.fd = attempt(() => sys.datagram(`${dir}/${NAME}`, 1));
    sys.setNonBlocking(this.fd);
  }

  /** Passes on what there is. @returns whether the container has said that it is ready. */
  forward(): boolean {
    let ready = false;
    for (let message = this.next(); message !== undefined; message = this.next()) {
      const lines = message.split('\n').filter(mayPass);
      if (lines.length > 0) this.say(lines.join('\n'));
      ready ||= lines.includes('READY=1');
    }
    return ready;
  }

  private next(): string | undefined {
    try {
      return fromBytes(sys.read(this.fd, MESSAGE_MOST));
    } catch (error) {
      if (isSysError(error) && error.errno === EAGAIN) return undefined;
      throw error;
    }
  }

  /** For who leaves: waits until the container is ready, or has ended, and names the process to watch from now on. */
  attend(pid: number, pidfd: number): void {
    for (let ready = false; !ready; ) {
      const [said = 0, ended = 0] = sys.poll(new Uint32Array([this.fd, POLLIN, pidfd, POLLIN]), -1);
      if (said !== 0) ready = this.forward();
      else if (ended !== 0) return;
    }
    this.say(`MAINPID=${pid}`);
    this.barrier();
  }

  /** A service manager tells by the sender's process whom a message is of: it must have read it before that one ends. */
  private barrier(): void {
    const [reading = -1, writing = -1] = sys.pipe();
    try {
      sys.sendDescriptor(this.host, writing, 'BARRIER=1');
    } catch (error) {
      if (!isSysError(error)) throw error;
    }
    sys.close(writing);
    // The end of the pipe comes when the other side has closed what it was sent.
    sys.poll(new Uint32Array([reading, POLLIN]), BARRIER_MS);
    sys.close(reading);
  }

  /** A manager that is gone does not end the container. */
  private say(text: string): void {
    try {
      sys.write(this.host, toBytes(text));
    } catch (error) {
      if (!isSysError(error)) throw error;
    }
  }
}

const mayPass = (line: string): boolean => allowed.some((name) => line.startsWith(name));

/** Byte by byte: STATUS may be any text, and is passed on as it is. */
const fromBytes = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw isSysError(error) ? sysError('NOTIFY_SOCKET', error) : error;
  }
}
