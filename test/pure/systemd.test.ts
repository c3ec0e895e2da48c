// The systemd manager without systemd: names of units, properties from limits and annotations, bytes on the bus.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseGvariant } from '../../src/cgroup/gvariant.ts';
import { cgroupWrites } from '../../src/cgroup/limits.ts';
import { unitName, unitPath } from '../../src/cgroup/unit.ts';
import { annotatedProperties } from '../../src/cgroup/unit-annotations.ts';
import { limitProperties } from '../../src/cgroup/unit-properties.ts';
import { Reader } from '../../src/dbus/decode.ts';
import { Writer } from '../../src/dbus/encode.ts';
import { decode, encodeCall, sizeOf } from '../../src/dbus/message.ts';
import { splitTypes, type Value } from '../../src/dbus/types.ts';
import type { Problem } from '../../src/errors.ts';
import { decodeText, encodeText } from '../../src/linux/utf8.ts';
import { planUnit } from '../../src/plan/unit.ts';
import type { LinuxResources } from '../../src/spec/types.ts';

describe('linux.cgroupsPath for systemd', () => {
  test.each([
    ['machine.slice:libpod:1234', 'libpod-1234.scope', '/cg/machine.slice/libpod-1234.scope'],
    ['a-b-c.slice:x:y', 'x-y.scope', '/cg/a.slice/a-b.slice/a-b-c.slice/x-y.scope'],
    ['-.slice:x:y', 'x-y.scope', '/cg/x-y.scope'],
    [':x:y', 'x-y.scope', '/cg/system.slice/x-y.scope'],
    ['::y', 'y.scope', '/cg/system.slice/y.scope'],
    [undefined, 'tsrun-web.scope', '/cg/system.slice/tsrun-web.scope'],
    ['', 'tsrun-web.scope', '/cg/system.slice/tsrun-web.scope'],
  ])('%s is %s', (path, name, directory) => {
    const unit = unitName(path, 'web', false);
    expect(unit.name).toBe(name);
    expect(unitPath(unit, '/cg', '')).toBe(directory);
  });

  test('of a user is below the cgroup of that manager', () => {
    const base = '/user.slice/user-1000.slice/user@1000.service';
    expect(unitPath(unitName(undefined, 'web', true), '/cg', base)).toBe(`/cg${base}/user.slice/tsrun-web.scope`);
  });

  test.each([
    '/a/b',
    'a:b',
    'a.slice:b:c:d',
    'a.slice:b:',
    'a.slice:b:c/d',
    'a/b.slice:b:c',
    'a--b.slice:x:y',
    'a.scope:x:y',
  ])('%s is refused by name', (path) => expect(() => unitName(path, 'web', false)).toThrow('/linux/cgroupsPath'));
});

describe('limits as properties', () => {
  const all = ['cpu', 'cpuset', 'hugetlb', 'io', 'memory', 'pids', 'rdma'];
  const of = (resources: LinuxResources) => {
    const { now, late } = limitProperties(cgroupWrites(resources, all).writes);
    return Object.fromEntries([...now, ...late].map(([name, { value }]) => [name, value]));
  };

  test('say what the files say', () => {
    expect(of({ memory: { limit: 1000, swap: 3000, reservation: 500 }, pids: { limit: 7 } })).toEqual({
      MemoryMax: 1000n,
      MemorySwapMax: 2000n,
      MemoryLow: 500n,
      TasksMax: 7n,
    });
    expect(of({ cpu: { quota: 12345, period: 50000, shares: 1024, cpus: '0-2,9', mems: '1' } })).toEqual({
      CPUQuotaPerSecUSec: 250000n,
      CPUQuotaPeriodUSec: 50000n,
      CPUWeight: 100n,
      AllowedCPUs: Uint8Array.of(7, 2),
      AllowedMemoryNodes: Uint8Array.of(2),
    });
    expect(of({ blockIO: { weight: 1000 } })).toEqual({ IOWeight: 10000n });
  });

  test('have a word for no limit', () => {
    expect(of({ memory: { limit: -1 }, pids: { limit: -1 }, cpu: { quota: -1 } })).toEqual({
      MemoryMax: 2n ** 64n - 1n,
      MemorySwapMax: 2n ** 64n - 1n,
      TasksMax: 2n ** 64n - 1n,
      CPUQuotaPerSecUSec: 2n ** 64n - 1n,
    });
  });

  test('follow `unified`, which wins, and leave to the cgroup what systemd does not know', () => {
    expect(
      of({
        memory: { limit: 1000 },
        unified: { 'memory.max': '2000', 'memory.high': '1500', 'rdma.max': 'x hca_handle=1' },
      }),
    ).toEqual({
      MemoryMax: 2000n,
      MemoryHigh: 1500n,
    });
  });

  test('keep the number of tasks for when init stands', () => {
    const { now, late } = limitProperties(cgroupWrites({ pids: { limit: 1 }, memory: { limit: 1000 } }, all).writes);
    expect(now.map(([name]) => name)).toEqual(['MemoryMax']);
    expect(late.map(([name]) => name)).toEqual(['TasksMax']);
  });
});

describe('annotations as properties', () => {
  const of = (annotations: Record<string, string>) => {
    const problems: Problem[] = [];
    const properties = annotatedProperties(annotations, problems);
    return { properties, pointers: problems.map(({ pointer }) => pointer) };
  };

  test('are typed as the text says, and seconds become microseconds', () => {
    expect(
      of({
        'org.systemd.property.CollectMode': "'inactive'",
        'org.systemd.property.TimeoutStopSec': '1.5',
        'org.systemd.property.After': "['a.service', 'b.service']",
        'org.example': 'x',
      }).properties,
    ).toEqual([
      ['CollectMode', { signature: 's', value: 'inactive' }],
      ['TimeoutStopUSec', { signature: 't', value: 1500000n }],
      ['After', { signature: 'as', value: ['a.service', 'b.service'] }],
    ]);
  });

  test('that are none are problems with their pointer', () => {
    expect(
      of({
        'org.systemd.property.lower': '1',
        'org.systemd.property.Good/Bad': '1',
        'org.systemd.property.Fine': 'x y',
      }).pointers,
    ).toEqual([
      '/annotations/org.systemd.property.lower',
      '/annotations/org.systemd.property.Good~1Bad',
      '/annotations/org.systemd.property.Fine',
    ]);
  });

  test('win over what tsrun sets by itself', () => {
    const unit = planUnit(
      { name: 'x.scope', slice: 'y.slice' },
      'x',
      '',
      { 'org.systemd.property.Delegate': 'false' },
      [],
    );
    expect(unit.properties.filter(([name]) => name === 'Delegate')).toEqual([
      ['Delegate', { signature: 'b', value: false }],
    ]);
  });
});

describe('GVariant text', () => {
  test.each<[string, string, Value]>([
    ['true', 'b', true],
    ['5', 'i', 5n],
    ['-5', 'i', -5n],
    ['uint64 18446744073709551615', 't', 2n ** 64n - 1n],
    ['@t 7', 't', 7n],
    ['byte 0xff', 'y', 255n],
    ['1.5', 'd', 1.5],
    ['"a\\"b\\n"', 's', 'a"b\n'],
    ["'x'", 's', 'x'],
    ["['a']", 'as', ['a']],
    ['@as []', 'as', []],
    ['[uint32 1, 2]', 'au', [1n, 2n]],
    ["('a', 1)", '(si)', ['a', 1n]],
    ["[('r', '/x')]", 'a(ss)', [['r', '/x']]],
    ['<5>', 'v', { signature: 'i', value: 5n }],
  ])('%s is a %s', (text, signature, value) => expect(parseGvariant(text)).toEqual({ signature, value }));

  test.each([
    '',
    'x',
    '5 5',
    '[',
    '[1,]',
    '[]',
    "[1, 'a']",
    'byte 256',
    'uint32 -1',
    "'a",
    '2147483648',
    '(',
    '()',
    'boolean 1',
    '<5',
  ])('%j is no value', (text) => expect(parseGvariant(text)).toBeUndefined());

  test('never fails on any text', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseGvariant(text)));
  });
});

describe('D-Bus bytes', () => {
  test('are padded as the specification shows', () => {
    const writer = new Writer();
    writer.all('yua(yv)sb', [1, 2, [[3, { signature: 'q', value: 4 }]], 'é', true]);
    expect([...writer.finish()]).toEqual([
      1, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 3, 1, 113, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 1, 0, 0,
      0,
    ]);
  });

  test('come back as the values that they were made from', () => {
    const value: fc.Arbitrary<[string, Value]> = fc.letrec<{ one: [string, Value] }>((tie) => ({
      one: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.nat(255).map((n): [string, Value] => ['y', n]),
        fc.integer({ min: -32768, max: 32767 }).map((n): [string, Value] => ['n', n]),
        fc.integer().map((n): [string, Value] => ['i', n]),
        fc.nat(0xffffffff).map((n): [string, Value] => ['u', n]),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((n): [string, Value] => ['x', n]),
        fc.bigInt(0n, 2n ** 64n - 1n).map((n): [string, Value] => ['t', n]),
        fc.double({ noNaN: true }).map((n): [string, Value] => ['d', n]),
        fc.boolean().map((b): [string, Value] => ['b', b]),
        fc.string({ unit: 'grapheme' }).map((s): [string, Value] => ['s', s]),
        tie('one').map(([signature, inner]): [string, Value] => ['v', { signature, value: inner }]),
        tie('one').map(([signature, inner]): [string, Value] => [`a${signature}`, [inner, inner]]),
        fc
          .array(tie('one'), { minLength: 1, maxLength: 3 })
          .map((list): [string, Value] => [`(${list.map(([s]) => s).join('')})`, list.map(([, v]) => v)]),
      ),
    })).one;
    fc.assert(
      fc.property(fc.array(value, { maxLength: 4 }), (list) => {
        const signature = list.map(([type]) => type).join('');
        expect(splitTypes(signature)).toEqual(list.map(([type]) => type));
        const writer = new Writer();
        writer.all(
          signature,
          list.map(([, one]) => one),
        );
        expect(new Reader(writer.finish(), true).all(signature)).toEqual(list.map(([, one]) => one));
      }),
    );
  });

  test('of a call are a message that can be cut out of a stream', () => {
    const bytes = encodeCall(
      { destination: 'a.b', path: '/x', interface: 'i.j', member: 'M', signature: 'su', values: ['text', 7] },
      9,
    );
    expect(sizeOf(bytes)).toBe(bytes.length);
    expect(sizeOf(bytes.subarray(0, 15))).toBeUndefined();
    expect(decode(bytes)).toMatchObject({ type: 1, interface: 'i.j', member: 'M', values: ['text', 7] });
  });

  test('that end early are an error', () => {
    const bytes = encodeCall(
      { destination: 'a.b', path: '/x', interface: 'i.j', member: 'M', signature: 's', values: ['text'] },
      1,
    );
    for (let size = 16; size < bytes.length; size++) expect(() => decode(bytes.subarray(0, size))).toThrow(RangeError);
  });
});

test('text comes back from its UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(encodeText(text)).toEqual(Uint8Array.from(Buffer.from(text)));
      expect(decodeText(encodeText(text))).toBe(text);
    }),
  );
});
