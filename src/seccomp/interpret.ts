// Runs a program as the kernel does (Documentation/userspace-api/seccomp_filter.rst), to say what a call would get.

import { AND, ARCH, decode, highWord, type Instruction, JA, JEQ, JGE, JGT, JSET, LD, lowWord, NR, RET } from './bpf.ts';

/** struct seccomp_data, but for the instruction pointer. */
export interface Call {
  /** AUDIT_ARCH_* */
  readonly audit: number;
  readonly number: number;
  /** Six arguments of 64 bits, each as its upper and its lower half. */
  readonly args: readonly (readonly [high: number, low: number])[];
}

export interface Run {
  readonly verdict: number;
  /** Instructions executed. */
  readonly steps: number;
}

/** @throws {RangeError} for a program that the kernel would not take. */
export function interpret(program: readonly Instruction[] | Uint8Array, call: Call): Run {
  const instructions = program instanceof Uint8Array ? decode(program) : program;
  let accumulator = 0;
  for (let at = 0, steps = 1; ; at++, steps++) {
    const instruction = instructions[at];
    if (instruction === undefined)
      throw new RangeError(`the program leads to instruction ${at}, which it does not have`);
    const { code, jt, jf, k } = instruction;
    switch (code) {
      case LD:
        accumulator = wordAt(call, k);
        break;
      case AND:
        accumulator = (accumulator & k) >>> 0;
        break;
      case JA:
        at += k;
        break;
      case JEQ:
        at += accumulator === k ? jt : jf;
        break;
      case JGT:
        at += accumulator > k ? jt : jf;
        break;
      case JGE:
        at += accumulator >= k ? jt : jf;
        break;
      case JSET:
        at += (accumulator & k) !== 0 ? jt : jf;
        break;
      case RET:
        return { verdict: k, steps };
      default:
        throw new RangeError(`instruction ${at} has the code 0x${code.toString(16)}, which no filter uses`);
    }
  }
}

function wordAt({ audit, number, args }: Call, offset: number): number {
  if (offset === NR) return number;
  if (offset === ARCH) return audit;
  for (let i = 0; i < 6; i++) {
    const [high = 0, low = 0] = args[i] ?? [];
    if (offset === lowWord(i)) return low;
    if (offset === highWord(i)) return high;
  }
  throw new RangeError(`a filter cannot load the word at ${offset}`);
}
