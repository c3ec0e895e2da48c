// Instructions with labels in, the bytes of `struct bpf_insn` out, and back to readable lines for `explain`.
// Only the part of eBPF that a device filter needs (instruction set: kernel Documentation/bpf/standardization).

import { TsrunError } from '../errors.ts';

/** Size of one `struct bpf_insn` in bytes. */
export const INSN_SIZE = 8;

const LDX_MEM_W = 0x61;
const ALU32_AND_K = 0x54;
const ALU32_RSH_K = 0x74;
const ALU32_MOV_K = 0xb4;
const ALU32_MOV_X = 0xbc;
const JMP_JA = 0x05;
const JMP_EXIT = 0x95;

/** Conditional jumps against an immediate. The comparison is 64 bits wide, the immediate is sign-extended. */
const jumps = { '==': 0x15, '!=': 0x55, '&': 0x45 } as const;
export type Comparison = keyof typeof jumps;

/** A place in the program that jumps can name before it is known. */
export type Label = number;

/**
 * A small eBPF assembler: instructions are appended, labels become relative offsets at the end.
 * `w` in a method's name is the 32-bit form, which clears the upper half of the register.
 */
export class EbpfProgram {
  /** Two words an instruction: code, registers and offset in the first, the immediate in the second. */
  private readonly words: number[] = [];
  private readonly places: number[] = [];
  /** Jumps, as pairs: the index of the instruction, and the label that it goes to. */
  private readonly jumps: number[] = [];

  /** A new label, to be placed once with `place`. */
  label(): Label {
    return this.places.push(-1) - 1;
  }

  /** The label stands for the next instruction. */
  place(label: Label): void {
    this.places[label] = this.words.length / 2;
  }

  /** `dst = *(u32 *)(src + off)` */
  loadWord(dst: number, src: number, off: number): void {
    this.push(LDX_MEM_W, dst, src, off, 0);
  }

  /** `dst = imm`, 32 bits */
  wMove(dst: number, imm: number): void {
    this.push(ALU32_MOV_K, dst, 0, 0, imm);
  }

  /** `dst = src`, 32 bits */
  wCopy(dst: number, src: number): void {
    this.push(ALU32_MOV_X, dst, src, 0, 0);
  }

  /** `dst &= imm`, 32 bits */
  wAnd(dst: number, imm: number): void {
    this.push(ALU32_AND_K, dst, 0, 0, imm);
  }

  /** `dst >>= imm`, 32 bits, unsigned */
  wShiftRight(dst: number, imm: number): void {
    this.push(ALU32_RSH_K, dst, 0, 0, imm);
  }

  jump(target: Label): void {
    this.push(JMP_JA, 0, 0, 0, 0, target);
  }

  /** Jumps if `reg == imm`, `reg != imm` or `(reg & imm) != 0`. */
  jumpIf(reg: number, comparison: Comparison, imm: number, target: Label): void {
    this.push(jumps[comparison], reg, 0, 0, imm, target);
  }

  exit(): void {
    this.push(JMP_EXIT, 0, 0, 0, 0);
  }

  /**
   * The program as the kernel takes it (little endian, as on every architecture that tsrun supports).
   * @throws {TsrunError} if a jump is longer than the 16 bits that an instruction has for it.
   */
  assemble(): Uint8Array {
    const words = new Uint32Array(this.words);
    for (let i = 0; i < this.jumps.length; i += 2) {
      const from = this.jumps[i] as number;
      words[from * 2] = (words[from * 2] as number) | (this.offset(this.jumps[i + 1] as Label, from) << 16);
    }
    return new Uint8Array(words.buffer);
  }

  private offset(target: Label, from: number): number {
    const place = this.places[target] ?? -1;
    if (place < 0) throw new TsrunError(`internal error: eBPF label ${target} was never placed`);
    const off = place - from - 1;
    if (off > 0x7fff) throw new TsrunError('an eBPF program has a jump of more than 32767 instructions');
    return off;
  }

  private push(code: number, dst: number, src: number, off: number, imm: number, target?: Label): void {
    if (target !== undefined) this.jumps.push(this.words.length / 2, target);
    this.words.push(code | (dst << 8) | (src << 12) | (off << 16), imm);
  }
}

/**
 * One line an instruction, in the notation of the kernel's verifier log, with the index in front and jumps to
 * absolute indexes: `7: if r4 != 1 goto 14`. `r` registers are 64 bits wide, `w` their lower halves.
 * Opcodes that tsrun never makes are printed as hexadecimal fields. An incomplete last instruction is left out.
 */
export function printEbpf(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: string[] = [];
  for (let at = 0; at + INSN_SIZE <= bytes.byteLength; at += INSN_SIZE) {
    const index = at / INSN_SIZE;
    lines.push(`${index}: ${printInsn(view, at, index)}`);
  }
  return lines;
}

function printInsn(view: DataView, at: number, index: number): string {
  const code = view.getUint8(at);
  const dst = view.getUint8(at + 1) & 15;
  const src = view.getUint8(at + 1) >> 4;
  const off = view.getInt16(at + 2, true);
  const imm = view.getInt32(at + 4, true);
  const target = `goto ${index + 1 + off}`;
  switch (code) {
    case LDX_MEM_W:
      return `r${dst} = *(u32 *)(r${src} + ${off})`;
    case ALU32_AND_K:
      return `w${dst} &= 0x${(imm >>> 0).toString(16)}`;
    case ALU32_RSH_K:
      return `w${dst} >>= ${imm}`;
    case ALU32_MOV_K:
      return `w${dst} = ${imm}`;
    case ALU32_MOV_X:
      return `w${dst} = w${src}`;
    case JMP_JA:
      return target;
    case jumps['==']:
      return `if r${dst} == ${imm} ${target}`;
    case jumps['!=']:
      return `if r${dst} != ${imm} ${target}`;
    case jumps['&']:
      return `if r${dst} & 0x${(imm >>> 0).toString(16)} ${target}`;
    case JMP_EXIT:
      return 'exit';
    default:
      return `code 0x${code.toString(16)} dst ${dst} src ${src} off ${off} imm ${imm}`;
  }
}
