// Profiles in; what libseccomp makes of them out, through reference.c.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { verdictOf } from '../../src/seccomp/actions.ts';
import { halves } from '../../src/seccomp/conditions.ts';
import type { Arch, LinuxSeccomp, LinuxSeccompOperator } from '../../src/spec/types.ts';

export const tokens: Partial<Record<Arch, number>> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_X32: 0x4000003e,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
};

const operators: readonly LinuxSeccompOperator[] = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
];

export interface Reference {
  // "ok", or the name of the errno at which libseccomp gave up.
  status: string;
  // The highest number that the profile's names have, for each of its architectures; 0 where they have none.
  highest: number[];
  program: Uint8Array;
}

export const header = '/usr/include/seccomp.h';
const project = resolve(import.meta.dirname, '../..');
const source = join(project, 'test/seccomp/reference.c');
const program = join(project, '.cache/test/reference');

function build(): void {
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return;
  mkdirSync(join(project, '.cache/test'), { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  const { status, stderr } = spawnSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', unfinished, source, '-lseccomp'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`cannot compile test/seccomp/reference.c\n${stderr}`);
  renameSync(unfinished, program);
}

const hex = (value: number) => value.toString(16);
const hex64 = (value: number | bigint = 0) => {
  const [high, low] = halves(value);
  return ((BigInt(high) << 32n) | BigInt(low)).toString(16);
};

// `optimize`: 1 is libseccomp's default, a list; 2 its own tree.
function linesOf(profile: LinuxSeccomp, optimize: number): string[] {
  const archs = (profile.architectures ?? []).map((arch) => hex(tokens[arch] ?? 0));
  const lines = [`P ${hex(verdictOf(profile.defaultAction, profile.defaultErrnoRet))} ${optimize} ${archs.join(' ')}`];
  for (const { names, action, errnoRet, args } of profile.syscalls ?? []) {
    const words = (args ?? []).map(
      ({ index, op, value, valueTwo }) =>
        ` ${index} ${hex(operators.indexOf(op) + 1)} ${hex64(value)} ${hex64(valueTwo)}`,
    );
    for (const name of names) lines.push(`R ${hex(verdictOf(action, errnoRet))} ${name}${words.join('')}`);
  }
  return [...lines, 'E'];
}

// Every profile names its architectures, the native one too if it is wanted.
export function referencesOf(profiles: readonly LinuxSeccomp[], optimize = 1): Reference[] {
  build();
  const input = `${profiles.flatMap((profile) => linesOf(profile, optimize)).join('\n')}\n`;
  const { status, stdout, stderr } = spawnSync(program, { input, encoding: 'utf8', maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line, index) => {
      const words = line.split(' ');
      const count = profiles[index]?.architectures?.length ?? 0;
      return {
        status: words[0] ?? '',
        highest: words.slice(1, 1 + count).map((word) => Number.parseInt(word, 16)),
        program: new Uint8Array(Buffer.from(words[1 + count] ?? '', 'hex')),
      };
    });
}
