// explain and --trace: every step as a person reads it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/execute/report.ts';
import { describe as describeStep } from '../../src/explain/describe.ts';
import { inOrder } from '../../src/explain/order.ts';
import { explainJson, explainText } from '../../src/explain/render.ts';
import { sectionOf } from '../../src/explain/sections.ts';
import { capabilityNames } from '../../src/linux/capabilities.ts';
import { MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY } from '../../src/linux/flags.ts';
import { layouts, type Step } from '../../src/plan/steps.gen.ts';
import { type Op, everything, happening, helloConfig, planOf, sample } from './plan-samples.ts';
import type { Json } from './spec-samples.ts';
import { stepNames, stepOf } from './wire-samples.ts';

const plan = () => planOf(everything(), { gate: '/gate' });
const step = <Name extends Step['op']>(op: Name, fields: Omit<Op<Name>, 'op' | 'from' | 'why'>): Step =>
  ({ op, from: '', why: '', ...fields }) as unknown as Step;

describe('the words for a step', () => {
  test.each(stepNames)('are words, whatever its fields hold: %s', (op) => {
    fc.assert(
      fc.property(stepOf(op), (made) => {
        // A program of any length would not be a device filter.
        const text = describeStep(made.op === 'attachDeviceFilter' ? { ...made, program: new Uint8Array(16) } : made);
        expect(typeof text).toBe('string');
        expect(text).toMatch(/^[a-z]/);
        expect(text).not.toContain('[object');
      }),
      { numRuns: 50 },
    );
  });

  test('never fail to know a value that a plan has', () => {
    fc.assert(
      fc.property(sample, ({ plan: any }) => {
        for (const each of happening(any)) {
          const text = describeStep(each);
          expect(text, each.op).not.toMatch(/undefined|NaN|null\b(?<!\/dev\/null)|\[object/);
          if (each.op === 'setMount' || each.op === 'setPropagation')
            expect(text, JSON.stringify(each)).not.toMatch(/ {2}| $|set {2}/);
        }
      }),
    );
  });

  const setMount = (fields: Partial<Op<'setMount'>>) =>
    describeStep(step('setMount', { slot: 8, set: 0, clear: 0, propagation: 0, recursive: 0, ...fields }));

  test.each<[string, string]>([
    [setMount({ set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID }), 'set ro,nosuid on it'],
    [setMount({ set: MOUNT_ATTR_RDONLY, recursive: 1 }), 'set ro on its tree'],
    [setMount({ clear: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID }), 'set rw,suid on it'],
    [setMount({ clear: MOUNT_ATTR__ATIME }), 'set relatime on it'],
    [setMount({ set: MOUNT_ATTR_NOATIME, clear: MOUNT_ATTR__ATIME }), 'set noatime on it'],
    [setMount({ propagation: 1 << 20, recursive: 1 }), 'make it rshared'],
    [
      describeStep(step('setCapabilities', { effective: 2 ** 39, permitted: 1 + 2 ** 39, inheritable: 0, ambient: 0 })),
      'set capabilities: effective CAP_BPF; permitted CAP_CHOWN CAP_BPF; inheritable none; ambient none',
    ],
    [
      describeStep(step('setRlimit', { resource: 7, soft: 1, hard: 2n ** 64n - 1n })),
      'set limit RLIMIT_NOFILE: soft 1, hard 18446744073709551615',
    ],
    [
      describeStep(step('launch', { namespaces: 0x20020000, inCgroup: 1, preserveFds: 0, process: -1 })),
      'launch tsrun-init in new namespaces: mount pid, born in the cgroup',
    ],
    [
      describeStep(
        step('makeDevice', { path: '/dev/null', mode: 0o20666, major: 1, minor: 3, uid: 0, gid: 0, bind: 1 }),
      ),
      'bind device /dev/null 1:3, mode 0666',
    ],
    [describeStep(step('findExecutable', { name: '/bin/sh', path: '/usr/bin' })), 'find /bin/sh'],
    [describeStep(step('findExecutable', { name: 'sh', path: '/usr/bin' })), 'find sh in /usr/bin'],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected);
  });

  test('name every capability', () => {
    const keep = 2n ** BigInt(capabilityNames.length) - 1n;
    expect(describeStep(step('dropBounding', { keep }))).toBe(
      `drop capabilities from the bounding set, all but: ${capabilityNames.join(' ')}`,
    );
  });

  test('name the source of a new file system where it says more than its type', () => {
    const text = describeStep(
      step('mount', { source: '/dev/sdb1', fstype: 'ext4', options: [], attributes: 0, instead: '', also: 0 }),
    );
    expect(text).toContain('/dev/sdb1');
  });
});

describe('the section', () => {
  test('is known for every field that a step of a plan names', () => {
    fc.assert(
      fc.property(sample, ({ plan: any }) => {
        for (const { from } of happening(any))
          if (from !== '') expect(sectionOf(from), from).toMatch(/^config(-linux)?\.md#[a-z-]+$/);
      }),
    );
    for (const { from } of happening(plan())) if (from !== '') expect(sectionOf(from), from).not.toBe('');
  });

  test.each([
    ['/process/rlimits/0', 'config.md#posix-process'],
    ['/process/user', 'config.md#posix-platform-user'],
    ['/process/user/uid', 'config.md#posix-platform-user'],
    ['/process/args/0', 'config.md#process'],
    ['/mounts/10/destination', 'config.md#mounts'],
    ['/linux/resources/memory/limit', 'config-linux.md#control-groups'],
    ['/linux/sysctl/net~1core', 'config-linux.md#sysctl'],
    ['', ''],
  ])('of %j is %j', (pointer, section) => {
    expect(sectionOf(pointer)).toBe(section);
  });

  test('is not that of a field whose name only begins alike', () => {
    expect(sectionOf('/mountsome')).toBe('');
    expect(sectionOf('/process/userland')).toBe('config.md#process');
  });
});

describe('the order', () => {
  test('has every step of both sides once, each side in its own order', () => {
    fc.assert(
      fc.property(sample, ({ plan: any }) => {
        const placed = inOrder(any);
        for (const side of ['host', 'init'] as const) {
          const mine = placed.filter((each) => each.side === side);
          expect(mine.map(({ step: own }) => own)).toEqual(any[side]);
          expect(mine.map(({ index }) => index)).toEqual(any[side].map((_, index) => index));
        }
      }),
    );
  });
});

const reportOf = (some: Partial<Report>): Report => ({
  done: [],
  failed: undefined,
  pid: 0,
  pidfd: undefined,
  control: undefined,
  console: undefined,
  ...some,
});

describe('as text', () => {
  test('a step takes two lines: what is done, and why', () => {
    fc.assert(
      fc.property(sample, ({ plan: any }) => {
        const lines = explainText(any).split('\n');
        expect(lines.pop()).toBe('');
        const steps = happening(any);
        expect(lines).toHaveLength(steps.length * 2);
        steps.forEach((each, index) => {
          expect(lines[index * 2]).toMatch(new RegExp(`^ *${index + 1} {2}(host|init) {2}\\S`));
          expect(lines[index * 2 + 1]).toContain(each.why);
          expect(lines[index * 2 + 1]).toContain(each.from === '' ? 'the runtime itself' : each.from);
        });
      }),
    );
  });

  test('a step stays in its lines, whatever texts the configuration has', () => {
    const config = helloConfig();
    config.process.args = ['sh', '-c', 'echo one\necho two'];
    config.hooks = { startContainer: [{ path: '/bin/h', args: ['h', 'a\nb'] }] };
    config.process.cwd = '/a\nb';
    const made = planOf(config);
    expect(explainText(made).split('\n')).toHaveLength(happening(made).length * 2 + 1);
  });

  test('a step shows what would steer a terminal, and does not do it', () => {
    const config = helloConfig();
    config.process.args = ['a\x1b[2Jb\x7f\x9bc'];
    const text = explainText(planOf(config));
    expect(text).toContain('exec a\\u001b[2Jb\\u007f\\u009bc');
    // oxlint-disable-next-line no-control-regex
    expect(text.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });

  test('a trace says of each step what the kernel answered and how long it took', () => {
    const made = plan();
    const report = reportOf({
      done: [
        { side: 'host', step: 0, result: 0, nanoseconds: 1_234_567 },
        { side: 'init', step: 0, result: 0, nanoseconds: 1000 },
      ],
      failed: {
        side: 'init',
        step: 1,
        errno: 1,
        call: 'x',
        object: '',
        message: '',
        result: 0,
        nanoseconds: 5000,
        broken: false,
      },
    });
    const lines = explainText(made, report).split('\n');
    const lineOf = (side: string, index: number) => {
      const placed = inOrder(made).findIndex((each) => each.side === side && each.index === index);
      return lines[placed * 2];
    };
    expect(lineOf('host', 0)).toMatch(/^ *\d+ {2}ok 1\.235 ms +host/);
    expect(lineOf('init', 0)).toMatch(/^ *\d+ {2}ok 0\.001 ms +init/);
    expect(lineOf('init', 1)).toMatch(/^ *\d+ {2}EPERM 0\.005 ms +init/);
    expect(lineOf('init', 2)).toMatch(/^ *\d+ {2}- +init/);
  });
});

describe('as JSON', () => {
  const parsed = (text: string): Json[] => JSON.parse(text) as Json[];

  test('it is a list that can be parsed, with all that the text says', () => {
    fc.assert(
      fc.property(sample, ({ plan: any }) => {
        const steps = happening(any);
        const list = parsed(explainJson(any));
        expect(list).toHaveLength(steps.length);
        list.forEach((entry, index) => {
          const each = steps[index] as Step;
          expect(entry).toMatchObject({
            number: index + 1,
            op: each.op,
            from: each.from,
            why: each.why,
            text: describeStep(each),
          });
          expect(entry.spec).toBe(sectionOf(each.from));
          expect(Object.keys(entry.arguments).toSorted()).toEqual(
            layouts[each.op].fields.map(([name]) => name).toSorted(),
          );
          expect(entry).not.toHaveProperty('answer');
        });
      }),
      { numRuns: 50 },
    );
  });

  test('it has bytes as hexadecimal digits and 64-bit values as text', () => {
    const list = parsed(explainJson(plan()));
    expect(list.find(({ op }) => op === 'attachDeviceFilter').arguments.program).toMatch(/^([0-9a-f]{16})+$/);
    const limits = list.filter(({ op }) => op === 'setRlimit').map(({ arguments: args }) => args.hard);
    expect(limits).toContain('18446744073709551615');
  });

  test('it has answers and times with a report only', () => {
    const made = plan();
    const list = parsed(
      explainJson(
        made,
        reportOf({
          done: [{ side: 'host', step: 0, result: 0, nanoseconds: 2_500_000 }],
          failed: {
            side: 'host',
            step: 1,
            errno: 28,
            call: 'mkdir',
            object: '',
            message: '',
            result: 0,
            nanoseconds: 1,
            broken: false,
          },
        }),
      ),
    );
    expect(list[0]).toMatchObject({ answer: 'ok', milliseconds: 2.5 });
    expect(list[1]).toMatchObject({ answer: 'ENOSPC' });
    expect(list[2]).toMatchObject({ answer: null, milliseconds: null });
  });
});
