// The command table to completion scripts for bash, zsh and fish. They need nothing at run time but the shell: container
// ids are asked of `tsrun list -q`, all else is written into the script.

import type { Command, Flag } from './commands.ts';
import { commands, globalFlags } from './commands.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

const helpFlag: Flag = { name: 'help', short: 'h', kind: 'bool', doc: 'show help' };

const verbs = (): [string, Command][] => Object.entries<Command>(commands).filter(([, { hidden }]) => !hidden);
const shown = (flags: readonly Flag[]): Flag[] => flags.filter(({ hidden }) => !hidden);
const flagsOf = (command: Command): Flag[] => [...shown(command.flags), helpFlag];
/** Whoever takes a bundle makes a container, whose id is new. */
const takesIds = ({ arguments: list, flags }: Command): boolean =>
  list.some(({ name }) => name.startsWith('container-id')) && !flags.some(({ name }) => name === 'bundle');
/** The words that its first argument may be. */
const firstWords = ({ arguments: [first] }: Command): string => first?.values?.join(' ') ?? '';

export function completionScript(shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bash();
    case 'zsh':
      return zsh();
    case 'fish':
      return fish();
  }
}

/** `'` ends a quoted text of all three shells; this goes on behind it. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const words = (flags: readonly Flag[]): string => flags.map(({ name }) => `--${name}`).join(' ');

/** The flags that take a value, and the values of those that have a list. */
function bash(): string {
  const all = [globalFlags, ...verbs().map(([, command]) => command.flags)].flatMap((flags) => shown(flags));
  const spelled = ({ name, short }: Flag) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  // A flag of the same name may be a switch in one verb and take a value in another: then the word behind is left alone.
  const switches = new Set(all.filter(({ kind }) => kind === 'bool').map(({ name }) => name));
  const withValue = all.filter(({ kind, name }) => kind !== 'bool' && !switches.has(name));
  const listed = new Map(withValue.flatMap(({ name, values }) => (values === undefined ? [] : [[name, values]])));
  const names = new Set(withValue.flatMap(spelled));
  return `# bash completion of tsrun
_tsrun() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} verb= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${[...names].join('|')}) ((i++)) ;;
      -*) ;;
      *) verb=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $before in
${[...listed].map(([name, values]) => `    --${name}) COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$word")); return ;;`).join('\n')}
    ${[...names].join('|')}) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case $verb in
    '')
      case $word in
        -*) COMPREPLY=($(compgen -W ${quoted(words(shown(globalFlags)))} -- "$word")) ;;
        *) COMPREPLY=($(compgen -W ${quoted(
          verbs()
            .map(([name]) => name)
            .join(' '),
        )} -- "$word")) ;;
      esac ;;
${verbs().map(bashVerb).join('\n')}
  esac
}
complete -o filenames -F _tsrun tsrun
`;
}

function bashVerb([name, command]: [string, Command]): string {
  const first = takesIds(command) ? '"$(tsrun list -q 2>/dev/null)"' : quoted(firstWords(command));
  const offer = (what: string) => `COMPREPLY=($(compgen ${what} -- "$word"))`;
  // With flags before it the first argument is not told from the others.
  const rest = first === "''" ? [] : [`        $verb:*) ${offer(`-W ${first}`)} ;;`];
  return `    ${name})
      case $before:$word in
        *:-*) ${offer(`-W ${quoted(words(flagsOf(command)))}`)} ;;
${[...rest, `        *) ${offer(first === "''" ? '-f' : `-f -W ${first}`)} ;;`].join('\n')}
      esac ;;`;
}

function zsh(): string {
  const list = verbs().map(([name, { summary }]) => `    ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`);
  return `#compdef tsrun
_tsrun_ids() { compadd -- $(tsrun list -q 2>/dev/null) }
_tsrun() {
  local state line
  local -a verbs
  verbs=(
${list.join('\n')}
  )
  _arguments -C \\
${zshFlags(shown(globalFlags))}
    '1: :->verb' '*:: :->rest'
  case $state in
    verb) _describe command verbs ;;
    rest)
      case $line[1] in
${verbs()
  .map(
    ([name, command]) => `        ${name}) _arguments \\\n${zshFlags(flagsOf(command))}\n${zshArguments(command)} ;;`,
  )
  .join('\n')}
      esac ;;
  esac
}
_tsrun "$@"
`;
}

function zshArguments(command: Command): string {
  const first = firstWords(command);
  if (takesIds(command)) return "          '*: :{ _tsrun_ids; _files }'";
  return `${first === '' ? '' : `          '1: :(${first})' \\\n`}          '*: :_files'`;
}

function zshFlags(flags: readonly Flag[]): string {
  const line = ({ name, kind, doc, values, value }: Flag) => {
    const text = doc.replace(/[[\]\\:]/g, '\\$&');
    const takes =
      kind === 'bool' ? '' : `:${value ?? name}:${values === undefined ? '_files' : `(${values.join(' ')})`}`;
    return `    ${quoted(`${kind === 'strings' ? '*' : ''}--${name}[${text}]${takes}`)} \\`;
  };
  return flags.map(line).join('\n');
}

function fish(): string {
  const names = verbs().map(([name]) => name);
  const flag = ({ name, short, kind, doc, values }: Flag, condition: string) =>
    [
      `complete -c tsrun -n ${quoted(condition)} -l ${name}`,
      ...(short === undefined ? [] : [`-s ${short}`]),
      ...(kind === 'bool' ? [] : ['-r']),
      ...(values === undefined ? [] : [`-f -a ${quoted(values.join(' '))}`]),
      `-d ${quoted(doc)}`,
    ].join(' ');
  const before = `not __fish_seen_subcommand_from ${names.join(' ')}`;
  const lines = [
    '# fish completion of tsrun',
    ...shown(globalFlags).map((each) => flag(each, before)),
    ...verbs().flatMap(([name, command]) => {
      const seen = `__fish_seen_subcommand_from ${name}`;
      return [
        `complete -c tsrun -n ${quoted(before)} -f -a ${name} -d ${quoted(command.summary)}`,
        ...(takesIds(command) ? [`complete -c tsrun -n ${quoted(seen)} -a '(tsrun list -q 2>/dev/null)'`] : []),
        ...(firstWords(command) === ''
          ? []
          : [`complete -c tsrun -n ${quoted(seen)} -a ${quoted(firstWords(command))}`]),
        ...flagsOf(command).map((each) => flag(each, seen)),
      ];
    }),
  ];
  return `${lines.join('\n')}\n`;
}
