// The publisher's connection to containerd.

import { isSysError, sys } from '../linux/sys.ts';
import type { Log } from './log.ts';
import { type Loop, now, type Timer } from './loop.ts';
import { timestamp } from './process.ts';
import { Publisher } from './publisher.ts';
import { Stream } from './stream.ts';

/** @param path Of containerd's socket for events. */
export function tellTo(path: string, namespace: string, loop: Loop, log: Log): Publisher {
  let stream: Stream | undefined;
  let timer: Timer | undefined;
  const setTimer = (): void => {
    const { deadline } = publisher;
    if (deadline === timer?.at) return;
    loop.cancel(timer);
    timer = deadline === undefined ? undefined : loop.at(deadline, expire);
  };
  const expire = (): void => {
    timer = undefined;
    publisher.expire();
    setTimer();
  };
  const lost = (): void => {
    stream = undefined;
    publisher.disconnected();
    setTimer();
  };
  const publisher = new Publisher({
    namespace,
    now,
    time: timestamp,
    connect: () => {
      try {
        const fd = sys.dial(path);
        stream = new Stream(loop, fd, {
          onBytes: (bytes) => {
            publisher.feed(bytes);
            setTimer();
          },
          onEnd: lost,
        });
        publisher.connected();
      } catch (error) {
        // containerd is away, or starts again.
        if (!isSysError(error)) throw error;
        lost();
      }
    },
    onOutput: () => {
      stream?.send(publisher.take());
      setTimer();
    },
    disconnect: () => {
      stream?.close();
      stream = undefined;
    },
    onLost: (topic, reason) => log('error', `${topic} could not be told: ${reason}`),
  });
  return publisher;
}
