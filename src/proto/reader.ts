// Bytes to numbers and pieces. Every read is within its bounds: the sender may be hostile.

import { TsrunError } from '../failures.ts';
import { decodeText, encodeText } from '../linux/utf8.ts';
import type { Long } from './message.ts';
import { FIXED32, FIXED64, GROUP_END, GROUP_START, LENGTH, VARINT } from './wire.ts';

/** Bytes that are no message of the kind that was asked for. */
export class DecodeError extends TsrunError {
  /** Says where: `google.protobuf.Any.value: the message ends early`. */
  constructor(where: string, what: string) {
    super(`${where}: ${what}`);
    this.name = 'DecodeError';
  }
}

const TWO_32 = 2 ** 32;
const TWO_7 = 2 ** 7;
/** Groups are gone since proto3, but may be there as unknown fields, one in another. */
const DEEPEST_GROUP = 100;

export class Reader {
  private readonly bytes: Uint8Array;
  private readonly end: number;
  private at: number;
  /** The message and field that is being read, for errors. */
  where: string;

  constructor(bytes: Uint8Array, where: string, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.where = where;
  }

  get more(): boolean {
    return this.at < this.end;
  }

  fail(what: string): never {
    throw new DecodeError(this.where, what);
  }

  /** The piece that a length says follows. */
  piece(): Reader {
    const start = this.skip(this.uint64());
    return new Reader(this.bytes, this.where, start, this.at);
  }

  /** A copy: it outlives the buffer that it came in. */
  bytesOfPiece(): Uint8Array {
    const start = this.skip(this.uint64());
    return this.bytes.slice(start, this.at);
  }

  text(): string {
    const start = this.skip(this.uint64());
    const raw = this.bytes.subarray(start, this.at);
    const text = decodeText(raw);
    // The replacement character may have been sent as such.
    if (text.includes('\ufffd') && !sameBytes(encodeText(text), raw)) this.fail('the text is not UTF-8');
    return text;
  }

  /** What does not fit into 32 bits loses what is above them, as the encoding asks for. */
  uint32(): number {
    return this.long(false, true);
  }

  uint64(): Long {
    return this.long(false, false);
  }

  int64(): Long {
    return this.long(true, false);
  }

  double(): number {
    const start = this.skip(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + start, 8).getFloat64(0, true);
  }

  /** @param tag The whole tag of a field that nobody here knows. */
  unknown(tag: number, depth = 0): void {
    switch (tag & 7) {
      case VARINT:
        this.uint32();
        return;
      case FIXED64:
        this.skip(8);
        return;
      case LENGTH:
        this.skip(this.uint64());
        return;
      case FIXED32:
        this.skip(4);
        return;
      case GROUP_START:
        if (depth === DEEPEST_GROUP) this.fail('groups are nested too deeply');
        for (;;) {
          const inner = this.tag();
          if ((inner & 7) !== GROUP_END) this.unknown(inner, depth + 1);
          else if (inner >>> 3 === tag >>> 3) return;
          else this.fail('a group ends that did not begin');
        }
      case GROUP_END:
        return this.fail('a group ends that did not begin');
      default:
        return this.fail(`wire type ${tag & 7} does not exist`);
    }
  }

  tag(): number {
    const tag = this.uint64();
    if (tag < 8 || tag >= TWO_32) this.fail('there is no field of such a number');
    return Number(tag);
  }

  /** Where what was skipped begins. */
  private skip(length: Long): number {
    const start = this.at;
    if (length > this.end - start) this.fail('the message ends early');
    this.at = start + Number(length);
    return start;
  }

  private long(signed: boolean, short: true): number;
  private long(signed: boolean, short: false): Long;
  private long(signed: boolean, short: boolean): Long {
    const { bytes, end } = this;
    let { at } = this;
    const first = bytes[at] as number;
    if (at < end && first < 0x80) {
      this.at = at + 1;
      return first;
    }
    let low = 0;
    let high = 0;
    let byte = 0x80;
    for (let count = 0; byte >= 0x80; count++) {
      if (at >= end) this.fail('the message ends early');
      byte = bytes[at++] as number;
      if (count === 9 && byte > 1) this.fail('a number has more than 64 bits');
      if (count < 4) low += (byte & 0x7f) * TWO_7 ** count;
      else if (count === 4) {
        low += (byte & 0x0f) * 2 ** 28;
        high = (byte & 0x70) >> 4;
      } else high += (byte & 0x7f) * 2 ** (7 * count - 32);
    }
    this.at = at;
    if (short || high === 0) return low;
    if (signed && high >= 2 ** 31) return exact(high - TWO_32, low);
    return exact(high, low);
  }
}

function exact(high: number, low: number): Long {
  const value = high * TWO_32 + low;
  return Number.isSafeInteger(value) ? value : BigInt(high) * BigInt(TWO_32) + BigInt(low);
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
