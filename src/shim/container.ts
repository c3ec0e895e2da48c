// A container and its processes as the shim sees them, and the order in which the world hears of what happens to them:
// an init's end is the last end of its container, and no end is told before the start.

import { isSysError, sys } from '../linux/sys.ts';
import type { Message, InputOf } from '../proto/message.ts';
import { TaskExit, TaskOOM } from './messages/events.ts';
import type { Made, Place } from './operations.ts';
import { OomWatch, type OomWatches } from './oom.ts';
import { Process, timestamp } from './process.ts';
import type { StreamNames } from './streams.ts';

/** Tells containerd. */
export type Publish = <M extends Message>(topic: string, message: M, event: InputOf<M>) => void;

export type Freezing = 'running' | 'pausing' | 'paused';

export class Container {
  readonly place: Place;
  readonly init: Process;
  readonly execs: Map<string, Process> = new Map();
  freezing: Freezing = 'running';
  /** Set while it is being deleted: more who ask for that wait for the same end. */
  deleting: ((error: string | undefined) => void)[] | undefined;
  /** Nobody knows of it, and nobody shall hear of its end. */
  isSecret: boolean = false;
  private readonly publish: Publish;
  private cgroupPath: string = '';
  private sharedPid: boolean = false;
  private oom: OomWatch | undefined;
  private onStopped: (() => void)[] = [];

  constructor(place: Place, streams: StreamNames, publish: Publish) {
    this.place = place;
    this.init = new Process('', streams);
    this.publish = publish;
  }

  get id(): string {
    return this.place.id;
  }

  /** '' if it has none. */
  get cgroup(): string {
    return this.cgroupPath;
  }

  /** Its first process is there, and waits for start. */
  made({ cgroup, sharedPid }: Made, watches: OomWatches): void {
    this.cgroupPath = cgroup;
    this.sharedPid = sharedPid;
    if (cgroup !== '') this.oom = watches.add(cgroup, () => this.tell('/tasks/oom', TaskOOM, { containerId: this.id }));
  }

  tell<M extends Message>(topic: string, message: M, event: InputOf<M>): void {
    if (!this.isSecret) this.publish(topic, message, event);
  }

  /** A process has ended. */
  ended(process: Process, status: number): void {
    process.pidfd = -1;
    process.exit = { status, at: timestamp() };
    process.io?.processEnded();
    if (process === this.init) {
      // Now: systemd takes an empty cgroup away at once, and its counts with it.
      this.oom?.check();
      if (this.sharedPid) this.killAll();
    }
    const onRead = (): void => {
      process.isRead = true;
      this.settle(process);
    };
    if (process.io === undefined) onRead();
    else process.io.whenRead(onRead);
  }

  /** Tells of an end that had to wait for something else, which has come now. */
  settle(process: Process): void {
    // Until a worker has said whether it started, its end is not told.
    if (process.stage === 'starting' || process.stage === 'new') return;
    if (process.exit === undefined || !process.isRead || process.isStopped) return;
    process.stage = 'ended';
    if (process === this.init) this.settleInit();
    else {
      this.stop(process);
      if (this.init.stage === 'ended') this.settleInit();
    }
  }

  /** Calls when the first process has ended and all have been told. */
  whenStopped(run: () => void): void {
    if (this.init.isStopped) run();
    else this.onStopped.push(run);
  }

  /** SIGKILL to every process of it. False if it has no cgroup. */
  killAll(): boolean {
    if (this.cgroupPath === '') return false;
    try {
      const fd = sys.open(`${this.cgroupPath}/cgroup.kill`, 1, 0);
      try {
        sys.writeText(fd, '1');
      } finally {
        sys.close(fd);
      }
    } catch (error) {
      // ENOENT, ENODEV: it is gone, and all in it.
      if (!isSysError(error)) throw error;
    }
    return true;
  }

  close(): void {
    this.oom?.close();
    for (const process of [this.init, ...this.execs.values()]) process.io?.close();
  }

  private settleInit(): void {
    if (this.sharedPid) this.killAll();
    const alive = [...this.execs.values()].some(({ stage }) => stage === 'starting' || stage === 'running');
    if (alive) return;
    this.freezing = 'running';
    // Who hears of the end asks why: out of memory must have been told by then.
    this.oom?.check();
    this.oom?.close();
    this.stop(this.init);
    for (const run of this.onStopped.splice(0)) run();
  }

  private stop(process: Process): void {
    const { exit } = process;
    if (exit === undefined) return;
    process.stop(exit);
    this.tell('/tasks/exit', TaskExit, {
      containerId: this.id,
      id: process.execId === '' ? this.id : process.execId,
      pid: process.pid,
      exitStatus: exit.status,
      exitedAt: exit.at,
    });
  }
}
