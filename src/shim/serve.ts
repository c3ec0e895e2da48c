// The shim's socket: accepts connections, and lets each speak ttrpc.

import { POLLIN } from '../linux/flags.ts';
import { isSysError, sys, unlessAgain } from '../linux/sys.ts';
import { ServerConnection, type Services } from '../ttrpc/server.ts';
import { type Loop, now, type Timer } from './loop.ts';
import { Stream } from './stream.ts';

const RETRY_MS = 100;

export interface Served {
  /** Calls when there is no connection any more. */
  onIdle: (() => void) | undefined;
  /** Connections now. */
  readonly connections: number;
  /** Connections so far. */
  readonly accepted: number;
}

/** @param listener Does not block. */
export function serve(loop: Loop, listener: number, services: Services): Served {
  const open = new Set<Stream>();
  const served = {
    onIdle: undefined as (() => void) | undefined,
    get connections() {
      return open.size;
    },
    accepted: 0,
  };
  const listen = (): void => loop.watch(listener, POLLIN, acceptAll);
  const acceptAll = (): void => {
    try {
      for (let fd = next(listener); fd !== undefined; fd = next(listener)) {
        served.accepted++;
        connect(loop, fd, services, open, () => open.size === 0 && served.onIdle?.());
      }
    } catch (error) {
      // Out of descriptors, say: who waits would wake the loop again at once.
      if (!isSysError(error)) throw error;
      loop.forget(listener);
      loop.after(RETRY_MS, listen);
    }
  };
  listen();
  return served;
}

const next = (listener: number): number | undefined => unlessAgain(() => sys.accept(listener));

function connect(loop: Loop, fd: number, services: Services, open: Set<Stream>, onEnd: () => void): void {
  let timer: Timer | undefined;
  const connection = new ServerConnection({ services, now, onOutput: () => stream.send(connection.take()) });
  /** Calls whose time has passed are over, whether or not anything else comes. */
  const setTimer = (): void => {
    const { deadline } = connection;
    if (deadline === timer?.at) return;
    loop.cancel(timer);
    timer = deadline === undefined ? undefined : loop.at(deadline, expire);
  };
  const expire = (): void => {
    timer = undefined;
    connection.expire();
    setTimer();
  };
  const stream = new Stream(loop, fd, {
    onBytes: (bytes) => {
      connection.feed(bytes);
      setTimer();
    },
    onEnd: () => {
      loop.cancel(timer);
      open.delete(stream);
      connection.closed();
      onEnd();
    },
  });
  open.add(stream);
}
