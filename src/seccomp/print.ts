// A program as readable assembly, a line an instruction.

import { wordVerdict } from './actions.ts';
import { AND, ARCH, decode, highWord, JA, JEQ, JGE, JGT, JSET, LD, lowWord, NR, RET } from './bpf.ts';

const operators: Readonly<Record<number, string>> = { [JEQ]: '==', [JGT]: '>', [JGE]: '>=', [JSET]: '&' };

/** @param nameOf What a number means in a comparison of the word that was loaded last; '' where nothing is known. */
export function printProgram(program: Uint8Array, nameOf: (word: 'arch' | 'nr', k: number) => string): string[] {
  const instructions = decode(program);
  const width = String(instructions.length - 1).length;
  let loaded = '';
  return instructions.map(({ code, jt, jf, k }, at) => {
    const target = (skip: number) => String(at + 1 + skip);
    const number = String(at).padStart(width);
    if (code === LD) {
      loaded = wordName(k);
      return `${number}  load ${loaded}`;
    }
    if (code === AND) return `${number}  and ${hex(k)}`;
    if (code === JA) return `${number}  goto ${target(k)}`;
    if (code === RET) return `${number}  return ${wordVerdict(k)}`;
    const name = loaded === 'arch' || loaded === 'nr' ? nameOf(loaded, k) : '';
    const value = loaded === 'nr' ? String(k) : hex(k);
    return `${number}  if ${operators[code] ?? `?${code}`} ${value} goto ${target(jt)} else ${target(jf)}${name === '' ? '' : `  ; ${name}`}`;
  });
}

function wordName(offset: number): string {
  if (offset === NR) return 'nr';
  if (offset === ARCH) return 'arch';
  for (let i = 0; i < 6; i++) {
    if (offset === lowWord(i)) return `args[${i}] low`;
    if (offset === highWord(i)) return `args[${i}] high`;
  }
  return `[${offset}]`;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
