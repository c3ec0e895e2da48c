// Messages that protobuf brings along (google/protobuf/*.proto), and what is done with them everywhere.

import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { type InputOf, type Message, message, type ValueOf } from './message.ts';

export const Any = message('google.protobuf.Any', () => ({ typeUrl: [1, 'string'], value: [2, 'bytes'] }));
export type Any = ValueOf<typeof Any>;

/** Since 1970. */
export const Timestamp = message('google.protobuf.Timestamp', () => ({ seconds: [1, 'int64'], nanos: [2, 'int32'] }));
export type Timestamp = ValueOf<typeof Timestamp>;

export const Empty = message('google.protobuf.Empty', () => ({}));

/** A message with its name beside it. containerd compares the bare name, so there is no `type.googleapis.com/` before it. */
export const pack = <M extends Message>(type: M, value: InputOf<M>): Any => ({
  typeUrl: type.name,
  value: encode(type, value),
});

/** Undefined where something else is packed. @throws {DecodeError} */
export const unpack = <M extends Message>(type: M, any: Any): ValueOf<M> | undefined =>
  any.typeUrl === type.name ? decode(type, any.value) : undefined;
