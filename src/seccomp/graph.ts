// A decision graph: tests of 32-bit words of struct seccomp_data that end in verdicts. Equal parts exist once.

import { JEQ, JGE, JGT } from './bpf.ts';

export interface Leaf {
  readonly id: number;
  readonly verdict: number;
}

export interface Test {
  readonly id: number;
  /** Offset of the word, and the bits of it that are looked at. */
  readonly word: number;
  readonly mask: number;
  readonly op: typeof JEQ | typeof JGT | typeof JGE;
  readonly k: number;
  readonly yes: Node;
  readonly no: Node;
}

export type Node = Leaf | Test;

export const ALL_BITS = 0xffffffff;

export const isLeaf = (node: Node): node is Leaf => 'verdict' in node;

export class Graph {
  private readonly known = new Map<string, Node>();

  leaf(verdict: number): Node {
    return this.keep(`${verdict}`, (id) => ({ id, verdict }));
  }

  /** A test of which both ends are the same is none. */
  test(word: number, mask: number, op: Test['op'], k: number, yes: Node, no: Node): Node {
    if (yes === no) return yes;
    return this.keep(`${word} ${mask} ${op} ${k} ${yes.id} ${no.id}`, (id) => ({ id, word, mask, op, k, yes, no }));
  }

  private keep(key: string, make: (id: number) => Node): Node {
    let node = this.known.get(key);
    if (node === undefined) {
      node = make(this.known.size);
      this.known.set(key, node);
    }
    return node;
  }
}

interface Fact {
  readonly test: Test;
  readonly held: boolean;
}

/** Beyond this many steps a graph stays as it is: it is right in any case, and a profile must not make this endless. */
const MOST_STEPS = 500;

/** The same decisions without the tests whose outcome an earlier one on the way settles. */
export function withoutSettled(graph: Graph, start: Node): Node {
  let steps = 0;
  const walk = (from: Node, facts: readonly Fact[]): Node => {
    let node = from;
    while (!isLeaf(node)) {
      const settled = outcome(node, facts);
      if (settled === undefined) break;
      node = settled ? node.yes : node.no;
    }
    if (isLeaf(node) || steps++ > MOST_STEPS) return node;
    const { word, mask, op, k } = node;
    const yes = walk(node.yes, [...facts, { test: node, held: true }]);
    const no = walk(node.no, [...facts, { test: node, held: false }]);
    return graph.test(word, mask, op, k, yes, no);
  };
  const result = walk(start, []);
  return steps > MOST_STEPS ? start : result;
}

/** What `test` will say after what is known; undefined where that is open. */
function outcome(test: Test, facts: readonly Fact[]): boolean | undefined {
  for (const { test: before, held } of facts) {
    if (before.word !== test.word) continue;
    if (before.mask === test.mask && before.op === test.op && before.k === test.k) return held;
    // An equality that held says what the word is.
    if (before.op === JEQ && held && (before.mask & test.mask) >>> 0 === test.mask)
      return says(test.op, (before.k & test.mask) >>> 0, test.k);
  }
  return undefined;
}

function says(op: Test['op'], value: number, k: number): boolean {
  if (op === JEQ) return value === k;
  return op === JGT ? value > k : value >= k;
}
