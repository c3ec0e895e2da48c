// The tables of commands.ts in, text for people out. Loaded only when help or the version is asked for.

import type { Argument, Command, Flag } from './commands.ts';
import { commands, findCommand, globalFlags } from './commands.ts';
import { argumentsText, oneOf } from './usage.ts';

const WIDTH = 100;
/** A label wider than this gets a line of its own, so that one long flag does not push all texts to the right. */
const LABEL_MAX = 30;
const INDENT = '  ';

const helpFlag = { name: 'help', short: 'h', kind: 'bool', doc: 'show this help' } as const satisfies Flag;

/** What build and host know and the text does not. */
export interface VersionFacts {
  /** Of tsrun. */
  readonly version: string;
  /** The commit it was built from, where the build knows one. */
  readonly commit?: string | undefined;
  /** The newest runtime specification whose fields are understood. */
  readonly spec: string;
  /** That it runs on, as uname(2) names it. */
  readonly architecture: string;
}

/**
 * What `--version` prints. The form is runc's: dockerd takes the last line with the word "version" in it apart at that
 * word and the line that begins with `commit:`; so nothing but the first line may have that word.
 */
export function versionText({ version, commit, spec, architecture }: VersionFacts): string {
  const lines = [`tsrun version ${version}`];
  if (commit !== undefined) {
    lines.push(`commit: ${commit}`);
  }
  lines.push(`spec: ${spec}`, `architecture: ${architecture}`);
  return `${lines.join('\n')}\n`;
}

/** Help for one command, by its name or an alias, or for the program. */
export function helpText(command?: string): string {
  const name = command === undefined ? undefined : findCommand(command);
  return name === undefined ? programHelp() : commandHelp(name, commands[name]);
}

function programHelp(): string {
  const all = Object.entries<Command>(commands);
  const shown = all.filter(([, { hidden }]) => !hidden);
  return sections(
    'tsrun - an OCI container runtime',
    'Usage: tsrun [global flags] <command> [flags] [arguments]',
    `Commands:\n${rows(shown.map(([name, { aliases, summary }]) => [[name, ...(aliases ?? [])].join(', '), summary]))}`,
    `Global flags:\n${flagRows(globalFlags)}`,
    '`tsrun help <command>` tells more about a command.',
  );
}

function commandHelp(name: string, command: Command): string {
  const { summary, description, flags } = command;
  const usage = ['Usage: tsrun [global flags]', name, '[flags]', argumentsText(command.arguments)];
  return sections(
    `tsrun ${name} - ${summary}`,
    usage.join(' ').trimEnd(),
    ...(description === undefined ? [] : [wrap(description, WIDTH).join('\n')]),
    ...defaults(command.arguments),
    `Flags:\n${flagRows([...flags, helpFlag])}`,
  );
}

function defaults(table: readonly Argument[]): string[] {
  const lines = table.filter((argument) => argument.default !== undefined);
  return lines.length === 0
    ? []
    : [`Arguments:\n${rows(lines.map((argument) => [argument.name, `default: ${argument.default}`]))}`];
}

function flagRows(table: readonly Flag[]): string {
  return rows(table.filter(({ hidden }) => !hidden).map((flag) => [flagLabel(flag), flagDoc(flag)]));
}

function flagLabel({ name, short, value }: Flag): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

function flagDoc(flag: Flag): string {
  const notes = [];
  if (flag.values !== undefined) {
    notes.push(oneOf(flag.values));
  }
  if (flag.default !== undefined) {
    notes.push(`default: ${flag.default}`);
  }
  return notes.length === 0 ? flag.doc : `${flag.doc} (${notes.join('; ')})`;
}

function rows(table: readonly (readonly [label: string, text: string])[]): string {
  const fitting = table.map(([label]) => label.length).filter((length) => length <= LABEL_MAX);
  const column = Math.max(0, ...fitting) + INDENT.length * 2;
  return table.flatMap(([label, text]) => row(label, text, column)).join('\n');
}

function row(label: string, text: string, column: number): string[] {
  const [first = '', ...others] = wrap(text, WIDTH - column);
  const start = INDENT + label;
  const pad = ' '.repeat(column);
  const head = start.length + INDENT.length > column ? [start, pad + first] : [start.padEnd(column) + first];
  return [...head, ...others.map((line) => pad + line)];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function sections(...parts: readonly string[]): string {
  return `${parts.join('\n\n')}\n`;
}
