// The words of the shim's command line, in Go's form: one dash or two, `-flag value` or `-flag=value`, flags first.

import { TsrunError } from '../errors.ts';

export interface Flags {
  readonly namespace: string;
  readonly id: string;
  readonly bundle: string;
  /** containerd's socket. */
  readonly address: string;
  readonly debug: boolean;
  readonly version: boolean;
  readonly info: boolean;
  readonly socket: string;
  readonly publishBinary: string;
  readonly debugSocket: string;
  /** `start` or `delete`; '' for none. */
  readonly action: string;
}

const texts = {
  namespace: 'namespace',
  id: 'id',
  bundle: 'bundle',
  address: 'address',
  socket: 'socket',
  'publish-binary': 'publishBinary',
  'debug-socket': 'debugSocket',
} as const;
const switches = { debug: 'debug', v: 'version', version: 'version', info: 'info' } as const;

/** @param words Those behind the program's name. @throws {TsrunError} */
export function parseFlags(words: readonly string[]): Flags {
  const flags: { -readonly [K in keyof Flags]: Flags[K] } = {
    namespace: '',
    id: '',
    bundle: '',
    address: '',
    debug: false,
    version: false,
    info: false,
    socket: '',
    publishBinary: '',
    debugSocket: '',
    action: '',
  };
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    const match = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(word);
    if (match === null) {
      flags.action = word === '--' ? (words[at + 1] ?? '') : word;
      break;
    }
    const [, name = '', inline] = match;
    if (Object.hasOwn(switches, name)) {
      flags[switches[name as keyof typeof switches]] = inline === undefined || isTrue(name, inline);
    } else if (Object.hasOwn(texts, name)) {
      const value = inline ?? words[++at];
      if (value === undefined) throw new TsrunError(`flag needs an argument: -${name}`);
      flags[texts[name as keyof typeof texts]] = value;
    } else throw new TsrunError(`flag provided but not defined: -${name}`);
  }
  return flags;
}

function isTrue(name: string, value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw new TsrunError(`invalid boolean value ${JSON.stringify(value)} for -${name}`);
}
