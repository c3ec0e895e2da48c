import { describe, expect, test } from 'vitest';
import { type Command, commands, type Flag, findCommand, globalFlags } from '../../src/cli/commands.ts';
import { helpText, versionText } from '../../src/cli/help.ts';

const all: [string, Command][] = Object.entries<Command>(commands);
const tables: [string, readonly Flag[]][] = [
  ['global', globalFlags],
  ...all.map(([n, c]): [string, readonly Flag[]] => [n, c.flags]),
];
const texts: [string, string][] = [
  ['the program', helpText()],
  ...all.map(([n]): [string, string] => [n, helpText(n)]),
];

describe('the table', () => {
  test.each(tables)('of %s gives each name once', (_, flags) => {
    const names = flags.flatMap(({ name, short, aliases }) => [
      name,
      ...(short === undefined ? [] : [short]),
      ...(aliases ?? []),
    ]);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(tables)('of %s names flags in kebab case, so that camel case is exact', (_, flags) => {
    for (const { name, short } of flags) {
      expect(name).toMatch(/^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/);
      expect(short ?? 'x').toMatch(/^[a-zA-Z]$/);
    }
  });

  test.each(tables)('of %s has a placeholder for each value, and for no bool', (_, flags) => {
    for (const { kind, value } of flags) {
      expect(value === undefined).toBe(kind === 'bool');
    }
  });

  test.each(tables)('of %s has defaults among the values', (_, flags) => {
    for (const { values, default: initial } of flags) {
      if (values !== undefined && initial !== undefined) {
        expect(values).toContain(initial);
      }
    }
  });

  test.each(all)('of %s has optional arguments last and nothing behind the rest', (_, command) => {
    const order = command.arguments.map(({ optional, rest }) => (rest ? 2 : optional ? 1 : 0));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order.filter((place) => place === 2).length).toBeLessThan(2);
  });

  test.each(all)('finds %s by its name and aliases', (name, { aliases }) => {
    for (const word of [name, ...(aliases ?? [])]) {
      expect(findCommand(word)).toBe(name);
    }
  });
});

describe('help', () => {
  test.each(texts)('of %s fits in 100 columns, ends its last line and has no trailing blanks', (_, text) => {
    expect(text).toMatch(/[^\n]\n$/);
    for (const line of text.split('\n')) {
      expect(line.length).toBeLessThanOrEqual(100);
      expect(line).not.toMatch(/\s$/);
    }
  });

  test('of the program lists each command that is not hidden', () => {
    const text = helpText();
    for (const [name, { summary, hidden }] of all) {
      expect(text.includes(summary), name).toBe(!hidden);
    }
  });

  test.each(all)('of %s names each flag that is not hidden', (name, { flags }) => {
    const text = helpText(name);
    for (const flag of flags) {
      expect(text.split(/[\s,]+/).includes(`--${flag.name}`), flag.name).toBe(!flag.hidden);
    }
    expect(text).toContain('-h, --help');
  });

  test('never shows a deprecated flag', () => {
    expect(helpText()).not.toContain('--criu');
    expect(helpText('create')).not.toContain('--no-subreaper');
  });

  test('aligns the texts of flags and shows values and defaults', () => {
    expect(helpText('list')).toBe(`tsrun list - list the containers below --root

Usage: tsrun [global flags] list [flags]

Flags:
  -f, --format FORMAT  how the list is written (table or json; default: table)
  -q, --quiet          show ids only
  -h, --help           show this help
`);
  });

  test('shows the arguments in the usage line and their defaults below', () => {
    expect(helpText('kill')).toContain('\nUsage: tsrun [global flags] kill [flags] <container-id> [signal]\n');
    expect(helpText('kill')).toContain('\n  signal  default: SIGTERM\n');
  });

  test('of an alias is that of its command, and of an unknown word that of the program', () => {
    expect(helpText('h')).toBe(helpText('help'));
    expect(helpText('bogus')).toBe(helpText());
  });
});

describe('the version', () => {
  const facts = { version: '0.1.0', commit: '69663f0', spec: '1.3.0', architecture: 'aarch64' };

  test('is one fact a line, in the form of runc', () => {
    expect(versionText(facts)).toBe('tsrun version 0.1.0\ncommit: 69663f0\nspec: 1.3.0\narchitecture: aarch64\n');
  });

  test('leaves out what the build does not know', () => {
    expect(versionText({ ...facts, commit: undefined })).toBe(
      'tsrun version 0.1.0\nspec: 1.3.0\narchitecture: aarch64\n',
    );
  });

  test('is understood by dockerd, which splits the last line that contains "version"', () => {
    // As moby's parseRuntimeVersion does.
    let found = { runtime: '', version: '', commit: '' };
    for (const line of versionText(facts).trim().split('\n')) {
      if (line.includes('version')) {
        const parts = line.split('version');
        found = { ...found, runtime: (parts[0] ?? '').trim(), version: (parts.at(-1) ?? '').trim() };
      } else if (line.startsWith('commit:')) {
        found.commit = line.slice('commit:'.length).trim();
      }
    }
    expect(found).toEqual({ runtime: 'tsrun', version: '0.1.0', commit: '69663f0' });
  });

  test('does not claim to be runc, which go-runc answers with an empty version and no error', () => {
    expect(versionText(facts).startsWith('runc version ')).toBe(false);
  });
});
