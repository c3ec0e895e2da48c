// linux.seccomp -> a classic BPF program. Pure: the same profile makes the same program everywhere.
//
// A program asks for the architecture, then walks a tree over the numbers of its system calls, and only where a rule is
// about arguments it looks at them. Verdicts are those of libseccomp's filters, to which test/pure/seccomp-libseccomp
// compares them, with runc's ENOSYS for calls that are newer than the profile.

import { badSeccomp } from '../errors.ts';
import type { LinuxSeccomp } from '../spec/types.ts';
import { NOT_IMPLEMENTED, RET_KILL_THREAD } from './actions.ts';
import { syscallNumbers, X32_BIT } from './architectures.ts';
import { assemble } from './assemble.ts';
import { ARCH, encode, JEQ, MOST_INSTRUCTIONS } from './bpf.ts';
import { testsOf } from './conditions.ts';
import { ALL_BITS, Graph, type Node, withoutSettled } from './graph.ts';
import { type ArchitectureRules, type Filter, type FilterOptions, resolveRules, type Rule, SECCOMP } from './rules.ts';
import { mergeRanges, type Range, searchTree } from './tree.ts';

/** The program for seccomp(2). @throws {TsrunError} where it would be longer than the kernel takes, or rules contradict. */
export function compileSeccomp(profile: LinuxSeccomp, options: FilterOptions): Uint8Array {
  return compileFilter(resolveRules(profile, options));
}

export function compileFilter(filter: Filter): Uint8Array {
  const graph = new Graph();
  const byAudit = new Map<number, ArchitectureRules[]>();
  for (const entry of filter.architectures) {
    const same = byAudit.get(entry.arch.audit);
    if (same === undefined) byAudit.set(entry.arch.audit, [entry]);
    else same.push(entry);
  }
  // The native architecture is asked for first, so the tests are made from the last one on. What none of them is can only
  // be another ABI of this kernel, which the profile did not think of: libseccomp ends that, too.
  let start = graph.leaf(RET_KILL_THREAD);
  for (const [audit, same] of [...byAudit].reverse()) {
    const tree = searchTree(graph, mergeRanges(rangesOf(graph, same, filter.byDefault)));
    start = graph.test(ARCH, ALL_BITS, JEQ, audit, tree, start);
  }
  const program = assemble(start);
  if (program.length > MOST_INSTRUCTIONS) throw tooLong(program.length);
  return encode(program);
}

const tooLong = (length: number) =>
  badSeccomp(
    SECCOMP,
    `the profile needs ${length} BPF instructions or more, and the kernel takes ${MOST_INSTRUCTIONS} (BPF_MAXINSNS)`,
  );

/** All numbers from 0 to 2^32-1. @param same One architecture, or x86_64 and x32, which share theirs. */
function rangesOf(graph: Graph, same: readonly ArchitectureRules[], byDefault: number): Range[] {
  const [only, other] = same as [ArchitectureRules, ArchitectureRules | undefined];
  if (only.arch.table !== 'x86_64') return tableRanges(graph, only, 0, byDefault);
  const rest = (entry: ArchitectureRules): number =>
    entry.highest < Number.POSITIVE_INFINITY ? NOT_IMPLEMENTED : byDefault;
  const native = tableRanges(graph, only, 0, byDefault);
  const range = (first: number, verdict: number): Range => ({ first, outcome: graph.leaf(verdict), weight: 0 });
  if (other !== undefined) {
    // A number with the bit of x32 and another one above it belongs to x32 all the same, and the others to x86_64.
    const bits = [range(2 * X32_BIT, rest(only)), range(3 * X32_BIT, rest(other))];
    return [...native, ...tableRanges(graph, other, X32_BIT, byDefault), ...bits];
  }
  const wrong = RET_KILL_THREAD;
  // -1 is no call of x32: a tracer writes it to skip a call.
  return [
    ...native,
    range(X32_BIT, wrong),
    range(2 * X32_BIT, only.highest < Number.POSITIVE_INFINITY ? NOT_IMPLEMENTED : wrong),
    range(3 * X32_BIT, wrong),
    range(ALL_BITS, byDefault),
  ];
}

/** From `base` on, one architecture's calls. */
function tableRanges(graph: Graph, entry: ArchitectureRules, base: number, byDefault: number): Range[] {
  const { arch, rules, highest } = entry;
  const ranges: Range[] = [];
  const missing = graph.leaf(byDefault);
  let next = base;
  const gap = (first: number): void => {
    if (next < first) ranges.push({ first: next, outcome: missing, weight: 0 });
  };
  for (const [name, number] of syscallNumbers(arch)) {
    if (number > highest) break;
    gap(number);
    const tried = rules.get(number);
    const outcome = tried === undefined ? missing : decisionOf(graph, tried, missing);
    ranges.push({ first: number, outcome, weight: frequent.has(name) ? OFTEN : 1 });
    next = number + 1;
  }
  if (highest === Number.POSITIVE_INFINITY) ranges.push({ first: next, outcome: missing, weight: 0 });
  else ranges.push({ first: highest + 1, outcome: graph.leaf(NOT_IMPLEMENTED), weight: 0 });
  return ranges;
}

/** Calls that make up most of what programs do. */
const frequent = new Set(
  'read write openat close fstat newfstatat lseek mmap munmap mprotect brk futex poll ppoll epoll_wait epoll_pwait recvfrom sendto recvmsg sendmsg readv writev pread64 pwrite64 clock_gettime clock_nanosleep gettid getpid rt_sigprocmask ioctl fcntl'.split(
    ' ',
  ),
);
const OFTEN = 8;

function decisionOf(graph: Graph, rules: readonly Rule[], byDefault: Node): Node {
  const [first] = rules;
  if (first?.conditions.length === 0) return graph.leaf(first.verdict);
  // Each condition takes an instruction at least: no need to build what cannot be loaded.
  const tests = rules.reduce((sum, { conditions }) => sum + conditions.length, 0);
  if (tests > MOST_INSTRUCTIONS) throw tooLong(tests);
  let next = byDefault;
  for (const { conditions, verdict } of [...rules].reverse()) {
    let target = graph.leaf(verdict);
    for (const condition of [...conditions].reverse()) target = testsOf(graph, condition, target, next);
    next = target;
  }
  return withoutSettled(graph, next);
}
