// Both ends of a connection and what passes between them, on a clock that stands still until told.
import { ClientConnection, type Outcome, type Outgoing } from '../../src/ttrpc/client.ts';
import { type Call, ServerConnection, type Services } from '../../src/ttrpc/server.ts';
import { StatusError } from '../../src/ttrpc/status.ts';

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

/** A server whose calls are kept, to be answered by the test. */
export function serve(services: Services = {}) {
  const calls: Call[] = [];
  const clock = { now: 1000 };
  let woken = 0;
  const keep = (call: Call) => void calls.push(call);
  const server = new ServerConnection({
    services: { 'a.Service': { Do: keep, Fail: failing }, ...services },
    now: () => clock.now,
    onOutput: () => woken++,
  });
  return { server, calls, clock, woken: () => woken };
}

function failing(): void {
  throw Object.assign(new Error('no such thing'), { errno: 2 });
}

export function dial() {
  const clock = { now: 1000 };
  let woken = 0;
  const client = new ClientConnection({ now: () => clock.now, onOutput: () => woken++ });
  return { client, clock, woken: () => woken };
}

/** What became of a call so far: a text, or code and sentence. */
export function call(client: ClientConnection, outgoing: Partial<Outgoing> = {}): { outcome: string | undefined } {
  const result: { outcome: string | undefined } = { outcome: undefined };
  const payload = new Uint8Array(0);
  client.call({ service: 'a.Service', method: 'Do', payload, ...outgoing }, (outcome) => {
    if (result.outcome !== undefined) throw new Error('ended twice');
    result.outcome = wordOutcome(outcome);
  });
  return result;
}

const wordOutcome = (outcome: Outcome): string =>
  outcome instanceof StatusError ? `${outcome.code} ${outcome.message}` : Buffer.from(outcome).toString();

export const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(pieces));
}

export function header(length: number, stream: number, type: number, flags = 0): Uint8Array {
  const frame = Buffer.alloc(10);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt32BE(stream, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(flags, 9);
  return Uint8Array.from(frame);
}
