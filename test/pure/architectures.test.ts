// What the sources say of the kernel's interface, for both architectures, by the headers of both.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { capabilityNames } from '../../src/linux/capabilities.ts';
import * as flags from '../../src/linux/flags.ts';
import { namespaceFlags } from '../../src/linux/namespaces.ts';
import { rlimits } from '../../src/linux/rlimits.ts';
import { ioPriorityClasses, memoryPolicyModes, schedulerPolicies } from '../../src/linux/scheduling.ts';
import { signals } from '../../src/linux/signals.ts';
import { architecturesFor, syscallNumbers } from '../../src/seccomp/architectures.ts';

const native = resolve(import.meta.dirname, '../../native');

const headers = [
  ...['fcntl.h', 'poll.h', 'sched.h', 'signal.h', 'stdio.h', 'sys/file.h', 'sys/resource.h', 'sys/stat.h'],
  ...['sys/wait.h', 'sys/mount.h', 'linux/capability.h', 'linux/ioprio.h', 'linux/mempolicy.h', 'asm/unistd.h'],
];

/** The largest constant of a kernel and a C library that are older than the sources is no mistake of the sources. */
function assertions(values: [string, number][]): string {
  const lines = values.map(
    ([name, value]) => `#ifdef ${name}\n_Static_assert((unsigned)${name} == ${value}u, "${name}");\n#endif\n`,
  );
  return [...headers.map((header) => `#include <${header}>\n`), ...lines].join('');
}

const numbers: [string, number][] = [
  ...Object.entries(flags),
  ...Object.entries(signals).map(([name, value]): [string, number] => [`SIG${name}`, value]),
  ...capabilityNames.map((name, index): [string, number] => [name, index]),
  ...Object.values(namespaceFlags).map((value): [string, number] => [namespaceConstant(value), value]),
];

function namespaceConstant(value: number): string {
  const names: Record<number, string> = {
    0x80: 'CLONE_NEWTIME',
    0x20000: 'CLONE_NEWNS',
    0x2000000: 'CLONE_NEWCGROUP',
    0x4000000: 'CLONE_NEWUTS',
    0x8000000: 'CLONE_NEWIPC',
    0x10000000: 'CLONE_NEWUSER',
    0x20000000: 'CLONE_NEWPID',
    0x40000000: 'CLONE_NEWNET',
  };
  return names[value] ?? 'NO_SUCH_FLAG';
}
/** Those that headers have as members of an enumeration, and not as macros. */
const members: [string, number][] = [rlimits, schedulerPolicies, ioPriorityClasses, memoryPolicyModes].flatMap(
  (table) => Object.entries(table),
);

const targets = [
  { arch: 'x86_64', compiler: process.arch === 'x64' ? 'gcc' : 'x86_64-linux-gnu-gcc' },
  { arch: 'aarch64', compiler: process.arch === 'arm64' ? 'gcc' : 'aarch64-linux-gnu-gcc' },
] as const;

function compile(compiler: string, source: string): string {
  const { stderr, error } = spawnSync(compiler, ['-D_GNU_SOURCE', '-fsyntax-only', '-x', 'c', '-'], {
    input: source,
    encoding: 'utf8',
  });
  return error?.message ?? stderr;
}

for (const { arch, compiler } of targets) {
  const isHere = spawnSync(compiler, ['--version']).status === 0;
  describe(`on ${arch}${isHere ? '' : ` [skipped: needs ${compiler} (scripts/setup arm64)]`}`, {
    skip: !isHere,
  }, () => {
    test('flags, signals, capabilities and namespaces have the numbers that src/linux gives them', () => {
      expect(compile(compiler, assertions(numbers))).toBe('');
    });

    test('so have limits and scheduling', () => {
      const known = members.filter(([name]) => compile(compiler, `${assertions([])}int value = ${name};`) === '');
      expect(known.length).toBeGreaterThan(10);
      const lines = known.map(([name, value]) => `_Static_assert((int)${name} == ${value}, "${name}");\n`);
      expect(compile(compiler, assertions([]) + lines.join(''))).toBe('');
    });

    test('system calls have the numbers of src/linux/syscalls.ts', () => {
      const [architecture] = architecturesFor(arch, []);
      const calls = [...syscallNumbers(architecture as never)].map(([name, number]): [string, number] => [
        `__NR_${name}`,
        number,
      ]);
      expect(calls.length).toBeGreaterThan(250);
      expect(compile(compiler, assertions(calls))).toBe('');
    });
  });
}

test('the C sources make no system call by its number that one of the architectures lacks', () => {
  const files = readdirSync(native, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(?<!gen)\.[ch]$/.test(name),
  );
  const used = files.flatMap((file) =>
    [...readFileSync(join(native, file), 'utf8').matchAll(/\bSYSCALL\d\((\w+)|\b(?:SYS|__NR)_(\w+)/g)].map(
      ([, macro, number]) => macro ?? number ?? '',
    ),
  );
  const names = [...new Set(used)].filter((name) => name !== 'name' && name !== '');
  expect(names).toContain('openat2');
  for (const arch of ['x86_64', 'aarch64'] as const) {
    const known = syscallNumbers(architecturesFor(arch, [])[0] as never);
    expect(
      names.filter((name) => !known.has(name)),
      arch,
    ).toEqual([]);
  }
});
