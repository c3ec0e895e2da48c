// The architectures whose system calls a filter can tell apart, and the numbers of their calls.

import { TsrunError } from '../errors.ts';
import { ipcCalls, socketCalls, syscallTables } from '../linux/syscalls.ts';
import type { Arch } from '../spec/types.ts';

export interface Architecture {
  readonly name: Arch;
  /** AUDIT_ARCH_* of linux/audit.h: what the kernel shows a filter. x32 has that of x86_64, and a bit of its own. */
  readonly audit: number;
  /** Arguments have 32 bits, and of what a rule compares only the lower half is looked at. */
  readonly narrow: boolean;
  readonly table: keyof typeof syscallTables;
}

const AUDIT_X86_64 = 0xc000003e;
/** Set in the number of every call of the x32 ABI. */
export const X32_BIT = 0x40000000;

const x86_64: Architecture = { name: 'SCMP_ARCH_X86_64', audit: AUDIT_X86_64, narrow: false, table: 'x86_64' };
const x86: Architecture = { name: 'SCMP_ARCH_X86', audit: 0x40000003, narrow: true, table: 'x86' };
const x32: Architecture = { name: 'SCMP_ARCH_X32', audit: AUDIT_X86_64, narrow: true, table: 'x32' };
const aarch64: Architecture = { name: 'SCMP_ARCH_AARCH64', audit: 0xc00000b7, narrow: false, table: 'aarch64' };
const arm: Architecture = { name: 'SCMP_ARCH_ARM', audit: 0x40000028, narrow: true, table: 'arm' };

export type Native = 'x86_64' | 'aarch64';

/** What a kernel runs beside its own: the only architectures whose calls its filters ever see. */
const families: Readonly<Record<Native, readonly Architecture[]>> = {
  x86_64: [x86_64, x86, x32],
  aarch64: [aarch64, arm],
};

/**
 * The architectures that a filter tells apart: the native one always, of the others those that the profile names. A name
 * of another family is no error and has no effect: its calls cannot happen.
 */
export function architecturesFor(native: Native, named: readonly Arch[]): readonly Architecture[] {
  return families[native].filter((arch, index) => index === 0 || named.includes(arch.name));
}

/** All that can be named and told apart here, for a list of them. */
export const knownArchitectures: readonly Arch[] = Object.values(families)
  .flat()
  .map(({ name }) => name);

/** By the name of its table, or by the specification's; undefined where there is none. */
export function architectureNamed(name: string): { arch: Architecture; native: Native } | undefined {
  for (const native of ['x86_64', 'aarch64'] as const) {
    for (const arch of families[native]) if (arch.table === name || arch.name === name) return { arch, native };
  }
  return undefined;
}

/** @param machine As uname(2) says; a personality may show the 32-bit name on a 64-bit kernel. */
export function nativeOf(machine: string): Native {
  if (machine === 'x86_64' || /^i[3-6]86$/.test(machine)) return 'x86_64';
  if (machine === 'aarch64' || machine.startsWith('armv')) return 'aarch64';
  throw new TsrunError(`linux.seccomp: filters are compiled for x86_64 and aarch64, not for ${machine}`);
}

const tables = new Map<string, ReadonlyMap<string, number>>();

/** Numbers by name, in the order of the numbers. */
export function syscallNumbers(arch: Architecture): ReadonlyMap<string, number> {
  return tableOf(arch.table, syscallTables[arch.table]);
}

export interface Multiplexed {
  /** The number of the call that stands before it. */
  readonly number: number;
  /** The first argument of that call. */
  readonly selector: number;
}

const SOCKETCALL = 102;
const IPC = 117;

/** Where on x86 a call stands behind another one: a program may come that way, so rules hold there too. */
export function multiplexed(arch: Architecture, name: string): Multiplexed | undefined {
  if (arch !== x86) return undefined;
  const socket = tableOf('socketcall', socketCalls).get(name);
  if (socket !== undefined) return { number: SOCKETCALL, selector: socket };
  const ipc = tableOf('ipc', ipcCalls).get(name);
  return ipc === undefined ? undefined : { number: IPC, selector: ipc };
}

function tableOf(key: string, text: string): ReadonlyMap<string, number> {
  const known = tables.get(key);
  if (known !== undefined) return known;
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of text.split(' ')) {
    const first = word.charCodeAt(0);
    if (first >= 0x30 && first <= 0x39) next = Number(word);
    else numbers.set(word, next++);
  }
  tables.set(key, numbers);
  return numbers;
}
