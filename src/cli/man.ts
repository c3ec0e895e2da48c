// The command table to a manual page, in the macros of man(7).

import type { Command, Flag } from './commands.ts';
import { commands, globalFlags } from './commands.ts';
import { argumentsText, oneOf } from './usage.ts';

/** A dash is a hyphen to troff unless it is escaped; a dot or quote that begins a line would be a request. */
const plain = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

export function manualPage(version: string): string {
  const verbs = Object.entries<Command>(commands).filter(([, { hidden }]) => !hidden);
  return `${[
    `.TH TSRUN 8 "" "tsrun ${version}" "System Manager's Manual"`,
    '.SH NAME',
    'tsrun \\- an OCI container runtime',
    '.SH SYNOPSIS',
    '.B tsrun',
    '[\\fIglobal flags\\fR] \\fIcommand\\fR [\\fIflags\\fR] [\\fIarguments\\fR]',
    '.SH DESCRIPTION',
    'tsrun compiles a bundle, or an image, into a plan of Linux primitives, and runs the plan.',
    '.SH GLOBAL FLAGS',
    ...flagLines(globalFlags),
    '.SH COMMANDS',
    ...verbs.flatMap(([name, command]) => commandLines(name, command)),
    '.SH EXIT STATUS',
    'That of the process for',
    '.BR run ;',
    'otherwise 0, or 1 after an error, 3 for an unknown command.',
    '.SH FILES',
    '.TP',
    '.I /run/tsrun',
    'the state of containers, one directory for each',
    '.TP',
    '.I /var/lib/tsrun',
    'the store of images',
  ].join('\n')}\n`;
}

function commandLines(name: string, command: Command): string[] {
  const { summary, description, aliases = [], flags } = command;
  const usage = argumentsText(command.arguments);
  return [
    `.SS ${plain([name, ...aliases].join(', '))}`,
    `.B tsrun ${plain(name)}`,
    `[\\fIflags\\fR] ${plain(usage)}`.trimEnd(),
    '.PP',
    `${plain(summary.charAt(0).toUpperCase() + summary.slice(1))}.`,
    ...(description === undefined ? [] : [plain(description)]),
    ...flagLines(flags),
  ];
}

function flagLines(flags: readonly Flag[]): string[] {
  return flags
    .filter(({ hidden }) => !hidden)
    .flatMap((flag) => {
      const { name, short, value, doc, values, default: initial } = flag;
      const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`].map(
        (each) => `\\fB${plain(each)}\\fR`,
      );
      const notes = [
        ...(values === undefined ? [] : [oneOf(values)]),
        ...(initial === undefined ? [] : [`default: ${initial}`]),
      ];
      return [
        '.TP',
        `${names.join(', ')}${value === undefined ? '' : ` \\fI${plain(value)}\\fR`}`,
        plain(notes.length === 0 ? doc : `${doc} (${notes.join('; ')})`),
      ];
    });
}
