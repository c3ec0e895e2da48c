// The text form of GVariant, in which annotations give properties to systemd units: `true`, `uint64 5`, `'text'`,
// `['a', 'b']`. (GLib reference, "GVariant Text Format", of which positional forms and bytestrings are left out)

import type { Value, Variant } from '../dbus/types.ts';

const keywords: Readonly<Record<string, string>> = {
  boolean: 'b',
  byte: 'y',
  int16: 'n',
  uint16: 'q',
  int32: 'i',
  uint32: 'u',
  int64: 'x',
  uint64: 't',
  double: 'd',
  string: 's',
  objectpath: 'o',
  signature: 'g',
};

/** Undefined if the text is no value that this form knows. */
export function parseGvariant(text: string): Variant | undefined {
  const tokens = text.match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|@[a-z(){}]+|[A-Za-z0-9_+.-]+|[[\]()<>,]|\S/g) ?? [];
  const parser = new Parser(tokens);
  const value = parser.value(undefined);
  return value !== undefined && parser.atEnd ? value : undefined;
}

class Parser {
  private readonly tokens: readonly string[];
  private at = 0;

  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
  }

  get atEnd(): boolean {
    return this.at === this.tokens.length;
  }

  /** @param wanted The type that a keyword, or the first item of an array, has set. */
  value(wanted: string | undefined): Variant | undefined {
    const token = this.tokens[this.at++];
    if (token === undefined) return undefined;
    if (token.startsWith('@')) return this.value(token.slice(1));
    const keyword = Object.hasOwn(keywords, token) ? keywords[token] : undefined;
    if (keyword !== undefined) return this.value(keyword);
    if (token === '[') return this.array(wanted);
    if (token === '(') return this.tuple();
    if (token === '<') {
      const inner = this.value(undefined);
      return inner !== undefined && this.tokens[this.at++] === '>' ? { signature: 'v', value: inner } : undefined;
    }
    return scalar(token, wanted);
  }

  private array(wanted: string | undefined): Variant | undefined {
    let type = wanted?.startsWith('a') ? wanted.slice(1) : undefined;
    const items = this.items(
      ']',
      () => type,
      (found) => (type ??= found),
    );
    if (items === undefined || type === undefined) return undefined;
    return items.every(({ signature }) => signature === type)
      ? { signature: `a${type}`, value: items.map(({ value }) => value) }
      : undefined;
  }

  private tuple(): Variant | undefined {
    const items = this.items(
      ')',
      () => undefined,
      () => undefined,
    );
    if (items === undefined || items.length === 0) return undefined;
    return {
      signature: `(${items.map(({ signature }) => signature).join('')})`,
      value: items.map(({ value }) => value),
    };
  }

  private items(close: string, wanted: () => string | undefined, found: (type: string) => void): Variant[] | undefined {
    const items: Variant[] = [];
    for (;;) {
      if (this.tokens[this.at] === close) {
        this.at++;
        return items;
      }
      if (items.length > 0 && this.tokens[this.at++] !== ',') return undefined;
      const item = this.value(wanted());
      if (item === undefined) return undefined;
      found(item.signature);
      items.push(item);
    }
  }
}

function scalar(token: string, wanted: string | undefined): Variant | undefined {
  const type = wanted ?? guess(token);
  const value = type === undefined ? undefined : valueOf(token, type);
  return type === undefined || value === undefined ? undefined : { signature: type, value };
}

function guess(token: string): string | undefined {
  if (token === 'true' || token === 'false') return 'b';
  if (/^["']/.test(token)) return 's';
  if (/^[+-]?(\d+|0x[0-9a-f]+)$/i.test(token)) return 'i';
  return /^[+-]?\d*\.\d+(e[+-]?\d+)?$/i.test(token) ? 'd' : undefined;
}

const ranges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  y: [0n, 2n ** 8n],
  n: [-(2n ** 15n), 2n ** 15n],
  q: [0n, 2n ** 16n],
  i: [-(2n ** 31n), 2n ** 31n],
  u: [0n, 2n ** 32n],
  x: [-(2n ** 63n), 2n ** 63n],
  t: [0n, 2n ** 64n],
};

function valueOf(token: string, type: string): Value | undefined {
  if (type === 'b') return token === 'true' ? true : token === 'false' ? false : undefined;
  if (type === 's' || type === 'o' || type === 'g') return /^["']/.test(token) ? unquote(token) : undefined;
  if (type === 'd') return Number.isFinite(Number(token)) ? Number(token) : undefined;
  const range = ranges[type];
  if (range === undefined || !/^[+-]?(\d+|0x[0-9a-f]+)$/i.test(token)) return undefined;
  const value = token.startsWith('-') ? -BigInt(token.slice(1)) : BigInt(token.replace('+', ''));
  return value >= range[0] && value < range[1] ? value : undefined;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\x07' };

const unquote = (token: string): string =>
  token.slice(1, -1).replace(/\\(.)/g, (_, char: string) => escapes[char] ?? char);
