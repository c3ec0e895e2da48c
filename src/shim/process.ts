// One process of a container, its first or an exec, as containerd knows it.

import type { Answer } from '../ttrpc/method.ts';
import { type Timestamp } from '../proto/well-known.ts';
import { sys } from '../linux/sys.ts';
import type { WaitResponse } from './messages/task.ts';
import type { ProcessIo } from './process-io.ts';
import type { StreamNames } from './streams.ts';

/**
 * new: registered, or being created. created: waits for start. starting: let go, and not yet known to run. ended: gone,
 * but not told yet, for something else has to be told first.
 */
export type Stage = 'new' | 'created' | 'starting' | 'running' | 'ended' | 'stopped';

export interface Exit {
  readonly status: number;
  readonly at: Timestamp;
}

export class Process {
  /** '' for the first process of a container. */
  readonly execId: string;
  readonly streams: StreamNames;
  stage: Stage = 'new';
  pid: number = 0;
  /** Valid while the process lives. */
  pidfd: number = -1;
  io: ProcessIo | undefined;
  /** The JSON of an exec's `process`. */
  spec: string = '';
  /** A pidfd of the program that logs for it; -1 where there is none, or none any more. */
  logger: number = -1;
  exit: Exit | undefined;
  /** Nothing that it wrote waits for a reader any more, so its end may be told. */
  isRead: boolean = false;
  private readonly waiting: Set<Answer<typeof WaitResponse>> = new Set();

  constructor(execId: string, streams: StreamNames) {
    this.execId = execId;
    this.streams = streams;
  }

  /** It has a process that is not known to have ended. */
  get isAlive(): boolean {
    return this.pidfd >= 0;
  }

  /** Has been told of as ended. */
  get isStopped(): boolean {
    return this.stage === 'stopped';
  }

  wait(answer: Answer<typeof WaitResponse>): void {
    if (this.isStopped) {
      this.answer(answer);
      return;
    }
    this.waiting.add(answer);
    // A client that has gone must not be remembered for as long as a container lives.
    answer.call.onCancel = () => this.waiting.delete(answer);
  }

  /** Tells all who wait. State says so first: clients ask it as soon as they are told. */
  stop(exit: Exit): void {
    this.exit = exit;
    this.stage = 'stopped';
    for (const answer of this.waiting) this.answer(answer);
    this.waiting.clear();
  }

  private answer(answer: Answer<typeof WaitResponse>): void {
    answer.reply({ exitStatus: this.exit?.status ?? 0, exitedAt: this.exit?.at });
  }
}

export function timestamp(): Timestamp {
  const [seconds = 0, nanos = 0] = sys.clock();
  return { seconds, nanos };
}
