// Steps -> the three streams of the wire format that native/plan.table.mjs describes.

import type { Step } from '../plan/steps.gen.ts';
import { codes, encoders } from './encoders.gen.ts';

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
    const start = words.push(codes[step.op], 0);
    // The table's types fit entry by entry; the compiler cannot see that across the union.
    (encoders[step.op] as (step: Step, ...streams: unknown[]) => void)(step, words, strings, blobs);
    words[start - 1] = words.length - start;
  }
  const pool = strings.length > 0 ? `${strings.join('\0')}\0` : '';
  return { words: pack(words), pool, blob: join(blobs) };
}

/** Word by word: the constructor would go through the iterator protocol, which costs ten times as much in QuickJS. */
function pack(words: readonly number[]): Uint32Array {
  const packed = new Uint32Array(words.length);
  for (let index = 0; index < words.length; index++) packed[index] = words[index] as number;
  return packed;
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
