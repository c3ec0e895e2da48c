// Headers in, entries out: extended headers and long names are joined to the entry that they are about. Pure.

import {
  field,
  type Header,
  number,
  parseHeader,
  parseMap,
  parseOldMap,
  parsePax,
  paxNumber,
  paxTime,
  type Piece,
} from './tar.ts';

/** Where headers come from: the archive doors of sys, or a text in a test. */
export interface TarSource {
  /** The next header block; '' at the end. */
  header(): string;
  /** Data, with the padding behind it. */
  text(size: number): string;
  skip(size: number): void;
}

export interface Entry extends Header {
  readonly nanoseconds: number;
  /** By name, as bytes. */
  readonly xattrs: readonly (readonly [name: string, value: string])[];
  /** Set for a file with holes: its whole size, and where its data lies. `size` then is that of the data. */
  readonly sparse: { readonly size: number; readonly pieces: readonly Piece[] } | undefined;
}

/** Far above any real extended header, of which extended attributes are the largest part. */
const META_MOST = 1 << 20;
const PIECES_MOST = 1 << 16;
const XATTR = 'SCHILY.xattr.';
const WITHOUT_DATA = '123456';

type Records = Map<string, string>;

export class EntryReader {
  private readonly source: TarSource;
  private readonly common: Records = new Map();

  constructor(source: TarSource) {
    this.source = source;
  }

  /** The next entry, whose data must be taken or skipped before the one behind it. @throws {RangeError} */
  next(): Entry | undefined {
    let name: string | undefined;
    let linkName: string | undefined;
    let records: Records | undefined;
    let map: string[] = [];
    for (;;) {
      const block = this.source.header();
      if (block === '') {
        if (name !== undefined || linkName !== undefined || records !== undefined)
          throw new RangeError('an extended header with nothing behind it');
        return undefined;
      }
      const header = parseHeader(block);
      if (header.size < 0) throw new RangeError('an entry of negative size');
      switch (header.type) {
        case 'L':
          name = this.longText(header.size);
          break;
        case 'K':
          linkName = this.longText(header.size);
          break;
        case 'g':
          for (const [key, value] of parsePax(this.meta(header.size))) this.common.set(key, value);
          break;
        case 'x': {
          const list = parsePax(this.meta(header.size));
          records = new Map(list);
          // The oldest form of holes in pax repeats its keys.
          map = list.filter(([key]) => /^GNU\.sparse\.(offset|numbytes)$/.test(key)).map(([, value]) => value);
          break;
        }
        default:
          return this.entry(block, header, name, linkName, this.merged(records), map);
      }
    }
  }

  private merged(records: Records | undefined): Records | undefined {
    if (this.common.size === 0) return records;
    return new Map([...this.common, ...(records ?? [])]);
  }

  private meta(size: number): string {
    if (size > META_MOST) throw new RangeError(`an extended header of ${size} bytes`);
    return this.source.text(size);
  }

  private longText(size: number): string {
    const text = this.meta(size);
    return field(text, 0, text.length);
  }

  private entry(
    block: string,
    header: Header,
    name: string | undefined,
    linkName: string | undefined,
    records: Records | undefined,
    map: readonly string[],
  ): Entry {
    const plain: Entry = {
      ...header,
      name: name ?? header.name,
      linkName: linkName ?? header.linkName,
      nanoseconds: 0,
      xattrs: [],
      sparse: undefined,
    };
    const whole = records === undefined ? plain : extended(plain, records);
    // Links, devices, directories and fifos have no data, whatever size is written there: so everybody reads it, and what
    // is the next entry must be the same for all.
    const entry = WITHOUT_DATA.includes(block.charAt(156)) ? { ...whole, size: 0 } : whole;
    if (entry.type === 'S') return this.oldSparse(entry, block);
    return records === undefined ? entry : this.paxSparse(entry, records, map);
  }

  private oldSparse(entry: Entry, block: string): Entry {
    let pieces = parseOldMap(block, 386, 4);
    let more = block.charCodeAt(482) !== 0;
    while (more) {
      const next = this.source.text(512);
      pieces = [...pieces, ...parseOldMap(next, 0, 21)];
      more = next.charCodeAt(504) !== 0;
      if (pieces.length > PIECES_MOST) throw new RangeError('a file with too many holes');
    }
    return withHoles({ ...entry, type: '0' }, number(block, 483, 12), pieces);
  }

  private paxSparse(entry: Entry, records: Records, repeated: readonly string[]): Entry {
    const whole = records.get('GNU.sparse.realsize') ?? records.get('GNU.sparse.size');
    if (whole === undefined) return entry;
    const named = { ...entry, name: records.get('GNU.sparse.name') ?? entry.name };
    const size = paxNumber('GNU.sparse.size', whole);
    if (records.get('GNU.sparse.major') !== '1') {
      const map = records.get('GNU.sparse.map');
      return withHoles(named, size, parseMap(map === undefined ? repeated : map.split(',').filter(Boolean)));
    }
    // Version 1.0: the map stands before the data, a number a line, in whole blocks.
    const lines: string[] = [];
    let rest = '';
    let read = 0;
    for (let wanted = 1; lines.length < wanted; ) {
      if (read + 512 > entry.size) throw new RangeError('a map of holes that is cut off');
      const parts = (rest + this.source.text(512)).split('\n');
      read += 512;
      rest = parts.pop() ?? '';
      lines.push(...parts);
      if (lines[0] !== undefined) wanted = 1 + 2 * paxNumber('GNU.sparse.map', lines[0]);
      if (wanted > 2 * PIECES_MOST) throw new RangeError('a file with too many holes');
      if (lines.length >= wanted) lines.length = wanted;
    }
    return withHoles({ ...named, size: entry.size - read }, size, parseMap(lines.slice(1)));
  }
}

function extended(entry: Entry, records: Records): Entry {
  const text = (key: string, before: string) => records.get(key) || before;
  const count = (key: string, before: number) => {
    const value = records.get(key);
    return value === undefined || value === '' ? before : paxNumber(key, value);
  };
  const time = records.get('mtime');
  const xattrs: [string, string][] = [];
  for (const [key, value] of records) if (key.startsWith(XATTR)) xattrs.push([key.slice(XATTR.length), value]);
  const size = count('size', entry.size);
  if (size < 0) throw new RangeError('an entry of negative size');
  return {
    ...entry,
    name: text('path', entry.name),
    linkName: text('linkpath', entry.linkName),
    size,
    uid: count('uid', entry.uid),
    gid: count('gid', entry.gid),
    ...(time === undefined || time === '' ? {} : paxTime('mtime', time)),
    xattrs,
  };
}

/** Pieces in order that lie in the file and hold all of the data. */
function withHoles(entry: Entry, size: number, pieces: readonly Piece[]): Entry {
  let end = 0;
  let data = 0;
  for (const { offset, length } of pieces) {
    if (offset < end || length < 0 || offset + length > size)
      throw new RangeError('a map of holes that makes no sense');
    end = offset + length;
    data += length;
  }
  if (data !== entry.size || pieces.length > PIECES_MOST) throw new RangeError('a map of holes that makes no sense');
  return { ...entry, sparse: { size, pieces } };
}
