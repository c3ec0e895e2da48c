// Bytes to a value, as the message's table says.

import type { Field, Fields, Message, Scalar, Type, ValueOf } from './message.ts';
import { pairOf } from './pair.ts';
import { Reader } from './reader.ts';
import { LENGTH, wireTypeOf } from './wire.ts';

/** The name of a field and what is known of it. */
type Entry = readonly [key: string, field: Field];

/** Tables are written by name and read by number. */
const indexes = new Map<Message, Map<number, Entry>>();

/** Fields that the table does not have are passed over. @throws {DecodeError} which says where the bytes are wrong. */
export function decode<M extends Message>(message: M, bytes: Uint8Array): ValueOf<M> {
  return read(message, new Reader(bytes, message.name), {}) as ValueOf<M>;
}

type Target = Record<string, unknown>;

function read(message: Message, reader: Reader, target: Target): Target {
  const index = indexOf(message);
  for (const [key, field] of index.values()) target[key] ??= blank(field);
  const { where } = reader;
  while (reader.more) {
    const tag = reader.tag();
    const entry = index.get(tag >>> 3);
    if (entry === undefined) reader.unknown(tag);
    else {
      reader.where = `${where}.${entry[0]}`;
      readField(entry, tag, reader, target);
      reader.where = where;
    }
  }
  return target;
}

/** A field of another wire type is one that the sender's table has and this one has not. */
function readField([key, [, type, shape]]: Entry, tag: number, reader: Reader, target: Target): void {
  const sent = tag & 7;
  const expected = wireTypeOf(type);
  if (shape === 'map') {
    if (sent === LENGTH) readPair(type, reader, target[key] as Map<string, unknown>);
    else reader.unknown(tag);
  } else if (shape === 'repeated') {
    const list = target[key] as unknown[];
    if (sent === expected) list.push(readOne(type, reader, undefined));
    else if (sent === LENGTH) {
      for (const packed = reader.piece(); packed.more; ) list.push(readOne(type, packed, undefined));
    } else reader.unknown(tag);
  } else if (sent === expected) target[key] = readOne(type, reader, target[key]);
  else reader.unknown(tag);
}

/** @param before A message that comes in two parts is put together of them. */
function readOne(type: Type, reader: Reader, before: unknown): unknown {
  if (typeof type !== 'string') return read(type, reader.piece(), (before as Target | undefined) ?? {});
  switch (type) {
    case 'string':
      return reader.text();
    case 'bytes':
      return reader.bytesOfPiece();
    case 'bool':
      return reader.uint64() !== 0;
    case 'int32':
      return reader.uint32() | 0;
    case 'uint32':
      return reader.uint32();
    case 'int64':
      return reader.int64();
    case 'uint64':
      return reader.uint64();
    case 'double':
      return reader.double();
  }
}

function readPair(type: Type, reader: Reader, map: Map<string, unknown>): void {
  const { key, value } = read(pairOf(type), reader.piece(), {});
  map.set(key as string, value ?? read(type as Message, new Reader(new Uint8Array(0), reader.where), {}));
}

function indexOf(message: Message<Fields>): Map<number, Entry> {
  let index = indexes.get(message);
  if (index === undefined) {
    index = new Map(Object.entries(message.fields).map((entry) => [entry[1][0], entry]));
    indexes.set(message, index);
  }
  return index;
}

const zero: Readonly<Record<Scalar, unknown>> = {
  string: '',
  bytes: new Uint8Array(0),
  bool: false,
  int32: 0,
  uint32: 0,
  int64: 0,
  uint64: 0,
  double: 0,
};

function blank([, type, shape]: Field): unknown {
  if (shape !== undefined) return shape === 'map' ? new Map() : [];
  return typeof type === 'string' ? zero[type] : undefined;
}
