// Ranges of system call numbers -> a tree of comparisons that is as flat as their weights allow.

import { JEQ, JGE, NR } from './bpf.ts';
import { ALL_BITS, type Graph, type Node } from './graph.ts';

/** From `first` up to where the next one begins. */
export interface Range {
  readonly first: number;
  readonly outcome: Node;
  /** How often its calls are made, relative to others. */
  readonly weight: number;
}

/** Neighbours of the same outcome as one. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last === undefined || last.outcome !== range.outcome) merged.push(range);
    else merged[merged.length - 1] = { ...last, weight: last.weight + range.weight };
  }
  return merged;
}

/** @param ranges In order and merged; the first begins at 0. */
export function searchTree(graph: Graph, ranges: readonly Range[]): Node {
  const sums = [0];
  for (const { weight } of ranges) sums.push((sums.at(-1) ?? 0) + weight);
  const at = (index: number) => ranges[index] as Range;
  const build = (from: number, to: number): Node => {
    const first = at(from);
    if (to - from === 1) return first.outcome;
    // One number that differs from its surroundings takes one comparison, not two.
    const middle = ranges[from + 1];
    const after = ranges[from + 2];
    if (to - from === 3 && middle !== undefined && after !== undefined && first.outcome === after.outcome) {
      if (after.first - middle.first === 1)
        return graph.test(NR, ALL_BITS, JEQ, middle.first, middle.outcome, first.outcome);
    }
    const split = splitOf(sums, from, to);
    return graph.test(NR, ALL_BITS, JGE, at(split).first, build(split, to), build(from, split));
  };
  return build(0, ranges.length);
}

/** Where the weights on both sides come closest to each other. */
function splitOf(sums: readonly number[], from: number, to: number): number {
  const sum = (index: number) => sums[index] as number;
  const half = (sum(from) + sum(to)) / 2;
  let low = from + 1;
  let high = to - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sum(middle) < half) low = middle + 1;
    else high = middle;
  }
  return low > from + 1 && half - sum(low - 1) < sum(low) - half ? low - 1 : low;
}
