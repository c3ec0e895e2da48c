import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Entry, EntryReader, type TarSource } from '../../src/image/entries.ts';
import { fateOf, Refusal } from '../../src/image/fate.ts';
import { number, parseHeader, parsePax, paxTime } from '../../src/image/tar.ts';
import { header, paxRecords, tar, type TarEntry } from '../harness/image.ts';

const latin = (bytes: Buffer) => bytes.toString('latin1');

/** An archive in memory. */
class TextSource implements TarSource {
  private readonly text_: string;
  private at = 0;

  constructor(bytes: Buffer) {
    this.text_ = latin(bytes);
  }

  header(): string {
    const block = this.text_.slice(this.at, this.at + 512);
    this.at += 512;
    return /^\0*$/.test(block) ? '' : block;
  }

  text(size: number): string {
    const text = this.text_.slice(this.at, this.at + size);
    this.skip(size);
    return text;
  }

  skip(size: number): void {
    this.at += Math.ceil(size / 512) * 512;
  }
}

function read(bytes: Buffer): Entry[] {
  const source = new TextSource(bytes);
  const reader = new EntryReader(source);
  const entries: Entry[] = [];
  for (let entry: Entry | undefined; (entry = reader.next()) !== undefined; source.skip(entry.size))
    entries.push(entry);
  return entries;
}

const one = (entry: TarEntry): Entry => {
  const [found, ...others] = read(tar([entry]));
  if (found === undefined || others.length > 0) throw new Error(`${others.length + 1} entries`);
  return found;
};

/** Bytes of a name as one character each; no NUL, no slash at the ends. */
const nameBytes = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 90 })
  .map((bytes) => String.fromCharCode(...bytes).replaceAll('/', '_'));

describe('a header', () => {
  test('says what was put into it, whatever bytes the name has', () => {
    fc.assert(
      fc.property(
        nameBytes,
        fc.nat(0o7777),
        fc.nat(0o7777777),
        fc.nat(0o7777777),
        fc.nat(2 ** 32),
        (name, mode, uid, gid, mtime) => {
          const found = one({ name, mode, uid, gid, mtime, data: 'abc' });
          expect(found).toMatchObject({ name, mode, uid, gid, seconds: mtime, size: 3, type: '0', xattrs: [] });
        },
      ),
    );
  });

  test('has numbers in base 256 of either sign', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = Buffer.alloc(12);
        let rest = BigInt(value);
        for (let i = 11; i >= 0; i--) {
          bytes[i] = Number(rest & 0xffn);
          rest >>= 8n;
        }
        bytes[0] = (bytes[0] ?? 0) | 0x80;
        expect(number(latin(bytes), 0, 12)).toBe(value);
      }),
    );
  });

  test('of any bytes is read or refused, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
        try {
          parseHeader(latin(Buffer.from(bytes)));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  test('of before POSIX names a directory by its slash', () => {
    expect(one({ name: 'old/', type: '\0' }).type).toBe('5');
    expect(one({ name: 'old', type: '\0' }).type).toBe('0');
  });

  test.each(['1', '2', '3', '4', '5', '6'])('of type %s has no data, whatever size it has', (type) => {
    const first = header({ name: 'first', type, link: 'x', size: 700 }, 0);
    const found = read(Buffer.concat([first, tar([{ name: 'second', data: 'x' }])]));
    expect(found.map(({ name, size }) => [name, size])).toEqual([
      ['first', 0],
      ['second', 1],
    ]);
  });

  test('takes its long name from the header before it', () => {
    const long = 'n'.repeat(300);
    const bytes = Buffer.concat([
      header({ name: '././@LongLink', type: 'L' }, 301),
      Buffer.from(`${long}\0`.padEnd(512, '\0')),
      tar([{ name: 'short', data: 'x' }]),
    ]);
    expect(read(bytes)).toMatchObject([{ name: long, size: 1 }]);
  });
});

describe('a pax header', () => {
  test('says what was put into it', () => {
    const keys = fc.stringMatching(/^[a-zA-Z.]{1,20}$/);
    fc.assert(
      fc.property(fc.dictionary(keys, fc.string({ maxLength: 200 })), (records) => {
        const expected = Object.entries(records).map(([key, value]) => [key, latin(Buffer.from(value, 'utf8'))]);
        expect(parsePax(latin(paxRecords(records)))).toEqual(expected);
      }),
    );
  });

  test('of any bytes is read or refused, and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (text) => {
        try {
          parsePax(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  test('goes before the header it is about', () => {
    const pax = { path: 'other', uid: '3000000', mtime: '1.5', 'SCHILY.xattr.user.a': 'b', linkpath: 'there' };
    expect(one({ name: 'name', type: '2', link: 'here', pax })).toMatchObject({
      name: 'other',
      uid: 3_000_000,
      seconds: 1,
      nanoseconds: 500_000_000,
      linkName: 'there',
      xattrs: [['user.a', 'b']],
    });
  });

  test('that is global holds for all that follow, but for what they say themselves', () => {
    const records = paxRecords({ uid: '7', gid: '8' });
    const common = Buffer.concat([
      header({ name: 'g', type: 'g' }, records.length),
      records,
      Buffer.alloc(512 - records.length),
    ]);
    const found = read(Buffer.concat([common, tar([{ name: 'a', pax: { uid: '9' } }, { name: 'b' }])]));
    expect(found.map(({ uid, gid }) => [uid, gid])).toEqual([
      [9, 8],
      [7, 8],
    ]);
  });

  test.each([
    ['0', { seconds: 0, nanoseconds: 0 }],
    ['1700000000.25', { seconds: 1_700_000_000, nanoseconds: 250_000_000 }],
    ['1.0000000019', { seconds: 1, nanoseconds: 1 }],
    ['-1.5', { seconds: -2, nanoseconds: 500_000_000 }],
    ['-3', { seconds: -3, nanoseconds: 0 }],
  ])('has the time %s', (text, time) => {
    expect(paxTime('mtime', text)).toEqual(time);
  });

  test.each(['', '1e9', '1.2.3', ' 1', '0x1', '1'.repeat(20)])('has no time %j', (text) => {
    expect(() => paxTime('mtime', text)).toThrow(RangeError);
  });
});

describe('the fate of an entry', () => {
  const fate = (entry: Partial<Entry>) => fateOf({ ...one({ name: 'x' }), ...entry });

  test('is never a path that leads out', () => {
    const part = fc.constantFrom('..', '.', '', 'a', '.wh.b', '.wh..wh..opq', '.wh...', 'c d', '.wh..wh.plnk');
    const name = fc.array(part, { maxLength: 8 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(name, name, fc.constantFrom('0', '1', '2', '3', '5', '6'), (path, linkName, type) => {
        try {
          const found = fate({ name: path, linkName, type, major: 1 });
          const paths = [...('path' in found ? [found.path] : []), ...(found.kind === 'link' ? [found.target] : [])];
          for (const clean of paths) {
            expect(clean).not.toMatch(/^\//);
            expect(clean.split('/')).not.toContain('..');
            expect(clean === '' || clean.split('/').every((each) => each !== '' && each !== '.')).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
      }),
    );
  });

  test.each([
    ['./a//b/', '5', { kind: 'directory', path: 'a/b' }],
    ['./', '5', { kind: 'directory', path: '' }],
    ['/', '5', { kind: 'directory', path: '' }],
    ['a/.wh.b', '0', { kind: 'whiteout', path: 'a/b' }],
    ['.wh.b', '0', { kind: 'whiteout', path: 'b' }],
    ['a/.wh..wh..opq', '0', { kind: 'opaque', path: 'a' }],
    ['.wh..wh..opq', '0', { kind: 'opaque', path: '' }],
    ['.wh..wh.plnk', '5', { kind: 'nothing' }],
    ['.wh..wh.plnk/1.2', '0', { kind: 'nothing' }],
    ['..a/b..', '0', { kind: 'file', path: '..a/b..' }],
    ['...', '0', { kind: 'file', path: '...' }],
  ])('of %s', (name, type, expected) => {
    expect(fate({ name, type })).toEqual(expected);
  });
});
