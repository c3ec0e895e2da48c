// A value to bytes, as the message's table says. Fields are in the table's order, which is that of their numbers.

import type { InputOf, Message, Type } from './message.ts';
import { pairOf } from './pair.ts';
import { LENGTH } from './wire.ts';
import { Writer } from './writer.ts';

export function encode<M extends Message>(message: M, value: InputOf<M>): Uint8Array {
  const writer = new Writer();
  write(message, value, writer);
  return writer.finish();
}

type Source = Readonly<Record<string, unknown>>;

/** From the last field to the first: the writer goes backwards. */
function write({ entries }: Message, source: Source, writer: Writer): void {
  for (let i = entries.length - 1; i >= 0; i--) {
    const { key, number, type, shape, wire } = entries[i] as (typeof entries)[number];
    const value = source[key];
    if (value === undefined) continue;
    if (shape === 'map') writeList(number, pairOf(type), LENGTH, pairsOf(value as Map<string, unknown>), writer);
    else if (shape === 'repeated') writeList(number, type, wire, value as readonly unknown[], writer);
    else if (!isZero(value)) {
      writeValue(type, value, writer);
      writer.varint(number * 8 + wire);
    }
  }
}

const pairsOf = (map: ReadonlyMap<string, unknown>) => Array.from(map, ([key, value]) => ({ key, value }));

/** Numbers share one tag ("packed"); anything with a length has its own. */
function writeList(number: number, type: Type, wire: number, list: readonly unknown[], writer: Writer): void {
  if (list.length === 0) return;
  const end = writer.length;
  for (let i = list.length - 1; i >= 0; i--) {
    writeValue(type, list[i], writer);
    if (wire === LENGTH) writer.varint(number * 8 + LENGTH);
  }
  if (wire === LENGTH) return;
  writer.varint(writer.length - end);
  writer.varint(number * 8 + LENGTH);
}

function writeValue(type: Type, value: unknown, writer: Writer): void {
  if (typeof type !== 'string') {
    const end = writer.length;
    write(type, value as Source, writer);
    writer.varint(writer.length - end);
    return;
  }
  switch (type) {
    case 'string':
      writer.text(value as string);
      return;
    case 'bytes':
      writer.bytes(value as Uint8Array);
      return;
    case 'bool':
      writer.varint(value === true ? 1 : 0);
      return;
    case 'double':
      writer.double(value as number);
      return;
    case 'int32':
    case 'uint32':
    case 'int64':
    case 'uint64':
      writer.long(value as number | bigint);
      return;
  }
}

/** What a reader takes an absent field for. Negative zero is not that. */
const isZero = (value: unknown): boolean =>
  value === '' ||
  value === false ||
  value === 0n ||
  Object.is(value, 0) ||
  (value instanceof Uint8Array && value.length === 0);
