// What is wrong with a command line, in words. Facts of args.ts in, errors out; apart from it so that errors.ts, which
// everything loads, need not know the command line's tables.
// The phrases before the colon are those of Go's flag package: engines look for some of them (podman runs
// `restore --lsm-mount-context` and expects "flag needs an argument" to learn whether the flag exists).

import type { UsageError } from '../errors.ts';
import { TsrunError, usageError } from '../errors.ts';
import type { Argument, Command, Flag } from './commands.ts';
import { commands, globalFlags } from './commands.ts';

type Verb = string | undefined;

/** How many arguments a message repeats. */
const SHOWN = 4;

/** Neither a flag, an argument nor the end of flags: `---x`, `-=x`. */
export function badSyntax(word: string, verb: Verb): UsageError {
  return usageError(`bad flag syntax: ${plain(word)}`, verb);
}

/** `written` is the flag as it stands on the command line, `name` the same without dashes. */
export function unknownFlag(written: string, name: string, table: readonly Flag[], verb: Verb): UsageError {
  return usageError(`flag provided but not defined: ${plain(written)}${unknownFlagHint(name, table, verb)}`, verb);
}

/** The last word is a flag whose value should follow. */
export function missingValue(flag: Flag, verb: Verb): UsageError {
  return usageError(`flag needs an argument: --${flag.name} ${flag.value ?? 'VALUE'}`, verb);
}

/** A bool with anything but a bool behind its equals sign. */
export function badBool(name: string, text: string, verb: Verb): UsageError {
  return usageError(`invalid boolean value ${quote(text)} for --${name}: expected true or false`, verb);
}

/** `expected` is a phrase that follows "expected". */
export function badValue(flag: Flag, text: string, expected: string, verb: Verb): UsageError {
  return usageError(`invalid value ${quote(text)} for --${flag.name}: expected ${expected}`, verb);
}

/** A word that is none of those that the argument may be. */
export function badArgument({ name, values = [] }: Argument, text: string, verb: string): UsageError {
  return usageError(`unknown ${name} ${quote(text)}: expected ${oneOf(values)}`, verb);
}

/** Too few or too many arguments. */
export function wrongCount(verb: string, table: readonly Argument[], positionals: readonly string[]): UsageError {
  const shown = positionals.slice(0, SHOWN).map(quote).join(' ');
  const more = positionals.length > SHOWN ? ' …' : '';
  const got = positionals.length === 0 ? 'none' : `${positionals.length}: ${shown}${more}`;
  if (table.length === 0) {
    return usageError(`takes no arguments, got ${got}`, verb);
  }
  const least = table.filter((argument) => !argument.optional && !argument.rest).length;
  const most = table.some((argument) => argument.rest) ? Number.POSITIVE_INFINITY : table.length;
  const limit = least === most ? 'exactly' : positionals.length < least ? 'at least' : 'at most';
  const count = positionals.length < least ? least : most;
  const noun = count === 1 ? 'argument' : 'arguments';
  return usageError(`requires ${limit} ${count} ${noun} (${argumentsText(table)}), got ${got}`, verb);
}

/** runc exits with 3 here and prints no help. */
export function unknownCommand(verb: string): TsrunError {
  const all: Record<string, Command> = commands;
  const near = nearest(
    verb,
    Object.keys(all).filter((name) => !all[name]?.hidden),
  );
  const hint = near === undefined ? '`tsrun help` lists the commands' : `did you mean "${near}"?`;
  return new TsrunError(`unknown command ${quote(verb)}; ${hint}`, 3);
}

/** "a, b or c" */
export function oneOf(values: readonly string[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

/** Arguments as usage lines write them: `<needed> [optional] [rest...]`. */
export function argumentsText(table: readonly Argument[]): string {
  const text = ({ name, optional, rest, values }: Argument) =>
    rest ? `[${name}...]` : optional ? `[${name}]` : `<${values?.join('|') ?? name}>`;
  return table.map(text).join(' ');
}

/** The candidate that a typing error most likely stands for, if one is near enough. */
function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  // One slip in three letters and one more, and never so many that any word would do.
  let limit = Math.min(3, Math.floor(word.length / 3) + 1);
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate, limit);
    if (distance <= limit) {
      best = candidate;
      limit = distance - 1;
    }
  }
  return best;
}

function unknownFlagHint(name: string, table: readonly Flag[], verb: Verb): string {
  const has = (flags: readonly Flag[]) => flags.some((flag) => flag.name === name || flag.short === name);
  if (verb !== undefined && has(globalFlags)) {
    return `; it is a global flag and stands before "${verb}"`;
  }
  if (verb === undefined && Object.values<Command>(commands).some((command) => has(command.flags))) {
    return '; it stands after the command';
  }
  if (verb !== undefined && /^\d+$/.test(name)) {
    return '; as an argument it cannot stand first';
  }
  if (name.length > 1 && [...name].every((letter) => table.some((flag) => flag.short === letter))) {
    return `; short flags cannot be joined: write ${[...name].map((letter) => `-${letter}`).join(' ')}`;
  }
  const near = nearest(
    name,
    table.filter((flag) => !flag.hidden).map((flag) => flag.name),
  );
  return near === undefined ? '' : `; did you mean --${near}?`;
}

/** Optimal string alignment, so that two swapped letters are one slip; `limit + 1` for anything beyond the limit. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) {
    return limit + 1;
  }
  let older: number[] = [];
  let old = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let distance = Math.min((old[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (old[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, (older[j - 2] ?? 0) + 1);
      }
      row.push(distance);
    }
    older = old;
    old = row;
  }
  return old[b.length] ?? 0;
}

/** Unquoted where that cannot be misread. */
function plain(word: string): string {
  return /^[\x21-\x7e]{1,60}$/.test(word) ? word : quote(word);
}

/** As a JSON string, of printable characters only: a message must not carry control codes to a terminal. */
function quote(word: string): string {
  const shortened = word.length > 60 ? `${word.slice(0, 60)}…` : word;
  return JSON.stringify(shortened).replace(
    /[\x7f-\x9f\u2028\u2029]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
