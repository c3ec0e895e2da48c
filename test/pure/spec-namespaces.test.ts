// What one namespace demands or forbids of the rest of config.json.
import { describe, expect, test } from 'vitest';
import { complaints, type Json } from './spec-samples.ts';

const time = (c: Json): Json => c.linux.namespaces[7];

describe('linux.timeOffsets is refused', () => {
  test.each<readonly [string, (c: Json) => void, string | RegExp]>([
    [
      'without a time namespace',
      (c) => c.linux.namespaces.splice(7, 1),
      /^\/linux\/timeOffsets: \(nothing\) without a new time namespace, .* \(add \{"type":"time"\} to \/linux\/namespaces\)$/,
    ],
    [
      'with a joined time namespace',
      (c) => (time(c).path = '/proc/1/ns/time'),
      /^\/linux\/timeOffsets: \(nothing\) without a new time namespace, .*\}$/,
    ],
    [
      'for a clock that no time namespace has',
      (c) => (c.linux.timeOffsets.realtime = { secs: 1 }),
      '/linux/timeOffsets/realtime: one of the clocks monotonic, boottime, {"secs":1}',
    ],
    [
      'with a whole second of nanoseconds',
      (c) => (c.linux.timeOffsets.boottime.nanosecs = 1e9),
      '/linux/timeOffsets/boottime/nanosecs: an integer from 0 to 999999999, 1000000000',
    ],
    [
      'with half a second',
      (c) => (c.linux.timeOffsets.boottime.secs = 0.5),
      '/linux/timeOffsets/boottime/secs: an integer of 64 bits, 0.5',
    ],
  ])('%s', (_name, change, complaint) => {
    const found = complaints(change);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(complaint);
  });

  test('but not where it is empty', () => {
    expect(
      complaints((c) => {
        c.linux.namespaces.splice(7, 1);
        c.linux.timeOffsets = {};
      }),
    ).toEqual([]);
  });
});

test('a joined user namespace may have its mappings beside it, as engines write them, or none', () => {
  expect(complaints((c) => (c.linux.namespaces[5].path = '/proc/1/ns/user'))).toEqual([]);
  expect(
    complaints((c) => {
      c.linux.namespaces[5].path = '/proc/1/ns/user';
      delete c.linux.uidMappings;
      delete c.linux.gidMappings;
    }),
  ).toEqual([]);
});
