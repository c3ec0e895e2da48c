// The server's end of one connection, without the connection: bytes in, calls out; answers in, bytes out. It never reads,
// writes, waits or looks at a clock of its own, so its owner can serve any number of connections from one loop:
//   when bytes came                   for (…) feed(bytes)
//   when onOutput was called          write take(), frame after frame
//   when `deadline` has come          expire()
//   at the end of the connection      closed()
// Calls are answered in any order and at any time; as many are open as the client likes. Only calls with one request and
// one response are served, which is all that containerd's task service has.
// (containerd/ttrpc PROTOCOL.md)

import { decode } from '../proto/decode.ts';
import { encode } from '../proto/encode.ts';
import {
  DATA,
  encodeFrame,
  firstDeadline,
  type Frame,
  FrameReader,
  MOST,
  REMOTE_OPEN,
  REQUEST,
  RESPONSE,
  tooLong,
} from './frame.ts';
import { Request, Response } from './messages.ts';
import { Code, StatusError, statusOf } from './status.ts';

/** A request that waits for its answer. The first of `reply` and `fail` counts, and nothing does once `over` is true. */
export interface Call {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** Such as `containerd-namespace-ttrpc`; a key may be there more than once. */
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
  /** Answered, or nobody listens any more. */
  readonly over: boolean;
  /** Called once if the caller stops to listen before there is an answer: its time has passed, or it has left. */
  onCancel: (() => void) | undefined;
  reply(payload: Uint8Array): void;
  /** @param error A `StatusError` as it is; of others the sentence, with a code by their errno. */
  fail(error: unknown): void;
}

/** Answers now or later. What it throws is an answer too. */
export type Handler = (call: Call) => void;

/** By the name of the service, then by that of the method. */
export type Services = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

export interface ServerOptions {
  readonly services: Services;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** There are frames to take, and there were none before. May be called from within `feed`, `reply` and `fail`. */
  readonly onOutput: () => void;
}

interface Open extends Call {
  over: boolean;
  readonly deadline: number | undefined;
}

export class ServerConnection {
  private readonly options: ServerOptions;
  private readonly reader = new FrameReader();
  private readonly open = new Map<number, Open>();
  private output: Uint8Array[] = [];
  private lastStream = 0;

  constructor(options: ServerOptions) {
    this.options = options;
  }

  /** Calls handlers for each request that has become complete. */
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
    return this.open.size;
  }

  /** When `expire` has something to do next, on the clock of `now`. */
  get deadline(): number | undefined {
    return firstDeadline(this.open.values());
  }

  /** Ends the calls whose time has passed. */
  expire(): void {
    if (this.open.size === 0) return;
    const now = this.options.now();
    for (const call of [...this.open.values()])
      if (call.deadline !== undefined && call.deadline <= now)
        cancel(call, () => call.fail(new StatusError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded')));
  }

  /** The connection has ended: nobody listens any more. */
  closed(): void {
    for (const [stream, call] of [...this.open])
      cancel(call, () => {
        call.over = true;
        this.open.delete(stream);
      });
    this.output = [];
  }

  private receive(frame: Frame): void {
    const { stream, type, length, data } = frame;
    if (data === undefined) return this.refuse(stream, Code.RESOURCE_EXHAUSTED, tooLong(length));
    if (type !== REQUEST && type !== DATA) return;
    if (stream % 2 === 0)
      return this.refuse(stream, Code.INVALID_ARGUMENT, 'StreamID must be odd for client initiated streams');
    if (type === REQUEST) return this.request(frame, data);
    // No method takes more than its request, so a stream for which there is data is none.
    const call = this.open.get(stream);
    const error = new StatusError(Code.INVALID_ARGUMENT, 'StreamID is no longer active');
    if (call === undefined) this.refuse(stream, error.code, error.message);
    else cancel(call, () => call.fail(error));
  }

  private request({ stream, flags }: Frame, data: Uint8Array): void {
    if (stream <= this.lastStream)
      return this.refuse(stream, Code.INVALID_ARGUMENT, 'StreamID cannot be re-used and must increment');
    this.lastStream = stream;
    let call: Open;
    let handler: Handler;
    try {
      const { service, method, payload, timeoutNano, metadata } = decode(Request, data);
      const deadline = timeoutNano === 0 ? undefined : this.options.now() + Number(timeoutNano) / 1e6;
      handler = this.find(service, method, flags);
      call = this.callOn(stream, { service, method, payload, metadata, deadline });
    } catch (error) {
      const { code, message } = statusOf(error);
      return this.refuse(stream, code, message);
    }
    this.open.set(stream, call);
    try {
      handler(call);
    } catch (error) {
      call.fail(error);
    }
  }

  private find(service: string, method: string, flags: number): Handler {
    const methods = own(this.options.services, service);
    if (methods === undefined) throw new StatusError(Code.UNIMPLEMENTED, `service ${service}`);
    const handler = own(methods, method);
    if (handler === undefined) throw new StatusError(Code.UNIMPLEMENTED, `method ${method}`);
    if ((flags & REMOTE_OPEN) !== 0) throw new StatusError(Code.UNIMPLEMENTED, `method ${method} is not a stream`);
    return handler;
  }

  private callOn(stream: number, request: Omit<Open, 'over' | 'onCancel' | 'reply' | 'fail'>): Open {
    const finish = (frame: () => Uint8Array): void => {
      if (call.over) return;
      call.over = true;
      call.onCancel = undefined;
      this.open.delete(stream);
      this.send(frame());
    };
    const call: Open = {
      ...request,
      over: false,
      onCancel: undefined,
      reply: (payload) => finish(() => response(stream, payload)),
      fail: (error) => finish(() => failure(stream, statusOf(error))),
    };
    return call;
  }

  private refuse(stream: number, code: number, message: string): void {
    this.send(failure(stream, new StatusError(code, message)));
  }

  private send(frame: Uint8Array): void {
    this.output.push(frame);
    if (this.output.length === 1) this.options.onOutput();
  }
}

/** @param end Comes first: what the handler does about it may find the call over. */
function cancel(call: Open, end: () => void): void {
  const { onCancel } = call;
  end();
  call.onCancel = undefined;
  onCancel?.();
}

/** Names come from the client, and every object has a `constructor`. */
const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

function response(stream: number, payload: Uint8Array): Uint8Array {
  const data = encode(Response, { payload });
  if (data.length > MOST) return failure(stream, new StatusError(Code.RESOURCE_EXHAUSTED, tooLong(data.length)));
  return encodeFrame(stream, RESPONSE, data);
}

/** Whoever reads it would not read more of a sentence. */
const LONGEST_MESSAGE = 65536;

function failure(stream: number, { code, message }: StatusError): Uint8Array {
  return encodeFrame(
    stream,
    RESPONSE,
    encode(Response, { status: { code, message: message.slice(0, LONGEST_MESSAGE) } }),
  );
}
