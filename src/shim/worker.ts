// Work that may block, in a copy of this process: docs/decisions/0071. The copy runs the runtime as the command line
// does, answers with one message and ends; the loop hears of it as of anything else.

import { TsrunError, sysError } from '../errors.ts';
import { POLLIN } from '../linux/flags.ts';
import { isSysError, sys, unlessAgain } from '../linux/sys.ts';
import { decodeText } from '../linux/utf8.ts';
import type { InCopy, Loop } from './loop.ts';
import type { Reaper } from './reaper.ts';

/** What a copy answers. */
export interface Answer<T> {
  readonly value: T;
  /** Descriptors that go with it, by name. */
  readonly fds: Readonly<Record<string, number>>;
}

export interface Done<T> extends Answer<T> {
  readonly error: undefined;
  /** The pid of the copy, which is about to end. */
  readonly copy: number;
}

export interface Failed {
  readonly error: string;
  /** The copy ended without an answer: what it had done is still done. */
  readonly isCrash: boolean;
}

/** Something that may take its time. It runs in the copy, and may do as it likes with the process. */
export type Work<T> = () => Promise<Answer<T>> | Answer<T>;

const MESSAGE_MOST = 1 << 16;
/** Of UTF-16 units, each of which JSON may need six bytes for. */
const ERROR_MOST = 1 << 13;

interface Message {
  readonly value?: unknown;
  readonly names?: readonly string[];
  readonly error?: string;
}

export class Workers {
  private readonly loop: Loop;
  private readonly reaper: Reaper;

  constructor(loop: Loop, reaper: Reaper) {
    this.loop = loop;
    this.reaper = reaper;
  }

  /**
   * Does the work, and tells what came of it as soon as the copy does: who asked does not wait for its end, in which
   * the kernel takes apart what the copy was. A copy that dies is a failure like any other.
   * @param doing Names the work in the message of such a failure.
   */
  start<T>(doing: string, work: Work<T>, onEnd: (outcome: Done<T> | Failed) => void): void {
    this.loop.soon(() => {
      try {
        const [ours = -1, theirs = -1] = sys.socketPair();
        const pid = copy(ours, theirs);
        if (pid === 0) return inCopy(work, theirs);
        this.attend(doing, ours, pid, onEnd);
      } catch (error) {
        if (!isSysError(error)) throw error;
        onEnd({ error: sysError(doing, error).message, isCrash: false });
      }
      return undefined;
    });
  }

  private attend<T>(doing: string, socket: number, pid: number, onEnd: (outcome: Done<T> | Failed) => void): void {
    this.reaper.begin(pid);
    let isAnswered = false;
    this.loop.watch(socket, POLLIN, () => {
      const received = unlessAgain(() => receive(socket));
      if (received === undefined) return;
      if (received.text !== '') {
        // Something that cannot be read is no answer: then the end of the copy is one.
        const outcome = outcomeOf<T>(received, pid);
        isAnswered = true;
        onEnd(outcome);
        return;
      }
      this.loop.forget(socket);
      sys.close(socket);
      // The copy has closed its end by ending.
      const status = this.reaper.end(pid);
      if (!isAnswered) onEnd(crash(doing, status));
      this.reaper.sweep();
    });
  }
}

/** The pid of a copy that has one end, while this process has the other; 0 in the copy. */
function copy(ours: number, theirs: number): number {
  try {
    const pid = sys.fork(new Uint32Array([theirs]));
    if (pid !== 0) sys.close(theirs);
    return pid;
  } catch (error) {
    sys.close(theirs);
    sys.close(ours);
    throw error;
  }
}

function outcomeOf<T>({ text, fds }: Received, copy: number): Done<T> | Failed {
  const { value, names, error } = JSON.parse(text) as Message;
  if (error !== undefined) return { error, isCrash: false };
  const named = Object.fromEntries((names ?? []).map((name, index) => [name, fds[index] ?? -1]));
  return { error: undefined, value: value as T, fds: named, copy };
}

function crash(doing: string, status: number): Failed {
  const how = (status & 0x7f) === 0 ? `ended with status ${status >> 8}` : `was killed by signal ${status & 0x7f}`;
  return { error: `${doing}: the process that was to do it ${how}`, isCrash: true };
}

function inCopy<T>(work: Work<T>, socket: number): InCopy {
  return async () => {
    try {
      const { value, fds } = await work();
      const message: Message = { value, names: Object.keys(fds) };
      sys.sendMessage(socket, JSON.stringify(message), new Uint32Array(Object.values(fds)));
    } catch (thrown) {
      const error = isSysError(thrown) ? sysError('unexpected failure', thrown) : thrown;
      const text = error instanceof TsrunError ? error.message : `internal error: ${String(error)}`;
      sys.sendMessage(socket, JSON.stringify({ error: text.slice(0, ERROR_MOST) }), new Uint32Array(0));
    }
    sys.exit(0);
    throw new Error('unreachable');
  };
}

interface Received {
  readonly text: string;
  readonly fds: readonly number[];
}

function receive(socket: number): Received {
  const bytes = sys.receiveMessage(socket, MESSAGE_MOST);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  const fds: number[] = [];
  for (let index = 0; index < count; index++) fds.push(view.getUint32(4 + 4 * index, true));
  return { text: decodeText(bytes.subarray(4 + 4 * count)), fds };
}
