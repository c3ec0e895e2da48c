// Bytes from one descriptor to another. A slow reader holds this copy up, and nothing else: either the source is watched
// or the sink, never both.

import { POLLIN, POLLOUT } from '../linux/flags.ts';
import { isSysError, sys, unlessAgain } from '../linux/sys.ts';
import type { Loop } from './loop.ts';

const CHUNK = 32768;
const EPERM = 1;

export class Pump {
  private readonly loop: Loop;
  private readonly from: number;
  /** -1 where nobody wants the bytes. */
  private readonly to: number;
  private readonly onEnd: () => void;
  private rest: Uint8Array | undefined;
  private watched: number = -1;
  private over: boolean = false;

  /** Both descriptors do not block, unless a sink is a file; both are the pump's, which closes them when the source ends. */
  constructor(loop: Loop, from: number, to: number, onEnd: () => void) {
    this.loop = loop;
    this.from = from;
    this.to = to;
    this.onEnd = onEnd;
    this.watch(from, POLLIN, () => this.take());
  }

  /** What is on its way is lost. */
  close(): void {
    if (this.over) return;
    this.over = true;
    this.unwatch();
    sys.close(this.from);
    if (this.to >= 0) sys.close(this.to);
    this.onEnd();
  }

  private take(): void {
    let bytes: Uint8Array | undefined;
    try {
      bytes = unlessAgain(() => sys.read(this.from, CHUNK));
    } catch (error) {
      // EIO: nobody has the other side of the terminal open any more.
      if (!isSysError(error)) throw error;
      return this.close();
    }
    if (bytes === undefined) return;
    if (bytes.length === 0) return this.close();
    this.rest = bytes;
    this.give();
  }

  private give(): void {
    while (this.rest !== undefined && this.to >= 0) {
      const { rest } = this;
      let written: number | undefined;
      try {
        written = unlessAgain(() => sys.write(this.to, rest));
      } catch (error) {
        if (!isSysError(error)) throw error;
        return this.close();
      }
      if (written === undefined) {
        if (this.watched !== this.to) this.watch(this.to, POLLOUT, () => this.give());
        return;
      }
      this.rest = written === rest.length ? undefined : rest.subarray(written);
    }
    this.rest = undefined;
    if (this.watched !== this.from) this.watch(this.from, POLLIN, () => this.take());
  }

  private watch(fd: number, events: number, onEvent: () => void): void {
    this.unwatch();
    try {
      this.loop.watch(fd, events, onEvent);
      this.watched = fd;
    } catch (error) {
      // A file is always ready, and so never watched: what comes out of it ends nothing and begins nothing.
      if (!isSysError(error) || error.errno !== EPERM) throw error;
    }
  }

  private unwatch(): void {
    if (this.watched >= 0) this.loop.forget(this.watched);
    this.watched = -1;
  }
}
