// The proof of the compiler: our program and libseccomp's give the same verdict for every call.
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { TsrunError } from '../../src/errors.ts';
import { isPermissive, NOT_IMPLEMENTED, verdictOf, wordVerdict } from '../../src/seccomp/actions.ts';
import { type Native, syscallNumbers } from '../../src/seccomp/architectures.ts';
import { decode } from '../../src/seccomp/bpf.ts';
import { compileFilter } from '../../src/seccomp/compile.ts';
import { type Call, interpret } from '../../src/seccomp/interpret.ts';
import { judge } from '../../src/seccomp/judge.ts';
import { type Filter, resolveRules } from '../../src/seccomp/rules.ts';
import type { Arch, LinuxSeccomp, LinuxSyscall } from '../../src/spec/types.ts';
import { defaultProfile, hasProfile } from '../seccomp/profiles.ts';
import { Random, randomCalls, randomProfile } from '../seccomp/random.ts';
import { header, type Reference, referencesOf, tokens } from '../seccomp/reference.ts';

const PROFILES = Number(process.env['TSRUN_TEST_PROFILES'] ?? 5000);
const CALLS = 200;
const X32_BIT = 0x40000000;

// runc's addition to libseccomp's program: calls above the highest number that the profile knows do not exist.
function isNewer(profile: LinuxSeccomp, { highest }: Reference, { audit, number }: Call): boolean {
  if (isPermissive(profile.defaultAction)) return false;
  const archs = profile.architectures ?? [];
  const place = archs.findIndex((arch) => {
    if (arch === 'SCMP_ARCH_X32') return audit === 0xc000003e && (number & X32_BIT) !== 0;
    return tokens[arch] === audit && !(arch === 'SCMP_ARCH_X86_64' && (number & X32_BIT) !== 0);
  });
  const most = highest[place] ?? 0;
  return most > 0 && number > most;
}

function show(profile: LinuxSeccomp, call: Call): string {
  const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value);
  return `call ${call.number} of 0x${call.audit.toString(16)} with ${JSON.stringify(call.args)} under ${JSON.stringify(profile, plain)}`;
}

interface Doubt {
  readonly profile: LinuxSeccomp;
  readonly call: Call;
  readonly mine: number;
  readonly theirs: number;
  readonly where: string;
}

interface Tally {
  profiles: number;
  calls: number;
  // libseccomp's program for the profile says something else than its programs for each of the rules alone.
  contradictions: number;
}

const sameArch = (arch: Arch, { audit, number }: Call): boolean => {
  if (audit === 0xc000003e && number !== 0xffffffff)
    return arch === ((number & X32_BIT) === 0 ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_X32');
  return tokens[arch] === audit;
};

// libseccomp 2.5 has slips where several rules with arguments meet: it tests the lower half of an argument for what the
// upper should be, and forgets to load the number of the call. So where it differs from us it is asked again, for each
// rule of the call by itself: the answers together are what the profile says.
// With one rule alone the number may not be loaded; this one is for a call that no profile of these tests names.
const other: LinuxSyscall = { names: ['uname'], action: 'SCMP_ACT_TRACE', errnoRet: 99 };

function settle(doubts: readonly Doubt[]): void {
  const alone = doubts.flatMap(({ profile, call }) =>
    (profile.syscalls ?? []).flatMap((rule) =>
      splitArgs(rule).map((part) => ({
        ...profile,
        architectures: (profile.architectures ?? []).filter((arch) => sameArch(arch, call)),
        syscalls: [part, other],
      })),
    ),
  );
  const answers = referencesOf(alone);
  let next = 0;
  for (const { profile, call, mine, theirs, where } of doubts) {
    const byDefault = verdictOf(profile.defaultAction, profile.defaultErrnoRet);
    const said = new Set<number>();
    for (const rule of profile.syscalls ?? []) {
      for (const _ of splitArgs(rule)) {
        const verdict = interpret((answers[next++] as Reference).program, call).verdict;
        if (verdict !== byDefault && verdict === verdictOf(rule.action, rule.errnoRet)) said.add(verdict);
      }
    }
    if (said.size === 0) said.add(byDefault);
    if (!said.has(mine))
      expect(mine, `${where}: libseccomp says ${theirs}, and for each rule alone ${[...said].join()}`).toBe(theirs);
  }
}

// Two conditions on one argument are two rules.
function splitArgs(rule: LinuxSyscall): LinuxSyscall[] {
  const args = rule.args ?? [];
  const isTwice = new Set(args.map(({ index }) => index)).size < args.length;
  return isTwice ? args.map((arg) => ({ ...rule, args: [arg] })) : [rule];
}

function compare(native: Native, seed: number, count: number): Tally {
  const random = new Random(seed);
  const profiles = Array.from({ length: count }, () => randomProfile(random, native));
  const references = referencesOf(profiles);
  const doubts: Doubt[] = [];
  let [compared, calls, stricter] = [0, 0, 0];
  profiles.forEach((profile, index) => {
    const reference = references[index] as Reference;
    const where = `profile ${index} of seed ${seed}`;
    let filter: Filter;
    try {
      filter = resolveRules(profile, { native, refuseUnknown: false });
    } catch (error) {
      expect(error, where).toBeInstanceOf(TsrunError);
      if (reference.status === 'ok') stricter++;
      return;
    }
    // Some contradictions it refuses, and some it resolves by the order of the rules.
    if (reference.status !== 'ok') {
      expect(reference.status, where).toBe('EEXIST');
      return;
    }
    compared++;
    const [ours, theirs] = [decode(compileFilter(filter)), decode(reference.program)];
    for (const call of randomCalls(random, profile, native, CALLS)) {
      calls++;
      const mine = interpret(ours, call).verdict;
      const judged = judge(filter, call).verdict;
      if (judged !== mine) expect(judged, `${where}: ${show(profile, call)}`).toBe(mine);
      const newer = isNewer(profile, reference, call);
      const expected = newer ? NOT_IMPLEMENTED : interpret(theirs, call).verdict;
      if (mine === expected) continue;
      doubts.push({ profile, call, mine, theirs: expected, where: `${where}: ${show(profile, call)}` });
    }
  });
  settle(doubts);
  // It refuses contradictory rules as we do, unless its tree happens to keep them apart.
  expect(stricter).toBeLessThan(count * 0.005);
  return { profiles: compared, calls, contradictions: doubts.length };
}

describe.skipIf(!existsSync(header))('verdicts are those of libseccomp [needs libseccomp-dev]', () => {
  test(`${PROFILES} profiles for x86_64, x86 and x32`, { timeout: 120_000 }, () => {
    const { profiles, calls, contradictions } = compare('x86_64', 1, PROFILES);
    expect(profiles).toBeGreaterThan(PROFILES * 0.8);
    expect(contradictions / calls).toBeLessThan(0.01);
  });
  test(`${PROFILES / 5} profiles for aarch64 and arm`, { timeout: 120_000 }, () => {
    const { profiles, calls, contradictions } = compare('aarch64', 2, PROFILES / 5);
    expect(profiles).toBeGreaterThan(PROFILES * 0.15);
    expect(contradictions / calls).toBeLessThan(0.01);
  });

  for (const name of ['docker', 'podman'] as const) {
    test.skipIf(!hasProfile(name))(`${name}'s default profile, in a quarter of the instructions`, () => {
      const profile = defaultProfile(name);
      const filter = resolveRules(profile, { native: 'x86_64', refuseUnknown: false });
      const [reference] = referencesOf([profile]) as [Reference];
      const [ours, theirs] = [decode(compileFilter(filter)), decode(reference.program)];
      const random = new Random(3);
      for (const call of randomCalls(random, profile, 'x86_64', 20_000)) {
        const expected = isNewer(profile, reference, call) ? NOT_IMPLEMENTED : interpret(theirs, call).verdict;
        // What only we know the number of is newer than all that libseccomp knows.
        if (interpret(ours, call).verdict !== expected)
          expect(wordVerdict(expected), show(profile, call)).toBe(wordVerdict(interpret(ours, call).verdict));
      }
      const native = filter.architectures[0] as Filter['architectures'][number];
      const steps = (program: typeof ours) =>
        [...syscallNumbers(native.arch).values()].reduce(
          (sum, number) => sum + interpret(program, { audit: native.arch.audit, number, args: [] }).steps,
          0,
        );
      expect(steps(ours)).toBeLessThan(steps(theirs) / 4);
    });
  }
});
