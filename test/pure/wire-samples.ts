// Steps of every kind for the wire format, and a decoder that is written from the table alone.
import fc from 'fast-check';
import type { Streams } from '../../src/execute/encode.ts';
import { type Field, layouts, type Step, type StepName } from '../../src/plan/steps.gen.ts';
import { textValue } from './plan-samples.ts';

export const stepNames = Object.keys(layouts) as StepName[];

const u32 = fc.oneof(fc.nat(9), fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constant(2 ** 32 - 1));
const values: Readonly<Record<Field[1], fc.Arbitrary<unknown>>> = {
  u32,
  i32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  u64: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.maxSafeNat(), fc.constant(2 ** 63)),
  str: textValue,
  strs: fc.array(textValue, { maxLength: 4 }),
  u32s: fc.array(u32, { maxLength: 4 }),
  bytes: fc.uint8Array({ maxLength: 9 }),
};

/** A step of the given kind with any values. */
export const stepOf = (op: StepName): fc.Arbitrary<Step> =>
  fc
    .record(Object.fromEntries(layouts[op].fields.map(([name, type]) => [name, values[type]])))
    .map((fields) => ({ op, ...fields, from: '', why: 'a test' }) as unknown as Step);

export const anySteps: fc.Arbitrary<Step[]> = fc.array(
  fc.constantFrom(...stepNames).chain((op) => stepOf(op)),
  { maxLength: 12 },
);

/** The steps without their reasons, and 64-bit values as bigints: what is sent. */
export const sentOf = (steps: readonly Step[]): object[] =>
  steps.map((step) => {
    const fields = layouts[step.op].fields.map(([name, type]) => {
      const value = (step as unknown as Record<string, unknown>)[name];
      return [name, type === 'u64' ? BigInt(value as number) : value];
    });
    return { op: step.op, ...Object.fromEntries(fields) };
  });

/** Reads a program as native/plan/program.c does; throws where that marks it as broken. */
export function decode({ words, pool, blob }: Streams): object[] {
  const strings = pool.split('\0');
  if (strings.pop() !== '') throw new Error('the last string has no end');
  let at = 0;
  let blobAt = 0;
  const word = (): number => {
    const value = words[at++];
    if (value === undefined) throw new Error('out of words');
    return value;
  };
  const text = (): string => {
    const value = strings.shift();
    if (value === undefined) throw new Error('out of strings');
    return value;
  };
  const times = <T>(count: number, take: () => T): T[] => Array.from({ length: count }, take);
  const takers: Readonly<Record<Field[1], () => unknown>> = {
    u32: word,
    i32: () => word() | 0,
    u64: () => BigInt(word()) | (BigInt(word()) << 32n),
    str: text,
    strs: () => times(word(), text),
    u32s: () => times(word(), word),
    bytes: () => {
      const size = word();
      blobAt += size;
      if (blobAt > blob.length) throw new Error('out of bytes');
      return blob.slice(blobAt - size, blobAt);
    },
  };
  const steps: object[] = [];
  while (at < words.length) {
    const code = word();
    const length = word();
    const start = at;
    const op = stepNames.find((name) => layouts[name].code === code);
    if (op === undefined) throw new Error(`no step has code ${code}`);
    steps.push({ op, ...Object.fromEntries(layouts[op].fields.map(([name, type]) => [name, takers[type]()])) });
    if (at - start !== length) throw new Error(`${op} says ${length} words and has ${at - start}`);
  }
  if (strings.length > 0 || blobAt !== blob.length) throw new Error('something is left over');
  return steps;
}
