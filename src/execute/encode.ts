// Steps -> the three streams of the wire format that native/plan.table.mjs describes.

import { type Field, layouts, type Step } from '../plan/steps.gen.ts';

export interface Streams {
  readonly words: Uint32Array;
  /** Strings, each with a NUL behind it. */
  readonly pool: string;
  readonly blob: Uint8Array;
}

export function encode(steps: readonly Step[]): Streams {
  const words: number[] = [];
  const strings: string[] = [];
  const blobs: Uint8Array[] = [];
  for (const step of steps) {
    const { code, fields } = layouts[step.op];
    const start = words.push(code, 0);
    for (const field of fields) put(step as unknown as Record<string, unknown>, field, words, strings, blobs);
    words[start - 1] = words.length - start;
  }
  const pool = strings.length > 0 ? `${strings.join('\0')}\0` : '';
  return { words: new Uint32Array(words), pool, blob: join(blobs) };
}

function put(step: Record<string, unknown>, [name, kind]: Field, words: number[], strings: string[], blobs: Uint8Array[]): void {
  const value = step[name];
  switch (kind) {
    case 'str':
      strings.push(value as string);
      return;
    case 'u32':
    case 'i32':
      words.push(value as number);
      return;
    case 'strs':
      words.push((value as readonly string[]).length);
      for (const item of value as readonly string[]) strings.push(item);
      return;
    case 'u64':
      if (typeof value === 'bigint') words.push(Number(value & 0xffffffffn), Number(value >> 32n));
      else words.push((value as number) % 2 ** 32, Math.floor((value as number) / 2 ** 32));
      return;
    case 'u32s':
      words.push((value as readonly number[]).length, ...(value as readonly number[]));
      return;
    case 'bytes':
      words.push((value as Uint8Array).length);
      blobs.push(value as Uint8Array);
      return;
    default:
      kind satisfies never;
  }
}

function join(blobs: readonly Uint8Array[]): Uint8Array {
  const [first] = blobs;
  if (first !== undefined && blobs.length === 1) return first;
  const all = new Uint8Array(blobs.reduce((sum, blob) => sum + blob.length, 0));
  let at = 0;
  for (const blob of blobs) {
    all.set(blob, at);
    at += blob.length;
  }
  return all;
}
