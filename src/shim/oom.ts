// Kills for want of memory: memory.events of each container's cgroup, watched by one inotify(7) descriptor.

import { POLLIN } from '../linux/flags.ts';
import { isSysError, sys, unlessAgain } from '../linux/sys.ts';
import { oomKills } from '../stats/read.ts';
import type { Loop } from './loop.ts';

const IN_MODIFY = 2;
const IN_IGNORED = 0x8000;
const EVENT_HEAD = 16;

export class OomWatches {
  private readonly loop: Loop;
  private readonly watches: Map<number, OomWatch> = new Map();
  private inotify: number = -1;

  constructor(loop: Loop) {
    this.loop = loop;
  }

  /** Calls for each process that the kernel kills from now on. Undefined where the cgroup does not count memory. */
  add(cgroup: string, onKill: () => void): OomWatch | undefined {
    const path = `${cgroup}/memory.events`;
    try {
      if (this.inotify < 0) this.open();
      const number = sys.inotifyAdd(this.inotify, path, IN_MODIFY);
      const watch = new OomWatch(cgroup, onKill, () => this.remove(number));
      this.watches.set(number, watch);
      return watch;
    } catch (error) {
      if (!isSysError(error)) throw error;
      return undefined;
    }
  }

  private open(): void {
    this.inotify = sys.inotifyCreate();
    this.loop.watch(this.inotify, POLLIN, () => this.heed());
  }

  private heed(): void {
    const bytes = unlessAgain(() => sys.read(this.inotify, 4096));
    if (bytes === undefined) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + EVENT_HEAD <= bytes.length; at += EVENT_HEAD + view.getUint32(at + 12, true)) {
      const number = view.getInt32(at, true);
      // The cgroup is gone, and the kernel has taken the watch away itself.
      if ((view.getUint32(at + 4, true) & IN_IGNORED) !== 0) this.watches.delete(number);
      else this.watches.get(number)?.check();
    }
  }

  private remove(number: number): void {
    if (this.watches.delete(number)) sys.inotifyRemove(this.inotify, number);
  }
}

export class OomWatch {
  private readonly cgroup: string;
  private readonly onKill: () => void;
  private readonly remove: () => void;
  private kills: number = 0;

  constructor(cgroup: string, onKill: () => void, remove: () => void) {
    this.cgroup = cgroup;
    this.onKill = onKill;
    this.remove = remove;
    this.kills = oomKills(this.cgroup);
  }

  /** Looks now, whether or not the kernel has said anything. */
  check(): void {
    const kills = oomKills(this.cgroup);
    // Once the cgroup is gone there are none.
    if (kills <= this.kills) return;
    this.kills = kills;
    this.onKill();
  }

  close(): void {
    this.remove();
  }
}
