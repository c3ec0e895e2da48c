// linux.resources.devices in, a BPF_PROG_TYPE_CGROUP_DEVICE program out.

import { ConfigError, type Problem } from '../errors.ts';
import type { LinuxDeviceCgroup } from '../spec/types.ts';
import { EbpfProgram, type Label } from './ebpf.ts';

// BPF_DEVCG_* of linux/bpf.h.
const BLOCK = 1;
const CHAR = 2;
const MKNOD = 1;
const READ = 2;
const WRITE = 4;
const EVERY_TYPE = BLOCK | CHAR;
const EVERY_ACCESS = MKNOD | READ | WRITE;

// A dev_t has 12 bits of major and 20 bits of minor number; the specification's rules may name greater ones.
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
const MAX_U32 = 0xffffffff;
const ANY = -1;

const allowChar = (major: number, minor: number): LinuxDeviceCgroup => ({
  allow: true,
  type: 'c',
  major,
  minor,
  access: 'rwm',
});

/**
 * What every container may use, whatever its configuration says: these rules follow those of the configuration.
 * It is runc's list: making nodes of any kind (a node alone opens nothing), /dev/null, zero, full, random, urandom
 * and tty, the pseudoterminals, and /dev/net/tun, whose removal broke users of runc and of crun.
 * crun also allows 5:1. tsrun does not, like runc: in a container /dev/console is a bind mount of a pseudoterminal
 * (runtime-spec config-linux.md, default devices), while 5:1 is the console of the host.
 */
export const defaultDeviceRules: readonly LinuxDeviceCgroup[] = [
  { allow: true, type: 'a', access: 'm' },
  allowChar(1, 3),
  allowChar(1, 5),
  allowChar(1, 7),
  allowChar(1, 8),
  allowChar(1, 9),
  allowChar(5, 0),
  allowChar(5, 2),
  allowChar(136, ANY),
  allowChar(10, 200),
];

/** A rule in numbers. `major` and `minor` are -1 for any. */
interface Rule {
  readonly allow: boolean;
  readonly types: number;
  readonly major: number;
  readonly minor: number;
  readonly access: number;
}

/** A rule that still has something to say after all that come after it. */
interface Check extends Rule {
  /** The rule decides all that later rules have left open for its devices. */
  readonly final: boolean;
}

/**
 * Compiles device rules (runtime-spec config-linux.md, "Allowed Device list") with `defaultDeviceRules` behind them.
 *
 * For each of read, write and mknod the last rule that names the device and the access decides, and what no rule
 * names is denied. An operation is allowed if each of its accesses is: to open a device for reading and writing
 * needs both, and two rules may grant them separately.
 *
 * How this relates to cgroup v1's device controller, to which the specification refers, and to runc, which emulates it:
 * - Wherever runc accepts the rules, the verdicts are those of v1, save the two points that follow. This includes
 *   "all allowed, c 1:3 w denied": opening 1:3 for reading and writing is refused, as in v1 (runc's program lets it
 *   pass, since no single rule denies both).
 * - v1 grants reading and writing together only if one entry has both. The container could open the device twice, so
 *   nothing is protected by that, and here both grants count.
 * - v1 takes every rule of type `a` as all devices with all accesses. Here its numbers and accesses count, as the
 *   specification has it and crun does: nothing is granted that was not asked for.
 * - A rule that takes devices out of a wider one ("c 1:* allowed, c 1:3 denied") is ignored by v1 and refused by runc.
 *   Here it does what it says, since the specification wants rules applied in the listed order.
 *
 * No rules at all give a program that allows the defaults only, as runc does; who wants no filter does not call this.
 *
 * @returns Instructions of 8 bytes; empty if everything is allowed and no program is needed.
 * @throws {ConfigError} for unknown types, empty or unknown accesses (as runc), and numbers above 2^32-1.
 */
export function deviceFilter(rules: readonly LinuxDeviceCgroup[]): Uint8Array {
  const { checks, allowRest } = lastFirst([...parseRules(rules), ...parseRules(defaultDeviceRules)]);
  if (allowRest && checks.length === 0) return new Uint8Array(0);
  return assemble(checks, allowRest);
}

function parseRules(rules: readonly LinuxDeviceCgroup[]): Rule[] {
  const problems: Problem[] = [];
  const parsed = rules.map((rule, index) => {
    const types = typeBits(rule.type);
    const access = accessBits(rule.access);
    const at = `/linux/resources/devices/${index}`;
    const report = (field: string, expected: string, found: unknown): void => {
      const text = found === undefined ? 'nothing' : JSON.stringify(found);
      problems.push({ pointer: `${at}/${field}`, expected, found: text });
    };
    if (types === 0) report('type', 'one of "a", "b", "c"', rule.type);
    if (access === 0) report('access', 'one or more of the letters r, w, m', rule.access);
    for (const field of ['major', 'minor'] as const) {
      const value = rule[field];
      if (value !== undefined && !(Number.isInteger(value) && value <= MAX_U32)) {
        report(field, 'a device number, or -1 for all', value);
      }
    }
    return { allow: rule.allow, types, access, major: numberOrAny(rule.major), minor: numberOrAny(rule.minor) };
  });
  if (problems.length > 0) throw new ConfigError('config.json', problems);
  return parsed;
}

function numberOrAny(value: number | undefined): number {
  return value === undefined || value < 0 ? ANY : value;
}

function typeBits(type: string | undefined): number {
  if (type === undefined || type === '' || type === 'a') return EVERY_TYPE;
  return type === 'b' ? BLOCK : type === 'c' ? CHAR : 0;
}

function accessBits(access: string | undefined): number {
  let bits = 0;
  for (const letter of access ?? '') {
    const bit = letter === 'r' ? READ : letter === 'w' ? WRITE : letter === 'm' ? MKNOD : 0;
    if (bit === 0) return 0;
    bits |= bit;
  }
  return bits;
}

/**
 * The rules in the order of evaluation, last first, so that the first that speaks of an access is right.
 * Dropped are rules that others overrule, rules for numbers that no device can have, and those at the end that only
 * repeat what happens without them. `allowRest`: what happens to accesses that no check has decided.
 */
function lastFirst(rules: readonly Rule[]): { checks: readonly Check[]; allowRest: boolean } {
  const decided = new DecidedAccess();
  const checks: Check[] = [];
  for (let index = rules.length - 1; index >= 0 && decided.everywhere() !== EVERY_ACCESS; index -= 1) {
    const rule = rules[index] as Rule;
    if (rule.major > MAX_MAJOR || rule.minor > MAX_MINOR) continue;
    const before = decided.of(rule);
    const access = rule.access & ~before;
    if (access === 0) continue;
    checks.push({ ...rule, access, final: (before | access) === EVERY_ACCESS });
    decided.add(rule);
  }

  let allowRest = false;
  for (;;) {
    const last = checks.at(-1);
    if (last === undefined) break;
    const takesRest = last.final && last.types === EVERY_TYPE && last.major === ANY && last.minor === ANY;
    if (last.allow !== allowRest && !takesRest) break;
    allowRest = last.allow;
    checks.pop();
  }
  return { checks, allowRest };
}

/** Which accesses have been decided, for which devices. Looks up the four ways to name a device, not all rules. */
class DecidedAccess {
  private readonly bits = [new Map<number, number>(), new Map<number, number>()];

  add(rule: Rule): void {
    const key = deviceKey(rule.major, rule.minor);
    for (let type = 0; type < 2; type++) {
      const bits = this.bits[type] as Map<number, number>;
      if (rule.types & (1 << type)) bits.set(key, (bits.get(key) ?? 0) | rule.access);
    }
  }

  of({ types, major, minor }: Rule): number {
    let decided = EVERY_ACCESS;
    for (let type = 0; type < 2; type++) {
      if (!(types & (1 << type))) continue;
      const bits = this.bits[type] as Map<number, number>;
      let here = bits.get(EVERY_DEVICE) ?? 0;
      if (minor !== ANY) here |= bits.get(deviceKey(ANY, minor)) ?? 0;
      if (major !== ANY) here |= bits.get(deviceKey(major, ANY)) ?? 0;
      if (major !== ANY && minor !== ANY) here |= bits.get(deviceKey(major, minor)) ?? 0;
      decided &= here;
    }
    return decided;
  }

  everywhere(): number {
    return this.of({ allow: true, types: EVERY_TYPE, major: ANY, minor: ANY, access: 0 });
  }
}

const EVERY_DEVICE = deviceKey(ANY, ANY);

function deviceKey(major: number, minor: number): number {
  return (major + 1) * (MAX_MINOR + 2) + minor + 1;
}

// Registers. The context is struct bpf_cgroup_dev_ctx: u32 access_type (type below, access above), major, minor.
const RESULT = 0;
const CONTEXT = 1;
const TYPE = 2;
/** The accesses that are asked for and not yet allowed. */
const PENDING = 3;
const MAJOR = 4;
const MINOR = 5;

function assemble(checks: readonly Check[], allowRest: boolean): Uint8Array {
  const program = new EbpfProgram();
  program.loadWord(TYPE, CONTEXT, 0);
  program.wCopy(PENDING, TYPE);
  program.wAnd(TYPE, 0xffff);
  program.wShiftRight(PENDING, 16);
  program.loadWord(MAJOR, CONTEXT, 4);
  program.loadWord(MINOR, CONTEXT, 8);

  const verdicts = { allow: program.label(), deny: program.label() };
  const used = emitChecks(program, checks, verdicts);
  // The verdict that the checks fall through to comes first; the verifier refuses the other if nothing jumps there.
  const fallThrough = allowRest ? 'allow' : 'deny';
  const other = allowRest ? 'deny' : 'allow';
  emitVerdict(program, verdicts[fallThrough], allowRest);
  if (used[other]) emitVerdict(program, verdicts[other], !allowRest);
  else program.place(verdicts[other]);
  return program.assemble();
}

function emitVerdict(program: EbpfProgram, label: Label, allow: boolean): void {
  program.place(label);
  program.wMove(RESULT, allow ? 1 : 0);
  program.exit();
}

interface Verdicts<T> {
  readonly allow: T;
  readonly deny: T;
}

/** Neighbours of the same type, and of the same major number, share those comparisons. */
function emitChecks(program: EbpfProgram, checks: readonly Check[], verdicts: Verdicts<Label>): Verdicts<boolean> {
  const used = { allow: false, deny: false };
  let previous: Check | undefined;
  let typeEnd: Label | undefined;
  let majorEnd: Label | undefined;
  for (const check of checks) {
    const sameType = previous !== undefined && check.types === previous.types;
    const sameMajor = sameType && check.major === previous?.major;
    if (!sameMajor) majorEnd = closeGroup(program, majorEnd);
    if (!sameType) {
      typeEnd = closeGroup(program, typeEnd);
      if (check.types !== EVERY_TYPE) {
        typeEnd = program.label();
        program.jumpIf(TYPE, '!=', check.types, typeEnd);
      }
    }
    if (!sameMajor && check.major !== ANY && check.final && check.minor === ANY) {
      program.jumpIf(MAJOR, '==', check.major, verdicts[check.allow ? 'allow' : 'deny']);
    } else {
      if (!sameMajor && check.major !== ANY) {
        majorEnd = program.label();
        program.jumpIf(MAJOR, '!=', check.major, majorEnd);
      }
      emitDecision(program, check, verdicts);
    }
    used[check.allow ? 'allow' : 'deny'] = true;
    previous = check;
  }
  closeGroup(program, majorEnd);
  closeGroup(program, typeEnd);
  return used;
}

function closeGroup(program: EbpfProgram, end: Label | undefined): undefined {
  if (end !== undefined) program.place(end);
}

function emitDecision(program: EbpfProgram, check: Check, verdicts: Verdicts<Label>): void {
  const verdict = check.allow ? verdicts.allow : verdicts.deny;
  if (check.final) {
    if (check.minor === ANY) program.jump(verdict);
    else program.jumpIf(MINOR, '==', check.minor, verdict);
    return;
  }
  const next = program.label();
  if (check.minor !== ANY) program.jumpIf(MINOR, '!=', check.minor, next);
  if (check.allow) {
    program.wAnd(PENDING, ~check.access);
    program.jumpIf(PENDING, '==', 0, verdict);
  } else {
    program.jumpIf(PENDING, '&', check.access, verdict);
  }
  program.place(next);
}
