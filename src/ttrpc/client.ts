// The client's end of one connection, without the connection; see server.ts for what its owner does.

import { decode } from '../proto/decode.ts';
import { encode } from '../proto/encode.ts';
import { encodeFrame, firstDeadline, type Frame, FrameReader, MOST, REQUEST, RESPONSE, tooLong } from './frame.ts';
import { Request, Response } from './messages.ts';
import { Code, StatusError } from './status.ts';

export interface Outgoing {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** Milliseconds, after which the call fails, and which the server is told. */
  readonly timeout?: number;
  readonly metadata?: readonly { readonly key: string; readonly value: string }[];
}

/** The payload of the response, or why there is none. */
export type Outcome = Uint8Array | StatusError;

export interface ClientOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** There are frames to take, and there were none before. */
  readonly onOutput: () => void;
}

interface Pending {
  readonly done: (outcome: Outcome) => void;
  readonly deadline: number | undefined;
}

export class ClientConnection {
  private readonly options: ClientOptions;
  private readonly reader = new FrameReader();
  private readonly pending = new Map<number, Pending>();
  private output: Uint8Array[] = [];
  private nextStream = 1;
  private isClosed = false;

  constructor(options: ClientOptions) {
    this.options = options;
  }

  /** @param done Called exactly once; at once if the call cannot be sent. */
  call(call: Outgoing, done: (outcome: Outcome) => void): void {
    if (this.isClosed) return done(closedError());
    const { service, method, payload, timeout, metadata = [] } = call;
    const timeoutNano = timeout === undefined ? 0 : Math.max(1, Math.round(timeout * 1e6));
    const data = encode(Request, { service, method, payload, timeoutNano, metadata });
    if (data.length > MOST) return done(new StatusError(Code.RESOURCE_EXHAUSTED, tooLong(data.length)));
    const stream = this.nextStream;
    this.nextStream += 2;
    this.pending.set(stream, { done, deadline: timeout === undefined ? undefined : this.options.now() + timeout });
    this.output.push(encodeFrame(stream, REQUEST, data));
    if (this.output.length === 1) this.options.onOutput();
  }

  /** Ends the calls for which an answer has become complete. */
  feed(bytes: Uint8Array): void {
    for (const frame of this.reader.feed(bytes)) this.receive(frame);
  }

  /** Frames to write, in this order and each as a whole; they are the caller's now. */
  take(): Uint8Array[] {
    const { output } = this;
    this.output = [];
    return output;
  }

  /** How many calls wait for an answer. */
  get inFlight(): number {
    return this.pending.size;
  }

  /** When `expire` has something to do next, on the clock of `now`. */
  get deadline(): number | undefined {
    return firstDeadline(this.pending.values());
  }

  /** Fails the calls whose time has passed; an answer that comes later is ignored. */
  expire(): void {
    if (this.pending.size === 0) return;
    const now = this.options.now();
    for (const [stream, { deadline }] of [...this.pending])
      if (deadline !== undefined && deadline <= now)
        this.finish(stream, new StatusError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded'));
  }

  /** The connection has ended: what waits fails, and so does every further call. */
  closed(): void {
    this.isClosed = true;
    this.output = [];
    for (const stream of [...this.pending.keys()]) this.finish(stream, closedError());
  }

  private receive({ stream, type, length, data }: Frame): void {
    if (type !== RESPONSE) return;
    if (data === undefined) return this.finish(stream, new StatusError(Code.RESOURCE_EXHAUSTED, tooLong(length)));
    this.finish(stream, outcomeOf(data));
  }

  private finish(stream: number, outcome: Outcome): void {
    const pending = this.pending.get(stream);
    this.pending.delete(stream);
    pending?.done(outcome);
  }
}

function outcomeOf(data: Uint8Array): Outcome {
  try {
    const { status, payload } = decode(Response, data);
    return status === undefined || status.code === Code.OK ? payload : new StatusError(status.code, status.message);
  } catch (error) {
    return new StatusError(Code.INTERNAL, error instanceof Error ? error.message : String(error));
  }
}

const closedError = (): StatusError => new StatusError(Code.UNAVAILABLE, 'ttrpc: closed');
