// The protobuf codec: against protobufjs, against bytes that no honest sender writes, and where its contract has edges.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import { type Message, message } from '../../src/proto/message.ts';
import { DecodeError } from '../../src/proto/reader.ts';
import { Any, pack, Timestamp, unpack } from '../../src/proto/well-known.ts';
import { everything, forPeer, messages, peerOf, valueOf } from './proto-samples.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');

const all: readonly (readonly [string, Message])[] = [everything, ...messages].map((table) => [table.name, table]);

describe('a value', () => {
  test.each(all)('comes back from its bytes, and from those of protobufjs: %s', (_name, table) => {
    const peer = peerOf(table);
    fc.assert(
      fc.property(valueOf(table), (value) => {
        const ours = encode(table, value as object);
        expect(decode(table, ours)).toEqual(value);
        const theirs = peer.encode(forPeer(table, value)).finish();
        expect(decode(table, Uint8Array.from(theirs))).toEqual(value);
      }),
      { numRuns: 60 },
    );
  });

  test.each(all)('is read by protobufjs: %s', (_name, table) => {
    const peer = peerOf(table);
    fc.assert(
      fc.property(valueOf(table), (value) => {
        const read = peer.decode(encode(table, value as object));
        // Its own encoder wrote every field; what counts is that both readers see the same.
        const again = decode(table, Uint8Array.from(peer.encode(read).finish()));
        expect(again).toEqual(value);
      }),
      { numRuns: 60 },
    );
  });

  test('has its fields in the order of their numbers, and none that are zero', () => {
    for (const table of [everything, ...messages]) {
      const numbers = table.entries.map(({ number }) => number);
      if (table !== everything) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(numbers.length);
      expect(encode(table, {})).toEqual(new Uint8Array(0));
      expect(encode(table, decode(table, new Uint8Array(0)))).toEqual(new Uint8Array(0));
    }
  });
});

const Numbers = message('Numbers', () => ({
  int32: [1, 'int32'],
  uint32: [2, 'uint32'],
  int64: [3, 'int64'],
  uint64: [4, 'uint64'],
  bool: [5, 'bool'],
  double: [6, 'double'],
}));

describe('a number', () => {
  test.each([
    [{ uint64: 18446744073709551615n }, '20ffffffffffffffffff01'],
    [{ uint64: 2 ** 53 - 1 }, '20ffffffffffffff0f'],
    [{ uint64: 2n ** 53n }, '208080808080808010'],
    [{ int64: -1 }, '18ffffffffffffffffff01'],
    [{ int64: -62135596800 }, '188092b8c398feffffff01'],
    [{ int64: -(2n ** 63n) }, '1880808080808080808001'],
    [{ int32: -5 }, '08fbffffffffffffffff01'],
    [{ uint32: 4294967295 }, '10ffffffff0f'],
    [{ bool: true }, '2801'],
    [{ double: 0.5 }, '31000000000000e03f'],
    [{ double: -0 }, '310000000000000080'],
  ])('%o', (value, expected) => {
    expect(hex(encode(Numbers, value))).toBe(expected);
    expect(decode(Numbers, bytes(expected))).toMatchObject(value);
  });

  test('is the same as a number or as a bigint', () => {
    expect(encode(Numbers, { uint64: 7n, int64: -7n })).toEqual(encode(Numbers, { uint64: 7, int64: -7 }));
    expect(encode(Numbers, { uint64: 0n })).toEqual(new Uint8Array(0));
  });

  test('of 32 bits keeps the lower half of what was sent', () => {
    expect(decode(Numbers, bytes('0885808080f0ffffffff01'))).toMatchObject({ int32: 5 });
    expect(decode(Numbers, bytes('10ffffffffffffffffff01'))).toMatchObject({ uint32: 4294967295 });
  });

  test('may be written longer than it needs to be', () => {
    expect(decode(Numbers, bytes('20 8780808080808080 8000'))).toMatchObject({ uint64: 7 });
  });
});

const Nested = message('Nested', () => ({
  one: [1, Numbers],
  list: [2, Numbers, 'repeated'],
  words: [3, 'string', 'repeated'],
  map: [4, 'string', 'map'],
  packed: [5, 'uint64', 'repeated'],
  children: [6, Numbers, 'map'],
}));

describe('what a sender may do', () => {
  test('a message in two parts is put together, a scalar is the last', () => {
    const { one } = decode(Nested, bytes('0a021001 0a022801 0a021007'));
    expect(one).toMatchObject({ uint32: 7, bool: true });
  });

  test('numbers come packed and one by one', () => {
    expect(decode(Nested, bytes('2801 2a020203 2804')).packed).toEqual([1, 2, 3, 4]);
  });

  test('a pair of a map may be without key or value, and the last of a key counts', () => {
    expect([...decode(Nested, bytes('2200 22030a0161 22060a016112 0162')).map]).toEqual([
      ['', ''],
      ['a', 'b'],
    ]);
    expect(decode(Nested, bytes('32030a0161')).children.get('a')).toMatchObject({ uint32: 0, bool: false });
  });

  test('a key of a map is only a key', () => {
    const { map } = decode(Nested, encode(Nested, { map: new Map([['__proto__', 'x']]) }));
    expect(map.get('__proto__')).toBe('x');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('unknown fields of every wire type are passed over', () => {
    const unknown = '7801 790000000000000000 7a026162 7d00000000 7b 0801 7b 7c 7c';
    expect(decode(Numbers, bytes(`${unknown}1007${unknown}`))).toEqual(decode(Numbers, bytes('1007')));
  });

  test('a known field of another wire type is unknown', () => {
    expect(decode(Numbers, bytes('12026162 1007'))).toMatchObject({ uint32: 7 });
    expect(decode(Nested, bytes('0801 1801 2001 2d00000000')).packed).toEqual([]);
  });

  test('text may hold every character', () => {
    const words = ['', '\0', 'ä', '€', '😀', '\ufffd', 'x'.repeat(10_000), 'ü'.repeat(5000)];
    expect(decode(Nested, encode(Nested, { words })).words).toEqual(words);
  });
});

describe('bytes that are no message', () => {
  test.each([
    ['0a', 'Nested.one: the message ends early'],
    ['0a05', 'Nested.one: the message ends early'],
    ['0a0110', 'Nested.one.uint32: the message ends early'],
    ['0affffffff7f', 'Nested.one: the message ends early'],
    ['0a80808080808080808002', 'Nested.one: a number has more than 64 bits'],
    ['0affffffffffffffffff01', 'Nested.one: the message ends early'],
    ['0a08 31 00000000000000', 'Nested.one.double: the message ends early'],
    ['1a02c3', 'Nested.words: the message ends early'],
    ['1a02c328', 'Nested.words: the text is not UTF-8'],
    ['1a03eda080', 'Nested.words: the text is not UTF-8'],
    ['2205 0a03 6162', 'Nested.map: the message ends early'],
    ['2203 0a01 ff', 'Nested.map.key: the text is not UTF-8'],
    ['2a0180', 'Nested.packed: the message ends early'],
    ['0001', 'Nested: there is no field of such a number'],
    ['8080808080808010', 'Nested: there is no field of such a number'],
    ['7c', 'Nested: a group ends that did not begin'],
    ['7b 74', 'Nested: a group ends that did not begin'],
    ['7b', 'Nested: the message ends early'],
    ['7b'.repeat(200), 'Nested: groups are nested too deeply'],
    ['7e', 'Nested: wire type 6 does not exist'],
    ['80', 'Nested: the message ends early'],
  ])('%s', (given, expected) => {
    expect(() => decode(Nested, bytes(given))).toThrow(
      new DecodeError(...(expected.split(/: (.*)/) as [string, string])),
    );
  });

  test.each(all)('give a value or one clear error, soon: %s', (_name, table) => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged(table)), (given) => {
        try {
          decode(table, given);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          expect((error as Error).message.startsWith(table.name)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** A good message with some bytes changed, taken out, or put twice. */
const damaged = (table: Message): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(valueOf(table), fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { minLength: 1, maxLength: 4 }))
    .map(([value, changes]) => {
      let given = [...encode(table, value as object)];
      for (const [where, byte, how] of changes) {
        const at = given.length === 0 ? 0 : where % given.length;
        if (how === 0) given[at] = byte;
        else if (how === 1) given.splice(at, 1);
        else given = [...given.slice(0, at), ...given.slice(at >> 1)];
      }
      return Uint8Array.from(given);
    });

describe('Any', () => {
  test('has the bare name, and gives back only what was asked for', () => {
    const any = pack(Timestamp, { seconds: 5 });
    expect(any.typeUrl).toBe('google.protobuf.Timestamp');
    expect(unpack(Timestamp, any)).toEqual({ seconds: 5, nanos: 0 });
    expect(unpack(Any, any)).toBeUndefined();
  });
});
