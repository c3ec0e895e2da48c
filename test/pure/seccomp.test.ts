// linux.seccomp compiled: what the program says is what the rules say, whatever the rules are.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { knownActions, wordVerdict } from '../../src/seccomp/actions.ts';
import { architecturesFor, knownArchitectures, syscallNumbers } from '../../src/seccomp/architectures.ts';
import { decode, encode } from '../../src/seccomp/bpf.ts';
import { compileFilter, compileSeccomp } from '../../src/seccomp/compile.ts';
import { knownOperators } from '../../src/seccomp/conditions.ts';
import { flagsOf, knownFlags } from '../../src/seccomp/flags.ts';
import { interpret } from '../../src/seccomp/interpret.ts';
import { judge } from '../../src/seccomp/judge.ts';
import { printProgram } from '../../src/seccomp/print.ts';
import { resolveRules } from '../../src/seccomp/rules.ts';
import type { LinuxSeccomp, LinuxSeccompArg } from '../../src/spec/types.ts';
import { Random, randomCalls, randomProfile } from '../seccomp/random.ts';
import { parse, problemsOf } from './spec-samples.ts';
import { everything, planOf } from './plan-samples.ts';

const options = { native: 'x86_64', refuseUnknown: false } as const;
const X86_64 = 0xc000003e;

const call = (number: number, ...args: bigint[]) => ({
  audit: X86_64,
  number,
  args: Array.from({ length: 6 }, (_, i) => {
    const value = args[i] ?? 0n;
    return [Number(value >> 32n), Number(value & 0xffffffffn)] as [number, number];
  }),
});

const numbers: Record<string, number> = { read: 0, write: 1, ioctl: 16, getpid: 39, clone: 56, openat: 257 };
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 3n }));

// The profile read as the specification words it, with nothing of the compiler.
function naive(arg: LinuxSeccompArg, value: bigint): boolean {
  const [a, b] = [BigInt(arg.value), BigInt(arg.valueTwo ?? 0)];
  const results = {
    SCMP_CMP_NE: value !== a,
    SCMP_CMP_LT: value < a,
    SCMP_CMP_LE: value <= a,
    SCMP_CMP_EQ: value === a,
    SCMP_CMP_GE: value >= a,
    SCMP_CMP_GT: value > a,
    SCMP_CMP_MASKED_EQ: (value & a) === (b & a),
  };
  return results[arg.op];
}

const condition = (index: number): fc.Arbitrary<LinuxSeccompArg> =>
  fc.record({ index: fc.constant(index), op: fc.constantFrom(...knownOperators), value: uint64, valueTwo: uint64 });
const rule = fc.record({
  names: fc.uniqueArray(fc.constantFrom(...Object.keys(numbers)), { minLength: 1 }),
  args: fc.subarray([0, 1, 5]).chain((indices) => fc.tuple(...indices.map(condition))),
});

test('rules of one action are alternatives, their conditions hold together', () => {
  const values = fc.tuple(uint64, uint64, uint64, uint64, uint64, uint64);
  const wanted = fc.record({ rules: fc.array(rule, { maxLength: 6 }), values, pick: fc.nat(), close: fc.boolean() });
  fc.assert(
    fc.property(
      wanted,
      fc.constantFrom(...Object.entries(numbers)),
      ({ rules, values, pick, close }, [name, number]) => {
        const profile: LinuxSeccomp = {
          defaultAction: 'SCMP_ACT_KILL',
          syscalls: [
            ...rules.map((entry) => ({ ...entry, action: 'SCMP_ACT_ALLOW' as const })),
            { names: ['sync_file_range', 'statx'], action: 'SCMP_ACT_ALLOW' },
          ],
        };
        const known = rules.flatMap(({ args }) => args.map(({ value }) => BigInt(value)));
        const args = values.map((value, i) =>
          close && known.length > 0 ? (known[(pick + i) % known.length] ?? value) : value,
        );
        const allowed = rules.some(
          (entry) => entry.names.includes(name) && entry.args.every((arg) => naive(arg, args[arg.index] ?? 0n)),
        );
        const { verdict } = interpret(compileSeccomp(profile, options), call(number, ...args));
        expect(wordVerdict(verdict)).toBe(allowed ? 'ALLOW' : 'KILL_THREAD');
      },
    ),
    { numRuns: 2000 },
  );
});

test('programs are what the kernel takes, and say what the rules say', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const native = seed % 2 === 0 ? 'x86_64' : 'aarch64';
    const profile = randomProfile(random, native);
    let filter: ReturnType<typeof resolveRules>;
    try {
      filter = resolveRules(profile, { native, refuseUnknown: false });
    } catch {
      continue;
    }
    const bytes = compileFilter(filter);
    const program = decode(bytes);
    expect(encode(program)).toEqual(bytes);
    program.forEach(({ code, jt, jf, k }, at) => {
      const farthest = code === 0x05 ? k : Math.max(jt, jf);
      expect(at + 1 + (code === 0x06 ? -1 : farthest)).toBeLessThan(program.length);
    });
    expect(printProgram(bytes, () => '')).toHaveLength(program.length);
    for (const one of randomCalls(random, profile, native, 50))
      expect(judge(filter, one).verdict).toBe(interpret(program, one).verdict);
  }
});

const many = (count: number): LinuxSeccomp => ({
  defaultAction: 'SCMP_ACT_ERRNO',
  syscalls: [
    {
      names: [...syscallNumbers(architecturesFor('x86_64', [])[0] as never).keys()].filter(
        (_, index) => index % 2 === 0,
      ),
      action: 'SCMP_ACT_ALLOW',
    },
    ...Array.from({ length: count }, (_, index) => ({
      names:
        ['write', 'openat', 'kill'][index % 3] === undefined ? [] : [['write', 'socket', 'kill'][index % 3] as string],
      action: 'SCMP_ACT_ALLOW' as const,
      args: [
        { index: index % 6, op: 'SCMP_CMP_EQ' as const, value: index * 7 + 2 ** 33 * index },
        { index: (index + 1) % 6, op: 'SCMP_CMP_NE' as const, value: index },
      ].sort((a, b) => a.index - b.index),
    })),
  ],
});

test('far targets are reached', () => {
  const filter = resolveRules(many(400), options);
  const program = decode(compileFilter(filter));
  expect(program.length).toBeGreaterThan(1000);
  const random = new Random(1);
  for (const one of randomCalls(random, many(400), 'x86_64', 3000))
    expect(interpret(program, one).verdict).toBe(judge(filter, one).verdict);
});

test('more than the kernel takes is an error that says so', () => {
  expect(() => compileSeccomp(many(3000), options)).toThrow(
    /^\/linux\/seccomp in config\.json: the profile needs \d+ BPF instructions or more, and the kernel takes 4096/,
  );
});

test('an unknown name is passed over, or refused with its place', () => {
  const profile: LinuxSeccomp = {
    defaultAction: 'SCMP_ACT_KILL',
    syscalls: [{ names: ['read', 'raed'], action: 'SCMP_ACT_ALLOW' }],
  };
  expect(() => compileSeccomp(profile, options)).not.toThrow();
  expect(() => compileSeccomp(profile, { ...options, refuseUnknown: true })).toThrow(/syscalls\/0\/names\/1 .*"raed"/);
});

test('what can be asked for is listed', () => {
  expect(knownActions).toHaveLength(9);
  expect(knownOperators).toHaveLength(7);
  expect(knownArchitectures).toContain('SCMP_ARCH_X32');
  expect(flagsOf(knownFlags, true)).toBe(0x3f);
  expect(flagsOf(knownFlags, false)).toBe(0x07);
});

describe('the configuration', () => {
  const withSeccomp = (seccomp: object, process: object = {}) => {
    const config = everything();
    Object.assign(config.process, process);
    config.linux.seccomp = seccomp;
    return config;
  };
  const notify = { names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' };
  const allow = { defaultAction: 'SCMP_ACT_ALLOW' };

  test.each<[string, object, string]>([
    ['errno of an action that has none', { ...allow, defaultErrnoRet: 1 }, 'defaultErrnoRet'],
    [
      'errno of a rule that has none',
      { ...allow, syscalls: [{ names: ['read'], action: 'SCMP_ACT_KILL', errnoRet: 1 }] },
      'syscalls/0/errnoRet',
    ],
    ['default action NOTIFY', { defaultAction: 'SCMP_ACT_NOTIFY' }, 'defaultAction'],
    ['NOTIFY without an agent', { ...allow, syscalls: [notify] }, 'listenerPath'],
    [
      'NOTIFY on the call that hands over',
      { ...allow, listenerPath: '/a', syscalls: [{ ...notify, names: ['read', 'sendmsg'] }] },
      'syscalls/0/names/1',
    ],
    ['metadata for nobody', { ...allow, listenerMetadata: 'x' }, 'listenerMetadata'],
  ])('%s is refused', (_what, seccomp, pointer) => {
    const problems = problemsOf(JSON.stringify(withSeccomp(seccomp)));
    expect(problems.map((problem) => problem.pointer)).toEqual([`/linux/seccomp/${pointer}`]);
  });

  test('values keep their 64 bits, and more than that is refused', () => {
    const config = withSeccomp({
      ...allow,
      syscalls: [{ names: ['read'], action: 'SCMP_ACT_KILL', args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }] }],
    });
    const text = (value: string) => JSON.stringify(config).replace('"value":1,', `"value": ${value},`);
    expect(problemsOf(text('18446744073709551616')).map(({ pointer }) => pointer)).toEqual([
      '/linux/seccomp/syscalls/0/args/0/value',
    ]);
    expect(problemsOf(text('18446744073709551615'))).toEqual([]);
  });

  test('a profile that says nothing is none', () => {
    expect(parse(withSeccomp({ defaultAction: '', syscalls: null })).linux.seccomp).toBeUndefined();
  });

  const order = (seccomp: object, noNewPrivileges: boolean) => {
    const plan = planOf(withSeccomp(seccomp, { noNewPrivileges }), { seccomp: new Uint8Array(8) });
    return { init: plan.init.map(({ op }) => op), host: plan.host.map(({ op }) => op) };
  };

  test('with no_new_privs the filter is the last thing before exec', () => {
    expect(order(allow, true).init.slice(-3)).toEqual(['prepareExec', 'loadSeccomp', 'exec']);
  });

  test('without it the filter comes before the bounding set and the ids change', () => {
    const { init } = order(allow, false);
    expect(init[init.indexOf('loadSeccomp') + 1]).toBe('dropBounding');
  });

  test('a listener is handed over while the container is created', () => {
    for (const noNewPrivileges of [true, false]) {
      const { init, host } = order({ ...allow, listenerPath: '/a', syscalls: [notify] }, noNewPrivileges);
      expect(init.indexOf('loadSeccomp')).toBeLessThan(init.lastIndexOf('sync'));
      expect(host.indexOf('sendListener')).toBeGreaterThan(host.indexOf('launch'));
      expect(host.indexOf('sendListener')).toBeLessThan(host.lastIndexOf('awaitInit'));
    }
  });
});
