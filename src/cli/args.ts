// Words of the command line in, a typed Invocation or one TsrunError out. Pure: reads no file, environment or terminal.
// The grammar is that of Go's flag package as urfave/cli extends it: the one that every engine's calls work with.

import type { Argument, Command, CommandName, Commands, Flag } from './commands.ts';
import { commands, findCommand, globalFlags } from './commands.ts';
import * as usage from './usage.ts';

type Camel<S extends string> = S extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;

type WithDefault<T, Value> = T extends { default: string | number } ? Value : Value | undefined;

type FlagValue<F extends Flag> = F extends { kind: 'bool' }
  ? boolean
  : F extends { kind: 'strings' }
    ? readonly string[]
    : F extends { kind: 'int' }
      ? WithDefault<F, number>
      : WithDefault<F, F extends { values: readonly (infer Value)[] } ? Value : string>;

type ArgumentValue<A extends Argument> = A extends { rest: true }
  ? readonly string[]
  : A extends { optional: true }
    ? WithDefault<A, string>
    : A extends { values: readonly (infer Value)[] }
      ? Value
      : string;

type FlagValues<Flags extends readonly Flag[]> = { readonly [F in Flags[number] as Camel<F['name']>]: FlagValue<F> };

type ArgumentValues<Arguments extends readonly Argument[]> = {
  readonly [A in Arguments[number] as Camel<A['name']>]: ArgumentValue<A>;
};

/** The global flags, with defaults filled in. */
export type Globals = FlagValues<typeof globalFlags>;

/** One parsed command line of the verb `Name`. Every flag and argument of the verb's table is there, in camel case. */
export interface InvocationOf<Name extends CommandName> {
  readonly globals: Globals;
  readonly command: Name;
  readonly flags: FlagValues<Commands[Name]['flags']>;
  readonly args: ArgumentValues<Commands[Name]['arguments']>;
}

/** One parsed command line; `command` tells which. */
export type Invocation = { [Name in CommandName]: InvocationOf<Name> }[CommandName];

/** A command line of which only the global flags have been read. */
export interface Head {
  readonly globals: Globals;
  /** The verb and what follows it. */
  readonly rest: readonly string[];
}

/** A verb's words, read by its table. */
export interface Words {
  readonly help: boolean;
  readonly flags: Record<string, unknown>;
  readonly args: Record<string, unknown>;
}

/** Reads a command line without the program's name. Throws a `TsrunError`, a `UsageError` but for an unknown verb. */
export function parseArgs(argv: readonly string[]): Invocation {
  return parseVerb(parseGlobals(argv));
}

/** The first half of `parseArgs`, for callers who open --log first: an error in the second half belongs into it. */
export function parseGlobals(argv: readonly string[]): Head {
  const { flags, positionals } = scan(undefined, globalFlags, true, argv);
  return { globals: flags as unknown as Globals, rest: positionals };
}

/** The second half of `parseArgs`. */
export function parseVerb({ globals, rest: [verb, ...words] }: Head): Invocation {
  if (globals.help) {
    return helpOn(undefined, globals);
  }
  if (globals.version) {
    return { globals, command: 'version', flags: {}, args: {} };
  }
  if (verb === undefined) {
    return helpOn(undefined, globals);
  }
  const command = known(verb);
  const { help, flags, args } = parseWords(command, commands[command], words);
  if (help) {
    return helpOn(command, globals);
  }
  const invocation = { globals, command, flags, args } as unknown as Invocation;
  return invocation.command === 'help' && invocation.args.command !== undefined
    ? helpOn(known(invocation.args.command), globals)
    : invocation;
}

/** Reads the words that follow the verb `name`, by any table: tests bring their own. */
export function parseWords(name: string, command: Command, words: readonly string[]): Words {
  const { help, flags, positionals } = scan(name, command.flags, command.stopsAtArgument === true, words);
  return { help, flags, args: help ? {} : assign(name, command.arguments, positionals) };
}

interface Scan {
  readonly help: boolean;
  readonly flags: Record<string, unknown>;
  readonly positionals: readonly string[];
}

function scan(verb: string | undefined, table: readonly Flag[], stops: boolean, words: readonly string[]): Scan {
  const flags: Record<string, unknown> = {};
  for (const flag of table) {
    flags[camel(flag.name)] = notGiven(flag);
  }
  let positionals: string[] = [];
  let at = 0;
  for (let word = words[at]; word !== undefined; word = words[++at]) {
    if (word === '--') {
      positionals = [...positionals, ...words.slice(at + 1)];
      break;
    }
    if (isPositional(word, positionals.length)) {
      if (stops) {
        positionals = [...positionals, ...words.slice(at)];
        break;
      }
      positionals.push(word);
      continue;
    }
    const { written, name, attached } = splitFlag(word, verb);
    const flag = findFlag(table, name);
    if (flag === undefined) {
      // Every verb has this one; whoever asks for help wants no opinion on the words after it.
      if (name !== 'help' && name !== 'h') {
        throw usage.unknownFlag(written, name, table, verb);
      }
      if (attached === undefined || bool('help', attached, verb)) {
        return { help: true, flags, positionals };
      }
    } else if (flag.kind === 'bool') {
      flags[camel(flag.name)] = attached === undefined || bool(flag.name, attached, verb);
    } else {
      // The next word is the value even if it looks like a flag, as in Go.
      const text = attached ?? words[++at];
      if (text === undefined) {
        throw usage.missingValue(flag, verb);
      }
      const key = camel(flag.name);
      flags[key] = value(flag, text, flags[key], verb);
    }
  }
  return { help: false, flags, positionals };
}

interface Split {
  /** With its dashes. */
  readonly written: string;
  readonly name: string;
  /** What stands behind an equals sign. */
  readonly attached: string | undefined;
}

function splitFlag(word: string, verb: string | undefined): Split {
  const dashes = word.startsWith('--') ? 2 : 1;
  const equals = word.indexOf('=', dashes);
  const written = equals < 0 ? word : word.slice(0, equals);
  const name = written.slice(dashes);
  if (name === '' || name.startsWith('-')) {
    throw usage.badSyntax(word, verb);
  }
  return { written, name, attached: equals < 0 ? undefined : word.slice(equals + 1) };
}

function notGiven(flag: Flag): unknown {
  if (flag.kind === 'bool') {
    return false;
  }
  return flag.kind === 'strings' ? [] : flag.default;
}

/** A lone dash is a name, as in Go. A negative number is no flag: `kill ID -9` reaches the verb, as in runc. */
function isPositional(word: string, before: number): boolean {
  return !word.startsWith('-') || word === '-' || (before > 0 && /^-\d+$/.test(word));
}

function findFlag(table: readonly Flag[], name: string): Flag | undefined {
  for (const flag of table) {
    if (flag.name === name || flag.short === name || flag.aliases?.includes(name)) {
      return flag;
    }
  }
  return undefined;
}

function value(flag: Flag, text: string, before: unknown, verb: string | undefined): unknown {
  if (flag.kind === 'strings') {
    return [...(before as readonly string[]), text];
  }
  if (flag.kind === 'int') {
    return int(flag, text, verb);
  }
  if (flag.values !== undefined) {
    if (!flag.values.includes(text)) {
      throw usage.badValue(flag, text, usage.oneOf(flag.values), verb);
    }
    return text;
  }
  // runc takes an empty value for one that is not there, and scripts write `-b "$DIR"`.
  return text === '' ? flag.default : text;
}

const INT_MAX = 2 ** 31 - 1;

/** Decimal, and with no leading zero, which Go would read as octal. */
function int(flag: Flag, text: string, verb: string | undefined): number {
  const number = /^[+-]?(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
  const min = flag.min ?? -INT_MAX - 1;
  if (!(number >= min && number <= INT_MAX)) {
    throw usage.badValue(flag, text, `a whole number from ${min} to ${INT_MAX}`, verb);
  }
  // "-0" is a way to write 0, and no caller should have to think of it.
  return number + 0;
}

/** The words of Go's strconv.ParseBool. */
function bool(name: string, text: string, verb: string | undefined): boolean {
  switch (text) {
    case '1':
    case 't':
    case 'T':
    case 'true':
    case 'TRUE':
    case 'True':
      return true;
    case '0':
    case 'f':
    case 'F':
    case 'false':
    case 'FALSE':
    case 'False':
      return false;
    default:
      throw usage.badBool(name, text, verb);
  }
}

function assign(verb: string, table: readonly Argument[], positionals: readonly string[]): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  let at = 0;
  for (const argument of table) {
    const key = camel(argument.name);
    if (argument.rest) {
      args[key] = positionals.slice(at);
      at = Math.max(at, positionals.length);
      continue;
    }
    const word = positionals[at++];
    if (word === undefined && !argument.optional) {
      throw usage.wrongCount(verb, table, positionals);
    }
    if (word !== undefined && argument.values?.includes(word) === false) throw usage.badArgument(argument, word, verb);
    args[key] = word ?? argument.default;
  }
  if (positionals.length > at) {
    throw usage.wrongCount(verb, table, positionals);
  }
  return args;
}

function helpOn(command: CommandName | undefined, globals: Globals): Invocation {
  return { globals, command: 'help', flags: {}, args: { command } };
}

function known(verb: string): CommandName {
  const command = findCommand(verb);
  if (command === undefined) {
    throw usage.unknownCommand(verb);
  }
  return command;
}

/** Must stay in step with the type `Camel`. */
function camel(name: string): string {
  const dash = name.indexOf('-');
  return dash < 0 ? name : name.slice(0, dash) + name.charAt(dash + 1).toUpperCase() + camel(name.slice(dash + 2));
}
