import { openBundle } from '../bundle/bundle.ts';
import { TsrunError, usageError } from '../errors.ts';
import { sys } from '../linux/sys.ts';
import { wordVerdict } from '../seccomp/actions.ts';
import {
  type Architecture,
  architecturesFor,
  architectureNamed,
  nativeOf,
  syscallNumbers,
} from '../seccomp/architectures.ts';
import { compileFilter } from '../seccomp/compile.ts';
import { halves } from '../seccomp/conditions.ts';
import { type Call, interpret } from '../seccomp/interpret.ts';
import { judge } from '../seccomp/judge.ts';
import { printProgram } from '../seccomp/print.ts';
import { type Filter, resolveRules } from '../seccomp/rules.ts';
import type { InvocationOf } from './args.ts';

export function seccomp({ flags, args }: InvocationOf<'seccomp'>): number {
  const [, , machine = ''] = sys.kernel();
  const host = architecturesFor(nativeOf(machine), [])[0] as Architecture;
  const named = flags.arch === undefined ? { arch: host, native: nativeOf(machine) } : architectureNamed(flags.arch);
  if (named === undefined)
    throw usageError(`--arch ${flags.arch}: expected x86_64, x86, x32, aarch64 or arm`, 'seccomp');
  if (args.argument.length > 0 && flags.call === undefined)
    throw usageError(`${args.argument[0]}: arguments are those of a system call: give its name with --call`, 'seccomp');
  const { spec } = openBundle(args.bundle, 'config.json', true);
  const profile = spec.linux.seccomp;
  if (profile === undefined) throw new TsrunError('config.json has no /linux/seccomp');
  const filter = resolveRules(profile, { native: named.native, refuseUnknown: flags.strict });
  const program = compileFilter(filter);
  const text =
    flags.call === undefined
      ? programText(program, filter, flags.json)
      : callText(program, filter, callOf(flags.call, args.argument, named.arch), flags.json);
  sys.writeText(1, text);
  return 0;
}

function programText(program: Uint8Array, filter: Filter, json: boolean): string {
  const lines = printProgram(program, (word, k) => nameOf(filter, word, k));
  return json ? `${JSON.stringify(lines, null, 2)}\n` : `${lines.join('\n')}\n`;
}

function nameOf({ architectures }: Filter, word: 'arch' | 'nr', k: number): string {
  const names = new Set<string>();
  for (const { arch } of architectures) {
    if (word === 'arch' && arch.audit === k) names.add(arch.table);
    if (word === 'nr') for (const [name, number] of syscallNumbers(arch)) if (number === k) names.add(name);
  }
  return [...names].join(', ');
}

function callOf(name: string, words: readonly string[], arch: Architecture): Call {
  const number = /^\d+$/.test(name) ? Number(name) : syscallNumbers(arch).get(name);
  if (number === undefined) throw new TsrunError(`--call ${name}: ${arch.table} has no such system call`);
  if (words.length > 6) throw usageError(`a system call has six arguments, not ${words.length}`, 'seccomp');
  const args = Array.from({ length: 6 }, (_, index) => halves(argument(words[index] ?? '0')));
  return { audit: arch.audit, number, args };
}

function argument(word: string): bigint {
  if (!/^-?(\d+|0x[\da-f]+)$/i.test(word)) throw usageError(`${word}: expected a number`, 'seccomp');
  const value = word.startsWith('-') ? -BigInt(word.slice(1)) : BigInt(word);
  // QuickJS 2025-04-26 gives negative numbers back unchanged from BigInt.asUintN.
  return value & 0xffff_ffff_ffff_ffffn;
}

function callText(program: Uint8Array, filter: Filter, call: Call, json: boolean): string {
  const { verdict, steps } = interpret(program, call);
  const { from, why } = judge(filter, call);
  const shown = { verdict: wordVerdict(verdict), from, why, instructions: steps };
  return json ? `${JSON.stringify(shown, null, 2)}\n` : `${shown.verdict}\n${from}: ${why}\n${steps} instructions\n`;
}
