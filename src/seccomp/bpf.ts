// Classic BPF as seccomp(2) takes it: struct sock_filter of linux/filter.h, little endian.

export interface Instruction {
  readonly code: number;
  /** How many instructions to skip where the test holds, and where it does not. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** A = the 32-bit word of struct seccomp_data at offset k. */
export const LD = 0x20;
/** A &= k */
export const AND = 0x54;
/** Skip k instructions. */
export const JA = 0x05;
export const JEQ = 0x15;
export const JGT = 0x25;
export const JGE = 0x35;
/** True where A & k is not 0. */
export const JSET = 0x45;
/** The verdict is k. */
export const RET = 0x06;

/** BPF_MAXINSNS: the kernel takes no longer program. */
export const MOST_INSTRUCTIONS = 4096;
const SIZE = 8;

/** Offsets in struct seccomp_data. */
export const NR = 0;
export const ARCH = 4;
export const lowWord = (argument: number): number => 16 + argument * 8;
export const highWord = (argument: number): number => 20 + argument * 8;

export function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * SIZE);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < program.length; i++) {
    const { code, jt, jf, k } = program[i] as Instruction;
    view.setUint16(i * SIZE, code, true);
    view.setUint8(i * SIZE + 2, jt);
    view.setUint8(i * SIZE + 3, jf);
    view.setUint32(i * SIZE + 4, k, true);
  }
  return bytes;
}

/** True for a program that can be one by its size: whole instructions, some and not too many. */
const isProgramSize = (bytes: number): boolean => bytes > 0 && bytes % SIZE === 0 && bytes <= MOST_INSTRUCTIONS * SIZE;

/** @throws {RangeError} where the bytes are not a whole number of instructions. */
export function decode(bytes: Uint8Array): Instruction[] {
  if (!isProgramSize(bytes.length)) throw new RangeError(`${bytes.length} bytes are no BPF program`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const program: Instruction[] = [];
  for (let at = 0; at < bytes.length; at += SIZE) {
    program.push({
      code: view.getUint16(at, true),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, true),
    });
  }
  return program;
}
