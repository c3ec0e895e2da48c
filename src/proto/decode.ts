// Bytes to a value, as the message's table says.

import type { Entry, Message, Scalar, Type, ValueOf } from './message.ts';
import { pairOf } from './pair.ts';
import { Reader } from './reader.ts';
import { LENGTH } from './wire.ts';

/** Fields that the table does not have are passed over. @throws {DecodeError} which says where the bytes are wrong. */
export function decode<M extends Message>(message: M, bytes: Uint8Array): ValueOf<M> {
  return read(message, new Reader(bytes, message.name), blank(message)) as ValueOf<M>;
}

type Target = Record<string, unknown>;

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

/** The message without bytes. */
function blank({ entries }: Message): Target {
  const target: Target = {};
  for (const { key, type, shape } of entries) {
    if (shape !== undefined) target[key] = shape === 'map' ? new Map() : [];
    else target[key] = typeof type === 'string' ? zero[type] : undefined;
  }
  return target;
}

function read({ byNumber }: Message, reader: Reader, target: Target): Target {
  const { where } = reader;
  while (reader.more) {
    const tag = reader.tag();
    const entry = byNumber.get(tag >>> 3);
    if (entry === undefined) reader.unknown(tag);
    else {
      reader.where = `${where}.${entry.key}`;
      readField(entry, tag, reader, target);
      reader.where = where;
    }
  }
  return target;
}

/** A field of another wire type is one that the sender's table has and this one has not. */
function readField({ key, type, shape, wire }: Entry, tag: number, reader: Reader, target: Target): void {
  const sent = tag & 7;
  if (shape === undefined) {
    if (sent === wire) target[key] = readOne(type, reader, target[key]);
    else reader.unknown(tag);
  } else if (shape === 'map') {
    if (sent === LENGTH) readPair(type, reader, target[key] as Map<string, unknown>);
    else reader.unknown(tag);
  } else {
    const list = target[key] as unknown[];
    if (sent === wire) list.push(readOne(type, reader, undefined));
    else if (sent === LENGTH) {
      for (const packed = reader.piece(); packed.more; ) list.push(readOne(type, packed, undefined));
    } else reader.unknown(tag);
  }
}

/** @param before A message that comes in two parts is put together of them. */
function readOne(type: Type, reader: Reader, before: unknown): unknown {
  if (typeof type !== 'string') return read(type, reader.piece(), (before as Target | undefined) ?? blank(type));
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
  const pair = pairOf(type);
  const { key, value } = read(pair, reader.piece(), blank(pair));
  map.set(key as string, value ?? blank(type as Message));
}
