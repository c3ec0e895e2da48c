// Comparisons of arguments: in the order in which they are tried, and as tests of 32-bit words.

import type { LinuxSeccompArg, LinuxSeccompOperator } from '../spec/types.ts';
import { highWord, JEQ, JGE, JGT, lowWord } from './bpf.ts';
import { ALL_BITS, type Graph, type Node } from './graph.ts';

/** One comparison of a 64-bit argument; numbers in halves, because JavaScript's have 53 bits. */
export interface Condition {
  readonly argument: number;
  readonly op: LinuxSeccompOperator;
  readonly high: number;
  readonly low: number;
  /** Bits that are compared. On a 32-bit architecture the upper half is 0: it is not looked at. */
  readonly highMask: number;
  readonly lowMask: number;
}

/** The condition for an entry of `args`; undefined where it holds for every value. */
export function conditionOf(arg: LinuxSeccompArg, narrow: boolean): Condition | undefined {
  const masked = arg.op === 'SCMP_CMP_MASKED_EQ';
  const [maskHigh, maskLow] = masked ? halves(arg.value) : [ALL_BITS, ALL_BITS];
  const [high, low] = halves(masked ? (arg.valueTwo ?? 0) : arg.value);
  const highMask = narrow ? 0 : maskHigh;
  if (highMask === 0 && maskLow === 0) return undefined;
  return {
    argument: arg.index,
    op: arg.op,
    high: (high & highMask) >>> 0,
    low: (low & maskLow) >>> 0,
    highMask,
    lowMask: maskLow,
  };
}

/** Upper and lower 32 bits. 2^64 is what all 64 bits set become as a double. */
export function halves(value: number | bigint): [high: number, low: number] {
  if (typeof value === 'bigint') return [Number((value >> 32n) & 0xffffffffn), Number(value & 0xffffffffn)];
  return value >= 2 ** 64 ? [ALL_BITS, ALL_BITS] : [Math.floor(value / 2 ** 32), value % 2 ** 32];
}

export const sameCondition = (a: Condition, b: Condition): boolean =>
  a.argument === b.argument &&
  a.op === b.op &&
  a.high === b.high &&
  a.low === b.low &&
  a.highMask === b.highMask &&
  a.lowMask === b.lowMask;

const ranks: Readonly<Record<LinuxSeccompOperator, number>> = {
  SCMP_CMP_EQ: 3,
  SCMP_CMP_NE: 3,
  SCMP_CMP_MASKED_EQ: 3,
  SCMP_CMP_LE: 2,
  SCMP_CMP_LT: 2,
  SCMP_CMP_GE: 1,
  SCMP_CMP_GT: 1,
};

/** Every operator that can be asked for. */
export const knownOperators = Object.keys(ranks) as LinuxSeccompOperator[];

/**
 * Negative where `a` is tried before `b`. This is the order of libseccomp's filters (db.c), from which runc's and crun's
 * containers get theirs: later arguments first, equalities before ranges, the narrower range before the wider one.
 */
export function compareConditions(a: Condition, b: Condition): number {
  const place = (c: Condition) => c.argument * 2 + (c.highMask === 0 ? 0 : 1);
  const rank = place(b) - place(a) || ranks[b.op] - ranks[a.op];
  if (rank !== 0) return rank;
  const value = b.high - a.high || b.low - a.low;
  return ranks[a.op] === 2 ? -value : value;
}

/** True where the condition holds for the argument, given in halves. */
export function holds(c: Condition, high: number, low: number): boolean {
  const [h, l] = [(high & c.highMask) >>> 0, (low & c.lowMask) >>> 0];
  const order = h - c.high || l - c.low;
  switch (c.op) {
    case 'SCMP_CMP_NE':
      return order !== 0;
    case 'SCMP_CMP_LT':
      return order < 0;
    case 'SCMP_CMP_LE':
      return order <= 0;
    case 'SCMP_CMP_GE':
      return order >= 0;
    case 'SCMP_CMP_GT':
      return order > 0;
    default:
      return order === 0;
  }
}

/** The tests that lead to `yes` where the condition holds, and else to `no`. */
export function testsOf(graph: Graph, c: Condition, yes: Node, no: Node): Node {
  switch (c.op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_MASKED_EQ':
      return equal(graph, c, yes, no);
    case 'SCMP_CMP_NE':
      return equal(graph, c, no, yes);
    case 'SCMP_CMP_GT':
      return above(graph, c, JGT, yes, no);
    case 'SCMP_CMP_GE':
      return above(graph, c, JGE, yes, no);
    case 'SCMP_CMP_LE':
      return above(graph, c, JGT, no, yes);
    case 'SCMP_CMP_LT':
      return above(graph, c, JGE, no, yes);
  }
}

function equal(graph: Graph, c: Condition, yes: Node, no: Node): Node {
  const low = c.lowMask === 0 ? yes : graph.test(lowWord(c.argument), c.lowMask, JEQ, c.low, yes, no);
  return c.highMask === 0 ? low : graph.test(highWord(c.argument), c.highMask, JEQ, c.high, low, no);
}

function above(graph: Graph, c: Condition, op: typeof JGT | typeof JGE, yes: Node, no: Node): Node {
  const low = graph.test(lowWord(c.argument), ALL_BITS, op, c.low, yes, no);
  if (c.highMask === 0) return low;
  const word = highWord(c.argument);
  // Nothing is below 0: what is not above it is equal.
  const atLeast = c.high === 0 ? low : graph.test(word, ALL_BITS, JEQ, c.high, low, no);
  return graph.test(word, ALL_BITS, JGT, c.high, yes, atLeast);
}
