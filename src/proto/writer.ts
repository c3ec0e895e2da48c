// Numbers and pieces to bytes, from the end to the start: a length stands before what it measures, and so is written after it.

import { encodeText } from '../linux/utf8.ts';
import type { Long } from './message.ts';

const ALL_64_BITS = 0xffffffffffffffffn;

export class Writer {
  private buffer: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  private at = 256;

  /** Bytes written so far. */
  get length(): number {
    return this.buffer.length - this.at;
  }

  finish(): Uint8Array {
    return this.buffer.subarray(this.at);
  }

  /** @param value A whole number from 0 to 2^53. */
  varint(value: number): void {
    if (value < 0x80) {
      this.reserve(1);
      this.buffer[this.at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    this.reserve(size);
    let at = this.at;
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.buffer[at++] = (rest % 0x80) | 0x80;
    this.buffer[at] = rest;
  }

  /** Any whole number of 64 bits; negative ones as two's complement. */
  long(value: Long): void {
    if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return this.varint(value);
    // QuickJS 2025-04-26 gives negative numbers back unchanged from BigInt.asUintN.
    const bytes: number[] = [];
    for (let rest = BigInt(value) & ALL_64_BITS; rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push((bytes.pop() ?? 0) & 0x7f);
    this.raw(Uint8Array.from(bytes));
  }

  double(value: number): void {
    this.reserve(8);
    new DataView(this.buffer.buffer, this.at, 8).setFloat64(0, value, true);
  }

  text(value: string): void {
    this.bytes(encodeText(value));
  }

  /** With their length. */
  bytes(value: Uint8Array): void {
    this.raw(value);
    this.varint(value.length);
  }

  private raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.buffer.set(value, this.at);
  }

  private reserve(size: number): void {
    if (size > this.at) {
      const { length } = this;
      const grown = new Uint8Array(2 * (length + size) + 256);
      grown.set(this.finish(), grown.length - length);
      this.buffer = grown;
      this.at = grown.length - length;
    }
    this.at -= size;
  }
}
