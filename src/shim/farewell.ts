// When the shim ends, and how: not before containerd has heard all, nor while somebody has just been told of it.

import { sys, unlessMissing } from '../linux/sys.ts';
import { type Loop, now } from './loop.ts';
import type { Publisher } from './publisher.ts';
import type { Served } from './serve.ts';
import type { Tasks } from './tasks.ts';

/** Between the end of a `start` that found this shim and the call of the container that it was for. */
const ARRIVAL_MS = 500;
/** For containerd to hear what is not yet told. */
const TELLING_MS = 5_000;
const STEP_MS = 1;

export class Farewell {
  private readonly loop: Loop;
  private readonly socket: { readonly path: string; readonly listener: number };
  private readonly publisher: Publisher | undefined;
  private readonly tasks: Tasks;
  /** Of the socket: at its path there may be another shim's one day. */
  private readonly inode: number | undefined;
  private isLeaving: boolean = false;

  constructor(
    loop: Loop,
    socket: { readonly path: string; readonly listener: number },
    publisher: Publisher | undefined,
    tasks: Tasks,
  ) {
    this.tasks = tasks;
    this.inode = inodeOf(socket.path);
    this.loop = loop;
    this.socket = socket;
    this.publisher = publisher;
  }

  /** Shutdown was called, and there is no container. */
  asked(served: Served): void {
    // Nobody but who calls has ever come: nobody else is on the way.
    if (served.accepted <= 1) this.leave();
    else this.afterArrivals(served);
  }

  unlessNeeded(served: Served): void {
    if (this.tasks.isEmpty && served.connections === 0) this.leave();
  }

  /** Leaves its containers to themselves. */
  leaveAll(): void {
    this.leave();
    sys.exit(0);
  }

  /** The socket goes at once: from now on `start` makes another shim. Who is connected already is served on. */
  private leave(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.loop.forget(this.socket.listener);
    if (inodeOf(this.socket.path) === this.inode) unlessMissing(() => sys.removeFile(this.socket.path));
    sys.close(this.socket.listener);
    const end = now() + TELLING_MS;
    const look = (): void => {
      const isTold = this.publisher === undefined || this.publisher.waiting === 0 || now() > end;
      if (isTold && this.tasks.isEmpty) sys.exit(0);
      this.loop.after(isTold ? ARRIVAL_MS : STEP_MS, look);
    };
    this.loop.after(0, look);
  }

  private afterArrivals(served: Served): void {
    const { accepted } = served;
    this.loop.after(ARRIVAL_MS, () => {
      if (!this.tasks.isEmpty || this.isLeaving) return;
      if (served.accepted === accepted) this.leave();
      else this.afterArrivals(served);
    });
  }
}

const inodeOf = (path: string): number | undefined => unlessMissing(() => sys.stat(path))?.[2];
