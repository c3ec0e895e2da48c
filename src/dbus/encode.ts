// Values to bytes, little-endian. (D-Bus Specification, "Marshaling")

import { encodeText } from '../linux/utf8.ts';
import { alignmentOf, splitTypes, type Value, type Variant } from './types.ts';

export class Writer {
  private readonly bytes: number[] = [];

  get length(): number {
    return this.bytes.length;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }

  /** Zeros up to a multiple of `alignment`. */
  pad(alignment: number): void {
    while (this.bytes.length % alignment !== 0) this.bytes.push(0);
  }

  /** Values one behind the other. */
  all(signature: string, values: readonly Value[]): void {
    splitTypes(signature).forEach((type, index) => this.one(type, values[index] as Value));
  }

  one(type: string, value: Value): void {
    this.pad(alignmentOf(type));
    switch (type[0]) {
      case 'y':
        this.bytes.push(Number(value) & 0xff);
        return;
      case 'n':
      case 'q':
        this.integer(Number(value), 2);
        return;
      case 'b':
        this.integer(value === true ? 1 : 0, 4);
        return;
      case 'i':
      case 'u':
        this.integer(Number(value), 4);
        return;
      case 'x':
      case 't':
        this.long(BigInt(value as number | bigint));
        return;
      case 'd':
        this.bytes.push(...new Uint8Array(new Float64Array([value as number]).buffer));
        return;
      case 's':
      case 'o':
        this.text(value as string, 4);
        return;
      case 'g':
        this.text(value as string, 1);
        return;
      case 'v':
        this.text((value as Variant).signature, 1);
        this.one((value as Variant).signature, (value as Variant).value);
        return;
      case 'a':
        this.array(type.slice(1), value as readonly Value[] | Uint8Array);
        return;
      default:
        this.all(type.slice(1, -1), value as readonly Value[]);
    }
  }

  private integer(value: number, size: number): void {
    for (let i = 0; i < size; i++) this.bytes.push((value >> (8 * i)) & 0xff);
  }

  private long(value: bigint): void {
    for (let i = 0n; i < 8n; i++) this.bytes.push(Number((value >> (8n * i)) & 0xffn));
  }

  private text(value: string, sizeOfLength: number): void {
    const bytes = encodeText(value);
    this.integer(bytes.length, sizeOfLength);
    for (const byte of bytes) this.bytes.push(byte);
    this.bytes.push(0);
  }

  private array(type: string, items: readonly Value[] | Uint8Array): void {
    const lengthAt = this.bytes.length;
    this.integer(0, 4);
    // The padding before the first item does not count.
    this.pad(alignmentOf(type));
    const start = this.bytes.length;
    for (const item of items) this.one(type, item);
    const length = this.bytes.length - start;
    for (let i = 0; i < 4; i++) this.bytes[lengthAt + i] = (length >> (8 * i)) & 0xff;
  }
}
