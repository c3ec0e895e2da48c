// What the shim keeps of a process's streams while it lives, and the copying where there is a terminal between.

import { POLLIN } from '../linux/flags.ts';
import { sys } from '../linux/sys.ts';
import { type Loop, now } from './loop.ts';
import { Pump } from './pump.ts';
import type { Held } from './streams.ts';

/** How often a client is looked after that has not read yet, and for how long. */
const READ_STEP_MS = 2;
const READ_MS = 500;

export class ProcessIo {
  private readonly loop: Loop;
  private held: Held;
  private readonly pumps: Pump[] = [];
  /** Of the terminal, -1 without one. */
  private master: number = -1;
  private waiting: (() => void)[] = [];
  private copying: boolean = false;

  /**
   * @param held What a worker opened (see streams.ts), with `console` and a second descriptor of it, `consoleIn`, where
   * there is a terminal.
   */
  constructor(loop: Loop, held: Held) {
    this.loop = loop;
    const { console, consoleIn, in: input, out, ...rest } = held;
    this.held = rest;
    if (console === undefined) return;
    sys.setNonBlocking(console);
    if (out !== undefined) sys.setNonBlocking(out);
    this.master = console;
    this.copying = true;
    this.pumps.push(new Pump(loop, console, out ?? -1, () => this.ended()));
    if (consoleIn === undefined) return;
    if (input === undefined) this.held = { ...this.held, consoleIn };
    else this.pumps.push(new Pump(loop, input, consoleIn, () => {}));
  }

  /** Nothing, if there is no terminal. */
  resize(rows: number, columns: number): void {
    if (this.master >= 0) sys.setWindowSize(this.master, rows, columns);
  }

  /** The input ends when the clients' ends are closed too. */
  closeInput(): void {
    this.release('inWriter');
  }

  /** The process has ended: nobody takes its input any more. What it wrote is still to be read. */
  processEnded(): void {
    this.closeInput();
  }

  /** Calls when all that came out of the terminal has been taken, or has no reader to wait for. */
  whenDrained(run: () => void): void {
    if (this.copying) this.waiting.push(run);
    else run();
  }

  /**
   * Calls when clients have read what the process wrote into their FIFOs, or have had the time to. A client may give up
   * opening a FIFO as soon as it hears of the end (containerd's does), and must have begun to read by then.
   */
  whenRead(run: () => void): void {
    const until = now() + READ_MS;
    const look = (): void => {
      if (this.hasUnread() && now() < until) this.loop.after(READ_STEP_MS, look);
      else run();
    };
    look();
  }

  private hasUnread(): boolean {
    const { outReader, errReader } = this.held;
    // What a terminal holds is on its way to the FIFO.
    if (this.copying && outReader !== undefined) return true;
    const readers = [outReader, errReader].filter((fd) => fd !== undefined);
    if (readers.length === 0) return false;
    // POLLHUP comes too, from a FIFO that nobody writes to any more.
    return sys.poll(new Uint32Array(readers.flatMap((fd) => [fd, POLLIN])), 0).some((found) => (found & POLLIN) !== 0);
  }

  close(): void {
    for (const pump of this.pumps) pump.close();
    for (const name of Object.keys(this.held)) this.release(name);
  }

  /** The reader must see the end as soon as there is one: clients wait for it before they delete. */
  private ended(): void {
    this.master = -1;
    this.copying = false;
    for (const run of this.waiting.splice(0)) run();
  }

  private release(name: string): void {
    const fd = this.held[name];
    if (fd === undefined) return;
    delete this.held[name];
    sys.close(fd);
  }
}
