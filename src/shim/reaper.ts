// Every process that ends below the shim, its subreaper. Containers and execs are waited for one by one, through their
// pidfds; orphans of theirs are swept up.

import { POLLIN, WNOHANG } from '../linux/flags.ts';
import { signals } from '../linux/signals.ts';
import { isSysError, sys, unlessAgain } from '../linux/sys.ts';
import type { Loop } from './loop.ts';

const ECHILD = 10;

interface Child {
  readonly pidfd: number;
  readonly onEnd: (status: number) => void;
}

export class Reaper {
  private readonly loop: Loop;
  private readonly children: Map<number, Child> = new Map();
  /** Copies of this process that are at work, with the children of theirs that they have named so far. */
  private readonly copies: Map<number, number[]> = new Map();

  constructor(loop: Loop) {
    this.loop = loop;
  }

  /**
   * Waits for a child to end. One that has ended already is as good: nobody else takes its status.
   * @param copy Who made it. It is that one's child until the copy has ended, and only then can be waited for.
   * @param onEnd Told 0 to 255, or 128 + N for signal N.
   * @returns its pidfd, which is closed when it has ended.
   */
  adopt(pid: number, copy: number, onEnd: (status: number) => void): number {
    const pidfd = sys.pidfdOpen(pid);
    this.children.set(pid, { pidfd, onEnd });
    const named = this.copies.get(copy);
    if (named === undefined) this.watch(pid);
    else named.push(pid);
    return pidfd;
  }

  /** A copy begins to work: until it has ended, an unknown child may be one that it is about to name. */
  begin(copy: number): void {
    this.copies.set(copy, []);
  }

  /** The copy is over: its children, dead or alive, are this process's now. */
  end(copy: number): number {
    const [, status = 0] = sys.wait(copy, 0);
    const named = this.copies.get(copy) ?? [];
    this.copies.delete(copy);
    for (const pid of named) this.watch(pid);
    return status;
  }

  /** On SIGCHLD, and when a copy is over and has been heard. */
  sweep(): void {
    while (this.copies.size === 0) {
      const pid = endedChild();
      if (pid === 0) return;
      if (this.children.has(pid)) this.reap(pid);
      else sys.wait(pid, WNOHANG);
    }
  }

  private watch(pid: number): void {
    const child = this.children.get(pid);
    if (child !== undefined) this.loop.watch(child.pidfd, POLLIN, () => this.reap(pid));
  }

  private reap(pid: number): void {
    const child = this.children.get(pid);
    if (child === undefined) return;
    const [ended, status = 0] = sys.wait(pid, WNOHANG);
    if (ended !== pid) return;
    this.children.delete(pid);
    this.loop.forget(child.pidfd);
    sys.close(child.pidfd);
    child.onEnd(exitStatus(status));
  }
}

/** From what wait(2) gives. */
function exitStatus(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

function endedChild(): number {
  try {
    return sys.nextChild();
  } catch (error) {
    if (isSysError(error) && error.errno === ECHILD) return 0;
    throw error;
  }
}

/** Calls for each signal that comes to this process; SIGCHLD sweeps. */
export function heedSignals(loop: Loop, reaper: Reaper, onSignal: (number: number) => void): void {
  const caught = sys.catchSignals();
  loop.watch(caught, POLLIN, () => {
    let swept = false;
    for (const number of unlessAgain(() => sys.read(caught, 256)) ?? []) {
      if (number !== signals['CHLD']) onSignal(number);
      else if (!swept) {
        swept = true;
        reaper.sweep();
      }
    }
  });
}
