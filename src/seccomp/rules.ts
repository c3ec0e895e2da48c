// linux.seccomp -> for each architecture the rules of each system call, in the order in which they are tried.

import { badSeccomp } from '../errors.ts';
import { foreignCalls } from '../linux/syscalls.ts';
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from '../spec/types.ts';
import { isPermissive, verdictOf } from './actions.ts';
import { type Architecture, architecturesFor, multiplexed, type Native, syscallNumbers } from './architectures.ts';
import { compareConditions, type Condition, conditionOf, sameCondition } from './conditions.ts';

/** All conditions hold: the verdict. */
export interface Rule {
  readonly conditions: readonly Condition[];
  readonly verdict: number;
  /** JSON pointer into config.json. */
  readonly from: string;
}

export interface ArchitectureRules {
  readonly arch: Architecture;
  /** By number; the first rule that matches decides, and the default where none does. */
  readonly rules: ReadonlyMap<number, readonly Rule[]>;
  /**
   * Calls above this number came after the profile was written, and get ENOSYS: programs then take the older way, where
   * another error would end them. Infinity where the default lets calls through, or where no name is known.
   */
  readonly highest: number;
}

export interface Filter {
  readonly architectures: readonly ArchitectureRules[];
  readonly byDefault: number;
}

export interface FilterOptions {
  readonly native: Native;
  /** A name that no architecture has is an error; else it is passed over, as runc and crun do. */
  readonly refuseUnknown: boolean;
}

/** Where errors and verdicts point to. */
export const SECCOMP = '/linux/seccomp';

export function resolveRules(profile: LinuxSeccomp, { native, refuseUnknown }: FilterOptions): Filter {
  const syscalls = profile.syscalls ?? [];
  const byDefault = verdictOf(profile.defaultAction, profile.defaultErrnoRet);
  const archs = architecturesFor(native, profile.architectures ?? []);
  if (refuseUnknown) refuseUnknownNames(syscalls);
  const tellsNewer = !isPermissive(profile.defaultAction);
  return { architectures: archs.map((arch) => rulesOf(arch, syscalls, byDefault, tellsNewer)), byDefault };
}

function rulesOf(
  arch: Architecture,
  syscalls: readonly LinuxSyscall[],
  byDefault: number,
  tellsNewer: boolean,
): ArchitectureRules {
  const numbers = syscallNumbers(arch);
  const rules = new Map<number, readonly Rule[]>();
  let highest = 0;
  for (let index = 0; index < syscalls.length; index++) {
    const entry = syscalls[index] as LinuxSyscall;
    const verdict = verdictOf(entry.action, entry.errnoRet);
    const from = `${SECCOMP}/syscalls/${index}`;
    const wanted = alternatives(entry.args ?? [], arch.narrow).map((conditions) => ({ conditions, verdict, from }));
    for (const name of entry.names) {
      const number = numbers.get(name);
      if (number !== undefined && number > highest) highest = number;
      // It changes nothing, and would stand in the way of others.
      if (verdict === byDefault) continue;
      for (const rule of wanted) {
        if (number !== undefined) add(rules, number, rule);
        const behind = multiplexed(arch, name);
        if (behind !== undefined) add(rules, behind.number, selecting(rule, behind.selector));
      }
    }
  }
  return { arch, rules, highest: tellsNewer && highest > 0 ? highest : Number.POSITIVE_INFINITY };
}

/**
 * The conditions of an entry hold together; where two are about the same argument each of them alone is enough, which
 * is how runc and crun have always read that.
 */
function alternatives(args: readonly LinuxSeccompArg[], narrow: boolean): Condition[][] {
  const indices = new Set(args.map(({ index }) => index));
  const groups = indices.size === args.length ? [args] : args.map((arg) => [arg]);
  return groups.map((group) =>
    group.flatMap((arg) => conditionOf(arg, narrow) ?? []).sort((a, b) => a.argument - b.argument),
  );
}

/** The first argument says which call is meant. What a rule says of the call's own first argument cannot be asked there. */
function selecting(rule: Rule, selector: number): Rule {
  const selected: Condition = {
    argument: 0,
    op: 'SCMP_CMP_EQ',
    high: 0,
    low: selector,
    highMask: 0,
    lowMask: 0xffffffff,
  };
  return { ...rule, conditions: [selected, ...rule.conditions.filter(({ argument }) => argument > 0)] };
}

/** Puts a rule in its place. What libseccomp drops is dropped, and what it refuses is an error. */
function add(rules: Map<number, readonly Rule[]>, number: number, rule: Rule): void {
  const before = rules.get(number);
  if (before === undefined) {
    rules.set(number, [rule]);
    return;
  }
  // A rule without conditions leaves no room for others, whatever they say.
  if (before[0]?.conditions.length === 0) return;
  if (rule.conditions.length === 0) {
    rules.set(number, [rule]);
    return;
  }
  const kept: Rule[] = [];
  for (const other of before) {
    if (isPrefix(other, rule) && (other.verdict === rule.verdict || other.conditions.length < rule.conditions.length))
      return;
    if (!isPrefix(rule, other)) kept.push(other);
    else if (other.verdict !== rule.verdict) {
      throw badSeccomp(rule.from, `its conditions are among those of ${other.from}, which has another action`);
    }
  }
  const place = kept.findIndex((other) => compareRules(other, rule) > 0);
  kept.splice(place < 0 ? kept.length : place, 0, rule);
  rules.set(number, kept);
}

const isPrefix = (a: Rule, b: Rule): boolean =>
  a.conditions.length <= b.conditions.length &&
  a.conditions.every((condition, i) => sameCondition(condition, b.conditions[i] as Condition));

function compareRules(a: Rule, b: Rule): number {
  const length = Math.min(a.conditions.length, b.conditions.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.conditions[i] as Condition, b.conditions[i] as Condition];
    const order = sameCondition(x, y) ? 0 : compareConditions(x, y);
    if (order !== 0) return order;
  }
  return 0;
}

function refuseUnknownNames(syscalls: readonly LinuxSyscall[]): void {
  const all = [...architecturesFor('x86_64', ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'])];
  all.push(...architecturesFor('aarch64', ['SCMP_ARCH_ARM']));
  const foreign = new Set(foreignCalls.split(' '));
  const isKnown = (name: string): boolean =>
    foreign.has(name) || all.some((arch) => syscallNumbers(arch).has(name) || multiplexed(arch, name) !== undefined);
  syscalls.forEach(({ names }, index) => {
    names.forEach((name, place) => {
      if (!isKnown(name))
        throw badSeccomp(
          `${SECCOMP}/syscalls/${index}/names/${place}`,
          `no architecture has a system call ${JSON.stringify(name)}`,
        );
    });
  });
}
