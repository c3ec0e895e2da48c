import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Invocation,
  type InvocationOf,
  parseArgs,
  parseGlobals,
  parseVerb,
  parseWords,
} from '../../src/cli/args.ts';
import { type Command, type CommandName, commands, type Flag, globalFlags } from '../../src/cli/commands.ts';
import { TsrunError, UsageError } from '../../src/errors.ts';

function parse<Name extends CommandName>(command: Name, ...argv: string[]): InvocationOf<Name> {
  const invocation = parseArgs(argv);
  expect(invocation.command).toBe(command);
  return invocation as unknown as InvocationOf<Name>;
}

function refusal(...argv: string[]): TsrunError {
  try {
    parseArgs(argv);
  } catch (error) {
    expect(error).toBeInstanceOf(TsrunError);
    return error as TsrunError;
  }
  throw new Error(`${argv.join(' ')} was accepted`);
}

const all: [string, Command][] = Object.entries<Command>(commands);

describe('the shape of an invocation', () => {
  test('every flag and argument of the verb is there, with its default', () => {
    expect(parseArgs(['run', 'c1'])).toEqual({
      globals: {
        root: undefined,
        log: undefined,
        logFormat: 'text',
        logLevel: 'error',
        debug: false,
        systemdCgroup: false,
        cgroupManager: undefined,
        rootless: 'auto',
        store: undefined,
        criu: undefined,
        help: false,
        version: false,
      },
      command: 'run',
      flags: {
        bundle: undefined,
        config: 'config.json',
        consoleSocket: undefined,
        pidfdSocket: undefined,
        pidFile: undefined,
        noPivot: false,
        noNewKeyring: false,
        preserveFds: 0,
        trace: undefined,
        json: false,
        noSubreaper: false,
        detach: false,
        keep: false,
        id: undefined,
        platform: undefined,
        maxSize: '64g',
        maxEntries: 1_000_000,
      },
      args: { containerId: 'c1', command: [] },
    });
  });

  test('verb code reads typed values without a cast', () => {
    const invocation: Invocation = parseArgs(['kill', 'c1']);
    if (invocation.command !== 'kill') {
      throw new Error('not kill');
    }
    const typed: { all: boolean; id: string; signal: string; format: 'text' | 'json' } = {
      all: invocation.flags.all,
      id: invocation.args.containerId,
      signal: invocation.args.signal,
      format: invocation.globals.logFormat,
    };
    expect(typed).toEqual({ all: false, id: 'c1', signal: 'SIGTERM', format: 'text' });
  });

  test('an optional argument without a default is undefined when left out', () => {
    expect(parse('explain', 'explain').args).toEqual({ bundle: undefined });
    expect(parse('explain', 'explain', 'bundles/hello').args.bundle).toBe('bundles/hello');
  });

  test('the word list is not changed', () => {
    const argv = Object.freeze(['--debug', 'run', '-b', 'x', 'c1']);
    expect(parseArgs(argv).globals.debug).toBe(true);
  });
});

describe('how flags are written', () => {
  test.each([
    ['two dashes and the next word', ['--bundle', 'x']],
    ['two dashes and an equals sign', ['--bundle=x']],
    ['one dash and the long name, as go-runc does', ['-bundle', 'x']],
    ['one dash, the long name and an equals sign', ['-bundle=x']],
    ['the short name', ['-b', 'x']],
    ['the short name and an equals sign', ['-b=x']],
    ['the short name with two dashes, as Go allows', ['--b', 'x']],
  ])('a value may be given with %s', (_, flag) => {
    expect(parse('run', 'run', ...flag, 'c1').flags.bundle).toBe('x');
  });

  test('only the first equals sign divides name and value', () => {
    expect(parse('run', 'run', '--bundle=a=b', 'c1').flags.bundle).toBe('a=b');
  });

  test('a value may begin with a dash', () => {
    expect(parse('run', 'run', '--bundle', '--keep', 'c1').flags).toMatchObject({ bundle: '--keep', keep: false });
    expect(parse('run', 'run', '--bundle', '--', 'c1').flags.bundle).toBe('--');
  });

  test('an empty string value means that the flag is not given, as for runc', () => {
    expect(parse('run', 'run', '-b=', '--config', '', 'c1').flags).toMatchObject({
      bundle: undefined,
      config: 'config.json',
    });
  });

  test('the last of two values counts', () => {
    expect(parse('list', 'list', '-f', 'json', '--format=table').flags.format).toBe('table');
    expect(parse('delete', 'delete', '--force', '--force=false', 'c1').flags.force).toBe(false);
  });

  test.each(['1', 't', 'T', 'true', 'TRUE', 'True'])('a bool flag may be set with =%s', (text) => {
    expect(parse('delete', 'delete', `--force=${text}`, 'c1').flags.force).toBe(true);
  });

  test.each(['0', 'f', 'F', 'false', 'FALSE', 'False'])('a bool flag may be cleared with =%s', (text) => {
    expect(parse('delete', 'delete', `--force=${text}`, 'c1').flags.force).toBe(false);
  });

  test('a bool flag never takes the next word', () => {
    expect(parse('kill', 'kill', '--all', 'false').args.containerId).toBe('false');
  });

  test.each(['yes', '', '2', 'tRUE'])('a bool flag refuses =%s', (text) => {
    const error = refusal('delete', `--force=${text}`, 'c1');
    expect(error.message).toBe(
      `delete: invalid boolean value ${JSON.stringify(text)} for --force: expected true or false`,
    );
  });

  test('flags may follow arguments, as in `delete ID --force`', () => {
    expect(parse('delete', 'delete', 'c1', '--force').flags.force).toBe(true);
    expect(parse('run', 'run', 'c1', '--bundle', 'x', '-d').flags).toMatchObject({ bundle: 'x', detach: true });
  });

  test('two dashes end the flags', () => {
    expect(parse('kill', 'kill', '--', '--all', '-KILL')).toMatchObject({
      flags: { all: false },
      args: { containerId: '--all', signal: '-KILL' },
    });
    expect(parse('kill', 'kill', 'c1', '--', '--').args.signal).toBe('--');
  });

  test('two dashes may stand before the verb', () => {
    expect(parse('list', '--debug', '--', 'list').globals.debug).toBe(true);
  });

  test('a lone dash is an argument', () => {
    expect(parse('state', 'state', '-').args.containerId).toBe('-');
  });

  test('a negative number after the id is an argument, as in `kill ID -9`', () => {
    expect(parse('kill', 'kill', 'c1', '-9').args.signal).toBe('-9');
    expect(refusal('kill', '-9', 'c1').message).toBe(
      'kill: flag provided but not defined: -9; as an argument it cannot stand first',
    );
  });

  test.each(['---debug', '-=x', '--=x', '----'])('%s is no flag at all', (word) => {
    expect(refusal(word, 'list').message).toBe(`bad flag syntax: ${word}`);
  });

  test('short flags are not joined, as in Go, and the message says so', () => {
    expect(refusal('list', '-qf', 'json').message).toBe(
      'list: flag provided but not defined: -qf; short flags cannot be joined: write -q -f',
    );
  });

  test.each([
    ['0', 0],
    ['3', 3],
    ['+3', 3],
    ['-0', 0],
    ['2147483647', 2147483647],
  ])('a number may be written %s', (text, value) => {
    expect(parse('run', 'run', '--preserve-fds', text, 'c1').flags.preserveFds).toBe(value);
  });

  test.each(['', 'abc', '1.5', '1e3', '-1', '010', ' 1', '2147483648', 'NaN', 'Infinity', '٣'])(
    'a number may not be written "%s"',
    (text) => {
      expect(refusal('run', '--preserve-fds', text, 'c1').message).toBe(
        `run: invalid value ${JSON.stringify(text)} for --preserve-fds: expected a whole number from 0 to 2147483647`,
      );
    },
  );

  test('a value outside the list of values is refused with the list', () => {
    expect(refusal('list', '-f', 'yaml').message).toBe(
      'list: invalid value "yaml" for --format: expected table or json',
    );
    expect(refusal('--log-format=', 'list').message).toBe('invalid value "" for --log-format: expected text or json');
  });
});

describe('where flags stand', () => {
  test("global flags stand before the verb and keep their meaning apart from the verb's own", () => {
    const invocation = parse('spec', '--rootless=true', 'spec', '--rootless');
    expect([invocation.globals.rootless, invocation.flags.rootless]).toEqual(['true', true]);
  });

  test('a global flag after the verb is refused with its place, as runc refuses it', () => {
    expect(refusal('state', '--root', '/x', 'c1').message).toBe(
      'state: flag provided but not defined: --root; it is a global flag and stands before "state"',
    );
  });

  test('a flag of a verb before the verb is refused with its place', () => {
    expect(refusal('--bundle', 'x', 'run', 'c1').message).toBe(
      'flag provided but not defined: --bundle; it stands after the command',
    );
  });

  test('the calls of containerd, conmon, podman and go-runc are understood', () => {
    const shim = [
      '--root',
      '/run/containerd/runc/k8s.io',
      '--log',
      'log.json',
      '--log-format',
      'json',
      '--systemd-cgroup',
    ];
    const create = ['create', '--bundle', 'b', '--pid-file', 'b/init.pid', '--no-pivot', '--no-new-keyring', 'c1'];
    expect(parse('create', ...shim, ...create)).toMatchObject({
      globals: { root: '/run/containerd/runc/k8s.io', log: 'log.json', logFormat: 'json', systemdCgroup: true },
      flags: { bundle: 'b', pidFile: 'b/init.pid', noPivot: true, noNewKeyring: true },
    });
    expect(
      parse('create', 'create', '--bundle', 'b', '--preserve-fds', '2', '--console-socket', 's', 'c1').flags,
    ).toMatchObject({ preserveFds: 2, consoleSocket: 's' });
    expect(parse('kill', 'kill', '--all', 'c1', '9')).toMatchObject({ flags: { all: true }, args: { signal: '9' } });
    expect(parse('run', '--rootless=false', '--criu', '/x', 'run', '-no-subreaper', 'c1').flags.noSubreaper).toBe(true);
    expect(parse('delete', '--cgroup-manager', 'disabled', 'delete', '--force', 'c1').globals.cgroupManager).toBe(
      'disabled',
    );
  });

  test('create accepts the flag that crun ignores there', () => {
    expect(parse('create', 'create', '--no-subreaper', 'c1').flags.noSubreaper).toBe(true);
  });

  test('the global half can be read alone, so that a later mistake can be logged', () => {
    const head = parseGlobals(['--log', 'log.json', 'run', '--bogus']);
    expect(head.globals.log).toBe('log.json');
    expect(head.rest).toEqual(['run', '--bogus']);
    expect(() => parseVerb(head)).toThrow(UsageError);
  });
});

describe('a verb that stops at its first argument', () => {
  const exec: Command = {
    summary: 'run a process in a container',
    arguments: [{ name: 'container-id' }, { name: 'command', rest: true }],
    flags: [
      { name: 'tty', short: 't', kind: 'bool', doc: 'with a terminal' },
      { name: 'env', short: 'e', kind: 'strings', value: 'NAME=VALUE', doc: 'set a variable' },
      { name: 'limit', kind: 'int', doc: 'a number of either sign' },
    ],
    stopsAtArgument: true,
  };

  test('leaves the flags of the command to the command', () => {
    const { flags, args } = parseWords('exec', exec, ['-t', 'c1', 'ls', '-t', '--', '-x']);
    expect(flags).toMatchObject({ tty: true });
    expect(args).toEqual({ containerId: 'c1', command: ['ls', '-t', '--', '-x'] });
  });

  test('takes two dashes before the id for the end of its own flags', () => {
    expect(parseWords('exec', exec, ['--', '-c1', '-t']).args).toEqual({ containerId: '-c1', command: ['-t'] });
  });

  test('keeps every value of a flag that may be repeated', () => {
    expect(parseWords('exec', exec, ['-e', 'A=1', '--env=B=', '-e', '', 'c1']).flags['env']).toEqual(['A=1', 'B=', '']);
    expect(parseWords('exec', exec, ['c1']).flags['env']).toEqual([]);
  });

  test('reads help only before the argument', () => {
    expect(parseWords('exec', exec, ['c1', '-h']).help).toBe(false);
    expect(parseWords('exec', exec, ['-h', 'c1']).help).toBe(true);
  });

  test('takes a negative number where the table has no smallest one', () => {
    expect(parseWords('exec', exec, ['--limit', '-1', 'c1']).flags['limit']).toBe(-1);
  });

  test('takes more words than a function call could carry', () => {
    const words = Array.from({ length: 200_000 }, () => 'x');
    expect(parseWords('exec', exec, ['c1', ...words]).args['command']).toHaveLength(200_000);
    expect(() => parseWords('state', commands.state, words)).toThrow('got 200000');
  });

  test('still needs the id', () => {
    expect(() => parseWords('exec', exec, ['-t'])).toThrow(
      'exec: requires at least 1 argument (<container-id> [command...]), got none',
    );
  });
});

describe('help and version', () => {
  test('no words at all ask for help', () => {
    expect(parse('help').args.command).toBeUndefined();
  });

  test.each([
    ['--help'],
    ['-h'],
    ['-help'],
    ['--help', 'run'],
    ['help'],
    ['h'],
    ['--help', '--version'],
    ['--help', 'x'],
  ])('%s %s asks for help of the program', (...argv) => {
    expect(parse('help', ...argv.filter((word) => word !== undefined)).args.command).toBeUndefined();
  });

  test('help can be asked for in three ways for one command', () => {
    for (const argv of [
      ['help', 'kill'],
      ['kill', '--help'],
      ['kill', 'x', 'y', 'z', '-h'],
    ]) {
      expect(parse('help', ...argv).args.command).toBe('kill');
    }
  });

  test('an alias of a command leads to the help of the command', () => {
    expect(parse('help', 'help', 'h').args.command).toBe('help');
  });

  test('help is given whatever words follow, right or wrong', () => {
    expect(parse('help', 'kill', '--help', '--bogus', '--all=maybe').args.command).toBe('kill');
    expect(refusal('kill', '--bogus', '--help').message).toContain('not defined: --bogus');
  });

  test('help can be taken back, as any bool', () => {
    expect(parse('state', 'state', '--help=false', 'c1').args.containerId).toBe('c1');
  });

  test.each([['--version'], ['-v'], ['-version=true'], ['version'], ['--version', 'bogus']])(
    '%s asks for the version',
    (...argv) => {
      parse('version', ...argv.filter((word) => word !== undefined));
    },
  );

  test('a container may be called help', () => {
    expect(parse('state', 'state', 'help').args.containerId).toBe('help');
  });
});

describe('mistakes', () => {
  test('an unknown verb exits with 3, as in runc, and is no usage error', () => {
    const error = refusal('delet', 'c1');
    expect([error.exitCode, error.message]).toEqual([3, 'unknown command "delet"; did you mean "delete"?']);
    expect(error).not.toBeInstanceOf(UsageError);
  });

  test('help for an unknown verb exits with 3 too', () => {
    expect(refusal('help', 'bogus')).toMatchObject({
      exitCode: 3,
      message: 'unknown command "bogus"; `tsrun help` lists the commands',
    });
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''])('"%s" is neither verb nor flag', (word) => {
    expect(refusal(word).exitCode).toBe(3);
    expect(refusal('run', `--${word}x`, 'c1').message).toContain('flag provided but not defined');
  });

  test('a usage error exits with 1 and knows whose help to print', () => {
    expect(refusal('run', '--bogus', 'c1')).toMatchObject({ exitCode: 1, command: 'run' });
    expect(refusal('--bogus', 'run')).toMatchObject({ exitCode: 1, command: undefined });
  });

  test('an unknown flag is answered with the nearest one', () => {
    expect(refusal('run', '--detatch', 'c1').message).toBe(
      'run: flag provided but not defined: --detatch; did you mean --detach?',
    );
    expect(refusal('--rot', '/x', 'list').message).toContain('did you mean --root?');
    expect(refusal('run', '--zzzzzz', 'c1').message).toBe('run: flag provided but not defined: --zzzzzz');
  });

  test('a flag that is kept out of help is not suggested', () => {
    expect(refusal('--criuu', 'list').message).toBe('flag provided but not defined: --criuu');
  });

  test('a missing value has the phrase that podman probes for', () => {
    expect(refusal('run', '--bundle').message).toBe('run: flag needs an argument: --bundle DIR');
    expect(refusal('run', '-b').message).toContain('flag needs an argument');
    expect(refusal('--root').message).toBe('flag needs an argument: --root DIR');
  });

  test.each([
    [['state'], 'state: requires exactly 1 argument (<container-id>), got none'],
    [['delete', 'a', 'b'], 'delete: requires exactly 1 argument (<container-id>), got 2: "a" "b"'],
    [['kill'], 'kill: requires at least 1 argument (<container-id> [signal]), got none'],
    [['kill', 'a', '9', '10'], 'kill: requires at most 2 arguments (<container-id> [signal]), got 3: "a" "9" "10"'],
    [['list', '-q', 'true'], 'list: takes no arguments, got 1: "true"'],
    [['spec', '1', '2', '3', '4', '5'], 'spec: takes no arguments, got 5: "1" "2" "3" "4" …'],
  ])('%j has the wrong number of arguments', (argv, message) => {
    expect(refusal(...argv).message).toBe(message);
  });

  test('a message repeats no control codes and nothing endless', () => {
    const { message } = refusal('state', 'a', '\u001b[2J\u009b31m\n', 'x'.repeat(10_000));
    expect(message).toMatch(/^[\x20-\x7e…]*$/);
    expect(message.length).toBeLessThan(200);
    expect(refusal('run', '--a\nb', 'c1').message).toContain('"--a\\nb"');
  });
});

describe('for any command line', () => {
  const names = [...globalFlags, ...all.flatMap(([, { flags }]) => flags)].flatMap(({ name, short }: Flag) =>
    short === undefined ? [name] : [name, short],
  );
  const word = fc.oneof(
    fc.constantFrom(...Object.keys(commands), '--', '-', 'c1', '-9', '3', 'json', '', 'true'),
    fc
      .tuple(
        fc.constantFrom('-', '--', '---', ''),
        fc.constantFrom(...names),
        fc.constantFrom('', '=', '=1', '=x', '=json'),
      )
      .map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }),
  );
  const argv = fc.array(word, { maxLength: 8 });

  test('the answer is an invocation of a known verb or one TsrunError', () => {
    fc.assert(
      fc.property(argv, (words) => {
        try {
          expect(Object.keys(commands)).toContain(parseArgs(words).command);
        } catch (error) {
          expect(error).toBeInstanceOf(TsrunError);
          const { exitCode, message } = error as TsrunError;
          expect([1, 3]).toContain(exitCode);
          expect(message).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('an invocation has a value of the right kind for every flag of its table', () => {
    fc.assert(
      fc.property(argv, (words) => {
        let invocation: Invocation;
        try {
          invocation = parseArgs(words);
        } catch {
          return;
        }
        const values: Record<string, unknown> = { ...invocation.flags };
        const table: readonly Flag[] = commands[invocation.command].flags;
        expect(Object.keys(values)).toHaveLength(table.length);
        for (const flag of table) {
          const value = values[flag.name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
          const type = { bool: 'boolean', int: 'number', string: 'string', strings: 'object' }[flag.kind];
          expect([type, ...(flag.default === undefined && flag.kind === 'string' ? ['undefined'] : [])]).toContain(
            typeof value,
          );
          expect(flag.values ?? [value]).toContain(value);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('every way to write a flag and its value means the same', () => {
    const valued = createFlag((flag) => flag.kind === 'string' && flag.values === undefined);
    fc.assert(
      fc.property(fc.constantFrom(...valued), fc.string({ minLength: 1 }), (flag, text) => {
        const spellings = [
          [`--${flag.name}`, text],
          [`-${flag.name}`, text],
          [`--${flag.name}=${text}`],
          [`-${flag.name}=${text}`],
        ];
        const [first, ...others] = spellings.map((words) => parseArgs(['run', ...words, 'c1']));
        for (const other of others) {
          expect(other).toEqual(first);
        }
      }),
    );
  });

  test('flags mean the same before and after the arguments', () => {
    const flags = fc.subarray(createFlag(({ kind }) => kind === 'bool').map(({ name }) => `--${name}`));
    fc.assert(
      fc.property(flags, flags, (before, after) => {
        expect(parseArgs(['run', ...before, 'c1', ...after])).toEqual(parseArgs(['run', ...before, ...after, 'c1']));
      }),
    );
  });

  test('what follows two dashes is never read as a flag', () => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        expect(parse('state', 'state', '--', id).args.containerId).toBe(id);
      }),
    );
  });

  function createFlag(which: (flag: Flag) => boolean): Flag[] {
    return (commands.run.flags as readonly Flag[]).filter(which);
  }
});
