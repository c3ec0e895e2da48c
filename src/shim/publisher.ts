// Events on their road to containerd: in order, one at a time, each kept until containerd has answered for it. containerd may
// be away for as long as it likes; what is not yet told waits. Without a connection of its own, like ttrpc/client.ts:
//   when `connect` was called         connect, then connected() or disconnected()
//   when bytes came                   feed(bytes)
//   when onOutput was called          write take(), frame after frame
//   when the connection has ended     disconnected()
//   when `deadline` has come          expire()

import { encode } from '../proto/encode.ts';
import type { InputOf, Message } from '../proto/message.ts';
import { pack, type Timestamp } from '../proto/well-known.ts';
import { ClientConnection, type Outcome } from '../ttrpc/client.ts';
import { Code, StatusError } from '../ttrpc/status.ts';
import { ForwardRequest } from './messages/events.ts';

/** For an answer, in ms. After it the connection counts as lost. */
const TIMEOUT = 5000;
/** Between attempts to connect, in ms: the first soon, for a containerd that restarts. */
const waits = [50, 100, 200, 500, 1000];
/** How often containerd may answer with an error that could pass. */
const MOST_ERRORS = 5;
/** A containerd that is away for good must not cost memory without end: some 15 MB. */
const MOST_WAITING = 50_000;

export interface PublisherOptions {
  readonly namespace: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** What the events say of when they happened. */
  readonly time: () => Timestamp;
  /** Asked for a connection when there is something to send and none stands. May answer at once. */
  readonly connect: () => void;
  /** There are frames to take. */
  readonly onOutput: () => void;
  /** The connection is of no use any more; no `disconnected()` is expected. */
  readonly disconnect: () => void;
  /** Told of each event that was given up. */
  readonly onLost: (topic: string, reason: string) => void;
}

interface Event {
  readonly topic: string;
  readonly payload: Uint8Array;
  errors: number;
}

export class Publisher {
  private readonly options: PublisherOptions;
  private readonly queue: Event[] = [];
  private client: ClientConnection | undefined;
  private connecting = false;
  private sending = false;
  private failures = 0;
  private nextAttempt: number | undefined;

  constructor(options: PublisherOptions) {
    this.options = options;
  }

  /** @param topic Such as `/tasks/start`. */
  publish<M extends Message>(topic: string, type: M, value: InputOf<M>): void {
    const { namespace, time } = this.options;
    const envelope = { timestamp: time(), namespace, topic, event: pack(type, value) };
    this.queue.push({ topic, payload: encode(ForwardRequest, { envelope }), errors: 0 });
    // The first is on its way, and may have arrived.
    if (this.queue.length > MOST_WAITING) this.lose(1, `more than ${MOST_WAITING} events wait for containerd`);
    this.next();
  }

  /** How many events containerd has not answered for. */
  get waiting(): number {
    return this.queue.length;
  }

  /** When `expire` has something to do next, on the clock of `now`. */
  get deadline(): number | undefined {
    return this.client?.deadline ?? this.nextAttempt;
  }

  expire(): void {
    this.client?.expire();
    if (this.nextAttempt !== undefined && this.nextAttempt <= this.options.now()) {
      this.nextAttempt = undefined;
      this.next();
    }
  }

  connected(): void {
    this.connecting = false;
    this.client = new ClientConnection({ now: this.options.now, onOutput: this.options.onOutput });
    this.next();
  }

  /** There is no connection, be it that there was one or that none could be made. */
  disconnected(): void {
    const { client } = this;
    this.connecting = false;
    this.client = undefined;
    if (client === undefined) this.wait();
    // What was on its way fails by this, and is sent again.
    else client.closed();
  }

  feed(bytes: Uint8Array): void {
    this.client?.feed(bytes);
  }

  take(): Uint8Array[] {
    return this.client?.take() ?? [];
  }

  private next(): void {
    const [event] = this.queue;
    if (event === undefined || this.sending || this.connecting || this.nextAttempt !== undefined) return;
    if (this.client === undefined) {
      this.connecting = true;
      this.options.connect();
      return;
    }
    this.sending = true;
    this.client.call(
      {
        service: 'containerd.services.events.ttrpc.v1.Events',
        method: 'Forward',
        payload: event.payload,
        timeout: TIMEOUT,
        metadata: [{ key: 'containerd-namespace-ttrpc', value: this.options.namespace }],
      },
      (outcome) => this.answered(event, outcome),
    );
  }

  private answered(event: Event, outcome: Outcome): void {
    this.sending = false;
    if (!(outcome instanceof StatusError)) {
      this.failures = 0;
      this.queue.shift();
      this.next();
    } else if (outcome.code === Code.UNAVAILABLE) this.wait();
    else if (outcome.code === Code.DEADLINE_EXCEEDED) {
      this.client = undefined;
      this.options.disconnect();
      this.wait();
    } else if (outcome.code === Code.INVALID_ARGUMENT || ++event.errors === MOST_ERRORS) {
      this.lose(0, outcome.message);
      this.next();
    } else this.wait();
  }

  private wait(): void {
    if (this.queue.length === 0) return;
    this.nextAttempt = this.options.now() + (waits[Math.min(this.failures, waits.length - 1)] as number);
    this.failures++;
  }

  private lose(index: number, reason: string): void {
    const [event] = this.queue.splice(index, 1);
    if (event !== undefined) this.options.onLost(event.topic, reason);
  }
}
