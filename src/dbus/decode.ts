// Bytes to values. What does not fit is an error: the peer is trusted, but a broken message must not be half read.

import { decodeText } from '../linux/utf8.ts';
import { alignmentOf, splitTypes, type Value } from './types.ts';

export class Reader {
  private readonly bytes: Uint8Array;
  private readonly little: boolean;
  private at: number;

  constructor(bytes: Uint8Array, little: boolean, at = 0) {
    this.bytes = bytes;
    this.little = little;
    this.at = at;
  }

  /** Values one behind the other. */
  all(signature: string): Value[] {
    return splitTypes(signature).map((type) => this.one(type));
  }

  one(type: string): Value {
    this.pad(alignmentOf(type));
    switch (type[0]) {
      case 'y':
        return this.integer(1);
      case 'n':
        return (this.integer(2) << 16) >> 16;
      case 'q':
        return this.integer(2);
      case 'b':
        return this.integer(4) !== 0;
      case 'i':
        return this.integer(4) | 0;
      case 'u':
        return this.integer(4);
      case 'x':
        return BigInt.asIntN(64, this.long());
      case 't':
        return this.long();
      case 'd':
        return new Float64Array(new BigUint64Array([this.long()]).buffer)[0] as number;
      case 's':
      case 'o':
        return this.text(4);
      case 'g':
        return this.text(1);
      case 'v': {
        const signature = this.text(1);
        return { signature, value: this.one(signature) };
      }
      case 'a':
        return this.array(type.slice(1));
      default:
        return this.all(type.slice(1, -1));
    }
  }

  pad(alignment: number): void {
    while (this.at % alignment !== 0) this.at++;
  }

  private take(size: number): Uint8Array {
    if (this.at + size > this.bytes.length) throw new RangeError('a D-Bus message ends early');
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  private integer(size: number): number {
    const bytes = this.take(size);
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (bytes[this.little ? size - 1 - i : i] as number);
    return value;
  }

  private long(): bigint {
    const first = BigInt(this.integer(4));
    const second = BigInt(this.integer(4));
    return this.little ? (second << 32n) | first : (first << 32n) | second;
  }

  private text(sizeOfLength: number): string {
    const text = decodeText(this.take(this.integer(sizeOfLength)));
    this.take(1);
    return text;
  }

  private array(type: string): Value[] {
    const length = this.integer(4);
    this.pad(alignmentOf(type));
    const end = this.at + length;
    if (end > this.bytes.length) throw new RangeError('a D-Bus message ends early');
    const items: Value[] = [];
    while (this.at < end) items.push(this.one(type));
    return items;
  }
}
