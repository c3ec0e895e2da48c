// Tar headers and extended headers (tar(5), POSIX.1-2017 pax), in bytes as text: one character a byte, so that names
// which are not UTF-8 stay what they are. Pure.

/** What one header block says. */
export interface Header {
  readonly name: string;
  /** Rights alone, without the file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow. */
  readonly size: number;
  readonly seconds: number;
  readonly type: string;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
}

/** A stretch of data in a file with holes. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
}

/** @throws {RangeError} for a number that cannot be read. */
export function parseHeader(block: string): Header {
  const isPosix = block.startsWith('ustar\0', 257);
  const name = field(block, 0, 100);
  const prefix = isPosix ? field(block, 345, 155) : '';
  const type = block.charAt(156);
  const isDevice = type === '3' || type === '4';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    seconds: number(block, 136, 12),
    // Before POSIX a directory was a file whose name ends in a slash.
    type: type === '\0' || type === '0' || type === '7' ? (name.endsWith('/') ? '5' : '0') : type,
    linkName: field(block, 157, 100),
    major: isDevice ? number(block, 329, 8) : 0,
    minor: isDevice ? number(block, 337, 8) : 0,
  };
}

/** Up to the first NUL. */
export function field(block: string, at: number, size: number): string {
  const end = block.indexOf('\0', at);
  return block.slice(at, end < 0 || end > at + size ? at + size : end);
}

/** Octal digits, or with the highest bit set a binary number in two's complement, highest byte first (GNU, star). */
export function number(block: string, at: number, size: number): number {
  const first = block.charCodeAt(at);
  if (first >= 0x80) {
    let value = first & 0x40 ? (first & 0x7f) - 0x80 : first & 0x3f;
    for (let i = 1; i < size; i++) value = value * 256 + block.charCodeAt(at + i);
    return safe(value);
  }
  const text = field(block, at, size).trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new RangeError(`the number ${JSON.stringify(text)} in a header`);
  return safe(Number.parseInt(text, 8));
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError('a number beyond all bounds in a header');
  return value;
}

/** The records of a pax header in order; a key may come more than once. @throws {RangeError} for what is none. */
export function parsePax(text: string): [key: string, value: string][] {
  const records: [string, string][] = [];
  for (let at = 0; at < text.length; ) {
    const blank = text.indexOf(' ', at);
    const digits = blank < 0 || blank > at + 10 ? '' : text.slice(at, blank);
    const end = at + Number(digits);
    const equals = text.indexOf('=', blank);
    if (!/^[1-9]\d*$/.test(digits) || end > text.length || text[end - 1] !== '\n' || equals < 0 || equals >= end)
      throw new RangeError('a malformed record in a pax header');
    records.push([text.slice(blank + 1, equals), text.slice(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** A decimal number of a pax record. */
export function paxNumber(key: string, value: string): number {
  if (!/^-?\d{1,16}$/.test(value)) throw new RangeError(`${key}=${value.slice(0, 40)} in a pax header`);
  return safe(Number(value));
}

/** Seconds since 1970 with a fraction, such as `1700000000.25`; the fraction counts forward in negative times too. */
export function paxTime(key: string, value: string): { readonly seconds: number; readonly nanoseconds: number } {
  const parts = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value);
  if (parts === null) throw new RangeError(`${key}=${value.slice(0, 40)} in a pax header`);
  const [, sign, whole = '', fraction = ''] = parts;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds: Number(whole), nanoseconds };
  return nanoseconds === 0
    ? { seconds: -Number(whole), nanoseconds: 0 }
    : { seconds: -Number(whole) - 1, nanoseconds: 1e9 - nanoseconds };
}

/** The old map of GNU tar: `count` pairs of twelve digits. A pair that is empty is the last. */
export function parseOldMap(block: string, at: number, count: number): Piece[] {
  const pieces: Piece[] = [];
  for (let i = 0; i < count; i++) {
    const place = at + i * 24;
    if (block.charCodeAt(place) === 0) break;
    pieces.push({ offset: number(block, place, 12), length: number(block, place + 12, 12) });
  }
  return pieces;
}

/** `offset,length,…` as GNU tar writes it into a pax header. */
export function parseMap(numbers: readonly string[]): Piece[] {
  const pieces: Piece[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    pieces.push({
      offset: paxNumber('GNU.sparse.map', numbers[i] ?? ''),
      length: paxNumber('GNU.sparse.map', numbers[i + 1] ?? ''),
    });
  }
  if (numbers.length % 2 !== 0) throw new RangeError('GNU.sparse.map with half a piece');
  return pieces;
}
