// A decision graph -> instructions. All jumps lead forward, so the program is written from its end: what a jump leads to
// has its place by then. A conditional jump reaches 255 instructions: behind it stands, for a target that is farther, a
// copy of it where that is a verdict, and else a long jump.

import { AND, type Instruction, JA, LD, RET } from './bpf.ts';
import { ALL_BITS, isLeaf, type Node, type Test } from './graph.ts';

const FARTHEST = 255;

/** Where a test can be entered; each entry is the index of an instruction, counted from the end of the program. */
interface Entries {
  /** With anything in the accumulator. */
  load: number;
  /** With the whole word. */
  mask: number;
  /** With just the bits that are tested. */
  test: number;
}

export function assemble(start: Node): Instruction[] {
  const order: Test[] = [];
  const loads = new Set<Test>();
  collect(start, order, loads);
  if (!isLeaf(start)) loads.add(start);

  const reversed: Instruction[] = [];
  const entries = new Map<Test, Entries>();
  const leaves = new Map<number, number>();
  const push = (code: number, k: number, jt = 0, jf = 0): number => reversed.push({ code, jt, jf, k }) - 1;
  const putLeaf = (verdict: number): number => {
    const index = push(RET, verdict);
    leaves.set(verdict, index);
    return index;
  };
  const place = (from: Test, to: Node): number => {
    if (isLeaf(to)) return leaves.get(to.verdict) ?? putLeaf(to.verdict);
    const known = entries.get(to) as Entries;
    return known[entryOf(from, to)];
  };
  const nearer = (to: Node, index: number): number =>
    isLeaf(to) ? putLeaf(to.verdict) : push(JA, reversed.length - index - 1);

  for (const node of order) {
    let yes = place(node, node.yes);
    let no = place(node, node.no);
    // The first may have come to be out of reach by what was put between for the second.
    for (;;) {
      if (reversed.length - yes - 1 > FARTHEST) yes = nearer(node.yes, yes);
      else if (reversed.length - no - 1 > FARTHEST) no = nearer(node.no, no);
      else break;
    }
    const here = reversed.length;
    const test = push(node.op, node.k, here - yes - 1, here - no - 1);
    const mask = node.mask === ALL_BITS ? test : push(AND, node.mask);
    const load = loads.has(node) ? push(LD, node.word) : mask;
    entries.set(node, { load, mask, test });
  }
  if (isLeaf(start)) push(RET, start.verdict);
  return reversed.reverse();
}

/** What the accumulator holds after `from` decides how much of `to` has to be done. */
function entryOf(from: Test, to: Test): keyof Entries {
  if (from.word !== to.word) return 'load';
  if (from.mask === to.mask) return 'test';
  return from.mask === ALL_BITS ? 'mask' : 'load';
}

/**
 * Tests behind all that lead to them, the larger part of each first: the nearer a part is, the shorter the jumps. Without
 * recursion, for which a chain of some thousand tests is too long.
 */
function collect(start: Node, order: Test[], loads: Set<Test>): void {
  const sizes = sizesOf(start);
  const size = (node: Node) => sizes.get(node) ?? 0;
  const done = new Set<Node>();
  const waiting: { readonly node: Test; readonly parts: Node[] }[] = [];
  const enter = (node: Node): void => {
    if (isLeaf(node) || done.has(node)) return;
    done.add(node);
    for (const next of [node.yes, node.no]) if (!isLeaf(next) && entryOf(node, next) === 'load') loads.add(next);
    waiting.push({ node, parts: size(node.yes) > size(node.no) ? [node.no, node.yes] : [node.yes, node.no] });
  };
  enter(start);
  for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
    const part = top.parts.pop();
    if (part !== undefined) enter(part);
    else order.push((waiting.pop() as typeof top).node);
  }
}

/** Tests that can follow on each. What a node leads to was made before it, so ids give the order. */
function sizesOf(start: Node): Map<Node, number> {
  const found = new Set<Test>();
  const waiting: Node[] = [start];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (isLeaf(node) || found.has(node)) continue;
    found.add(node);
    waiting.push(node.yes, node.no);
  }
  const sizes = new Map<Node, number>();
  const size = (node: Node) => sizes.get(node) ?? 0;
  for (const node of [...found].sort((a, b) => a.id - b.id)) sizes.set(node, 1 + size(node.yes) + size(node.no));
  return sizes;
}
