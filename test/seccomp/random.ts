// Profiles and calls for them by a seeded generator: the same seed makes the same ones, so a difference can be found again.
import { syscallTables } from '../../src/linux/syscalls.ts';
import { type Architecture, architecturesFor, type Native, syscallNumbers } from '../../src/seccomp/architectures.ts';
import { halves } from '../../src/seccomp/conditions.ts';
import type { Call } from '../../src/seccomp/interpret.ts';
import type { LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSyscall } from '../../src/spec/types.ts';

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  // mulberry32
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

const defaults: readonly LinuxSeccompAction[] = [
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRACE',
];
const actions: readonly LinuxSeccompAction[] = ['SCMP_ACT_ALLOW', 'SCMP_ACT_ALLOW', ...defaults, 'SCMP_ACT_NOTIFY'];

// Newer names than libseccomp's would be left out there and not here.
const known = (name: string, numbers: ReadonlyMap<string, number>) =>
  ((numbers.get(name) ?? 0) & 0x3fffffff) <= 450 && !['uretprobe', 'uprobe', 'uname'].includes(name);

const names: readonly string[] = [
  ...new Set(
    Object.keys(syscallTables).flatMap((table) =>
      architecturesFor('x86_64', ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'])
        .concat(architecturesFor('aarch64', ['SCMP_ARCH_ARM']))
        .filter((arch) => arch.table === table)
        .flatMap((arch) => [...syscallNumbers(arch).keys()].filter((name) => known(name, syscallNumbers(arch)))),
    ),
  ),
  ...['semop', 'shmat', 'recv', 'no_such_call'],
];
const favourites = ['clone', 'socket', 'personality', 'ioctl', 'semop', 'accept4', 'prctl'];

const words: readonly bigint[] = [0n, 1n, 2n, 5n, 0x7fffffffn, 0x80000000n, 0xfffffffen, 0xffffffffn];

function value(random: Random): bigint {
  const low = random.chance(80) ? random.of(words) : BigInt(random.below(2 ** 32));
  const high = random.chance(60) ? 0n : random.of(words);
  return (high << 32n) | low;
}

const operators = ['EQ', 'EQ', 'NE', 'LT', 'LE', 'GE', 'GT', 'MASKED_EQ', 'MASKED_EQ'] as const;

function argument(random: Random): LinuxSeccompArg {
  const op = `SCMP_CMP_${random.of(operators)}` as const;
  const arg = { index: random.chance(70) ? random.below(2) : random.below(6), op, value: value(random) };
  return op === 'SCMP_CMP_MASKED_EQ' ? { ...arg, valueTwo: value(random) } : arg;
}

const withErrno = (action: LinuxSeccompAction, random: Random) =>
  (action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE') && random.chance(60)
    ? { errnoRet: random.of([1, 2, 22, 38, 133]) }
    : {};

export function randomProfile(random: Random, native: Native): LinuxSeccomp {
  const defaultAction = random.of(defaults);
  const { errnoRet } = withErrno(defaultAction, random);
  const family = architecturesFor(native, ['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM']);
  const architectures = family.filter((_, index) => index === 0 || random.chance(60)).map(({ name }) => name);
  const pool = Array.from({ length: 1 + random.below(12) }, () => random.of(random.chance(30) ? favourites : names));
  // Rules about arguments of one call mostly have one action, as they do in profiles that people write.
  const mixed = random.chance(30);
  const usual = random.of(actions);
  const syscalls = Array.from({ length: random.below(16) }, (): LinuxSyscall => {
    const args = random.chance(50) ? Array.from({ length: 1 + random.below(3) }, () => argument(random)) : [];
    const action = args.length === 0 || mixed ? random.of(actions) : usual;
    const count = random.chance(80) ? 1 : random.below(40) + 1;
    const chosen = Array.from({ length: count }, () => random.of(count > 5 ? names : pool));
    return { names: chosen, action, ...withErrno(action, random), ...(args.length > 0 ? { args } : {}) };
  });
  return {
    defaultAction,
    ...(errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet }),
    architectures,
    syscalls,
  };
}

// Calls near what the profile speaks of: its numbers and their neighbours, its values and theirs.
export function randomCalls(random: Random, profile: LinuxSeccomp, native: Native, count: number): Call[] {
  const family = architecturesFor(native, ['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM']);
  const rules = profile.syscalls ?? [];
  const values = rules.flatMap(({ args }) => (args ?? []).flatMap((arg) => [arg.value, arg.valueTwo ?? 0]));
  const near = (arch: Architecture): number => {
    const rule = rules.length > 0 ? random.of(rules) : undefined;
    const number = rule === undefined ? undefined : syscallNumbers(arch).get(random.of(rule.names));
    if (number !== undefined && random.chance(80)) return number;
    if (arch.table === 'x86' && random.chance(30)) return random.of([102, 117]);
    if (random.chance(10))
      return random.of([0, 0x3fffffff, 0x40000000, 0x80000000, 0xc0000001, 0xfffffffe, 0xffffffff]);
    const other = (number ?? random.below(480)) + random.below(3) - 1;
    return (arch.table === 'x32' && number === undefined ? other + 0x40000000 : other) >>> 0;
  };
  const half = (): [number, number] => {
    if (values.length === 0 || random.chance(15)) return halves(value(random));
    const close = BigInt(random.of(values)) + BigInt(random.below(3) - 1);
    return halves(BigInt.asUintN(64, random.chance(80) ? close : close | (value(random) << 32n)));
  };
  return Array.from({ length: count }, () => {
    const arch = random.of(family);
    const audit = random.chance(2) ? 0xc00000f3 : arch.audit;
    // Behind socketcall and ipc stand small numbers.
    const first = random.chance(20) ? ([0, random.below(25)] as [number, number]) : half();
    return { audit, number: near(arch), args: [first, ...Array.from({ length: 5 }, half)] };
  });
}
