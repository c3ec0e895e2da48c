// One message: a fixed part, header fields, and a body. (D-Bus Specification, "Message Protocol")

import { Reader } from './decode.ts';
import { Writer } from './encode.ts';
import { type Value, variant, type Variant } from './types.ts';

const CALL = 1;
export const RETURN = 2;
export const ERROR = 3;
export const SIGNAL = 4;

const LITTLE = 'l'.charCodeAt(0);
const VERSION = 1;
const FIXED = 16;
/** The longest message that the specification allows. */
const MOST = 2 ** 27;

// Codes of header fields.
const PATH = 1;
const INTERFACE = 2;
const MEMBER = 3;
const ERROR_NAME = 4;
const REPLY_SERIAL = 5;
const DESTINATION = 6;
const SIGNATURE = 8;

export interface Call {
  readonly destination: string | undefined;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly values: readonly Value[];
}

export interface Message {
  readonly type: number;
  readonly interface: string | undefined;
  readonly member: string | undefined;
  readonly errorName: string | undefined;
  /** The serial of the call that this answers. */
  readonly replyTo: number | undefined;
  readonly values: readonly Value[];
}

export function encodeCall(call: Call, serial: number): Uint8Array {
  const body = new Writer();
  body.all(call.signature, call.values);
  const fields: [number, Variant][] = [
    [PATH, variant('o', call.path)],
    [INTERFACE, variant('s', call.interface)],
    [MEMBER, variant('s', call.member)],
  ];
  if (call.destination !== undefined) fields.push([DESTINATION, variant('s', call.destination)]);
  if (call.signature !== '') fields.push([SIGNATURE, variant('g', call.signature)]);
  const head = new Writer();
  head.all('yyyyuua(yv)', [LITTLE, CALL, 0, VERSION, body.length, serial, fields]);
  head.pad(8);
  const message = new Uint8Array(head.length + body.length);
  message.set(head.finish(), 0);
  message.set(body.finish(), head.length);
  return message;
}

/** How many bytes the message at the start of `bytes` has; undefined until that can be told. */
export function sizeOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < FIXED) return undefined;
  const reader = new Reader(bytes, bytes[0] === LITTLE, 4);
  const [body = 0, , fields = 0] = reader.all('uuu') as number[];
  const size = Math.ceil((FIXED + fields) / 8) * 8 + body;
  if (size > MOST) throw new RangeError('a D-Bus message is too long');
  return size;
}

export function decode(bytes: Uint8Array): Message {
  const reader = new Reader(bytes, bytes[0] === LITTLE);
  const [, type, , , , , pairs] = reader.all('yyyyuua(yv)') as [...number[], [number, Variant][]];
  const fields = new Map((pairs as unknown as [number, Variant][]).map(([code, { value }]) => [code, value]));
  reader.pad(8);
  return {
    type: type as number,
    interface: fields.get(INTERFACE) as string | undefined,
    member: fields.get(MEMBER) as string | undefined,
    errorName: fields.get(ERROR_NAME) as string | undefined,
    replyTo: fields.get(REPLY_SERIAL) as number | undefined,
    values: reader.all((fields.get(SIGNATURE) as string | undefined) ?? ''),
  };
}
