// One loop over epoll(7) for everything that the shim waits for. What it calls must not block, and does not: work that
// may is done in a copy of the process (see worker.ts).

import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from '../linux/flags.ts';
import { collectGarbage } from '../linux/engine.ts';
import { sys } from '../linux/sys.ts';

/** Told of what epoll found, as POLLIN and the like. It may be told of nothing new: reads must be ready for EAGAIN. */
export type OnEvent = (events: number) => void;

export interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** What a copy of this process does in place of the loop. It ends the process. */
export type InCopy = () => Promise<never>;

const TURNS_A_COLLECTION = 256;

export class Loop {
  private readonly epoll: number = sys.epollCreate();
  private readonly watched: Map<number, OnEvent> = new Map();
  private readonly timers: Set<Timer> = new Set();
  private readonly before: (() => InCopy | undefined)[] = [];
  private readonly onFailure: (error: unknown) => void;
  private turns: number = 0;

  /** @param onFailure Told of what something that was called threw: a mistake of ours must not end what all containers hang on. */
  constructor(onFailure: (error: unknown) => void) {
    this.onFailure = onFailure;
  }

  watch(fd: number, events: number, onEvent: OnEvent): void {
    sys.epollControl(this.epoll, EPOLL_CTL_ADD, fd, events);
    this.watched.set(fd, onEvent);
  }

  /** Other events for a descriptor that is watched. */
  expect(fd: number, events: number): void {
    sys.epollControl(this.epoll, EPOLL_CTL_MOD, fd, events);
  }

  /** Before it is closed: another process may have it too, and then it would stay in the set. */
  forget(fd: number): void {
    if (this.watched.delete(fd)) sys.epollControl(this.epoll, EPOLL_CTL_DEL, fd, 0);
  }

  /** Calls once after some milliseconds. */
  after(milliseconds: number, run: () => void): Timer {
    return this.at(now() + milliseconds, run);
  }

  /** Calls once at a time, as `now` tells it. */
  at(time: number, run: () => void): Timer {
    const timer = { at: time, run };
    this.timers.add(timer);
    return timer;
  }

  cancel(timer: Timer | undefined): void {
    if (timer !== undefined) this.timers.delete(timer);
  }

  /**
   * Calls before the next wait, from the loop itself. What it returns makes the loop return: nothing below a copied
   * stack may go on in a copy.
   */
  soon(run: () => InCopy | undefined): void {
    this.before.push(run);
  }

  /** Runs until this process is a copy: then what the copy has to do. */
  run(): InCopy {
    for (;;) {
      for (let next = this.before.shift(); next !== undefined; next = this.before.shift()) {
        const inCopy = next();
        if (inCopy !== undefined) return inCopy;
      }
      this.turn();
    }
  }

  private turn(): void {
    // A call and what answers it refer to each other: memory would grow with each.
    if (++this.turns % TURNS_A_COLLECTION === 0) collectGarbage();
    const events = sys.epollWait(this.epoll, this.patience());
    for (let at = 0; at < events.length; at += 2) {
      // One before it may have closed it.
      const onEvent = this.watched.get(events[at] as number);
      if (onEvent !== undefined) this.guard(() => onEvent(events[at + 1] as number));
    }
    if (this.timers.size === 0) return;
    const time = now();
    for (const timer of [...this.timers].filter(({ at }) => at <= time)) {
      if (this.timers.delete(timer)) this.guard(timer.run);
    }
  }

  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.onFailure(error);
    }
  }

  /** Until the next timer is due, in milliseconds. */
  private patience(): number {
    if (this.timers.size === 0) return -1;
    let first = Infinity;
    for (const { at } of this.timers) first = Math.min(first, at);
    return Math.max(0, Math.ceil(first - now()));
  }
}

/** Milliseconds since boot. */
export function now(): number {
  const [, , seconds = 0, nanoseconds = 0] = sys.clock();
  return seconds * 1000 + nanoseconds / 1e6;
}
