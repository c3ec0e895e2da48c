// The bytes of one connection: what comes is handed on, what goes out waits for a slow reader here.

import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../linux/flags.ts';
import { isSysError, sys, unlessAgain } from '../linux/sys.ts';
import type { Loop } from './loop.ts';

const CHUNK = 65536;
/** While more than this waits for the other side, nothing is read from it. */
const WAITING_MOST = 1 << 20;

export interface StreamUser {
  readonly onBytes: (bytes: Uint8Array) => void;
  /** Called once, when the other side has left or broken off. The descriptor is closed then. */
  readonly onEnd: () => void;
}

export class Stream {
  private readonly loop: Loop;
  private readonly fd: number;
  private readonly user: StreamUser;
  private readonly waiting: Uint8Array[] = [];
  private size: number = 0;
  private expected: number = POLLIN;
  private open: boolean = true;

  /** @param fd Does not block; it is the stream's from now on. */
  constructor(loop: Loop, fd: number, user: StreamUser) {
    this.loop = loop;
    this.fd = fd;
    this.user = user;
    loop.watch(fd, POLLIN, (events) => this.onEvent(events));
  }

  send(pieces: readonly Uint8Array[]): void {
    if (!this.open) return;
    for (const piece of pieces) {
      this.waiting.push(piece);
      this.size += piece.length;
    }
    this.flush();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.loop.forget(this.fd);
    sys.close(this.fd);
  }

  private onEvent(events: number): void {
    if ((events & POLLOUT) !== 0) this.flush();
    if (this.open && (events & (POLLIN | POLLHUP | POLLERR)) !== 0) this.receive();
  }

  private receive(): void {
    const bytes = this.attempt(() => unlessAgain(() => sys.read(this.fd, CHUNK)));
    if (bytes === undefined) return;
    if (bytes.length === 0) this.end();
    else this.user.onBytes(bytes);
  }

  private flush(): void {
    while (this.open) {
      const [first] = this.waiting;
      if (first === undefined) break;
      const written = this.attempt(() => unlessAgain(() => sys.write(this.fd, first)));
      if (written === undefined) break;
      this.size -= written;
      if (written === first.length) this.waiting.shift();
      else this.waiting[0] = first.subarray(written);
    }
    if (!this.open) return;
    const expected = (this.size > WAITING_MOST ? 0 : POLLIN) | (this.size > 0 ? POLLOUT : 0);
    if (expected !== this.expected) this.loop.expect(this.fd, expected);
    this.expected = expected;
  }

  /** Any failure of the connection is its end. */
  private attempt<T>(call: () => T | undefined): T | undefined {
    try {
      return call();
    } catch (error) {
      if (!isSysError(error)) throw error;
      this.end();
      return undefined;
    }
  }

  private end(): void {
    if (!this.open) return;
    this.close();
    this.user.onEnd();
  }
}
