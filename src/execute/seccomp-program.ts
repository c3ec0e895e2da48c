// The program of linux.seccomp: from the cache where it has been compiled before. A profile of an engine is the same for
// thousands of containers, and to compile it costs as much as all else that a run does.

import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY, S_IFDIR, S_IFMT } from '../linux/flags.ts';
import type { LinuxSeccomp, Spec } from '../spec/types.ts';
import { commit, version } from '../version.gen.ts';

/** crun's: with it, a name that no architecture has is an error. */
const REFUSE_UNKNOWN = 'run.oci.seccomp_fail_unknown_syscall';
const INSTRUCTION = 8;
const MOST_BYTES = 4096 * INSTRUCTION;
/** Programs in the cache, beyond which all go: profiles that change with every container must not fill the state root. */
const MOST_CACHED = 64;

/**
 * @param cache The directory to keep programs in; undefined compiles anew and keeps nothing.
 * @throws {TsrunError} as compileSeccomp does.
 */
export async function seccompProgram(spec: Spec, cache: string | undefined): Promise<Uint8Array | undefined> {
  const profile = spec.linux.seccomp;
  if (profile === undefined) return undefined;
  const [, , machine = ''] = sys.kernel();
  const refuse = spec.annotations?.[REFUSE_UNKNOWN];
  const refuseUnknown = refuse !== undefined && refuse !== '0' && refuse !== 'false';
  const key =
    cache === undefined ? '' : sys.sha256(`${version} ${commit} ${machine} ${refuseUnknown}\n${textOf(profile)}`);
  const cached = cache === undefined ? undefined : read(cache, key);
  if (cached !== undefined) return cached;
  const { compileSeccomp } = await import('../seccomp/compile.ts');
  const { nativeOf } = await import('../seccomp/architectures.ts');
  const program = compileSeccomp(profile, { native: nativeOf(machine), refuseUnknown });
  if (cache !== undefined) keep(cache, key, program);
  return program;
}

/**
 * Another text for each other profile. Names are most of a profile, and JSON would look at each of their letters; none
 * of them has a NUL, and how many a rule has stands in its place.
 */
function textOf(profile: LinuxSeccomp): string {
  const rules = profile.syscalls ?? [];
  const names = rules.map((rule) => rule.names.join('\0')).join('\0');
  const rest = { ...profile, syscalls: rules.map((rule) => ({ ...rule, names: rule.names.length })) };
  // JSON knows no bigints, and a function that is asked for every value is slow: only where there are any.
  const isBig = rules.some(({ args }) =>
    args?.some(({ value, valueTwo }) => typeof value === 'bigint' || typeof valueTwo === 'bigint'),
  );
  const replace = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);
  return `${isBig ? JSON.stringify(rest, replace) : JSON.stringify(rest)}\n${names}`;
}

/** Only what nobody else can have written is taken; a file that cannot be a program is as good as none. */
function read(dir: string, key: string): Uint8Array | undefined {
  const [mode = 0, owner = 0] = unlessMissing(() => sys.stat(dir)) ?? [];
  if ((mode & S_IFMT) !== S_IFDIR || (mode & 0o077) !== 0 || owner !== sys.userId()) return undefined;
  const fd = unlessMissing(() => sys.open(`${dir}/${key}`, O_RDONLY, 0));
  if (fd === undefined) return undefined;
  try {
    const program = sys.read(fd, MOST_BYTES + 1);
    const isWhole = program.length > 0 && program.length % INSTRUCTION === 0 && program.length <= MOST_BYTES;
    return isWhole ? program : undefined;
  } finally {
    sys.close(fd);
  }
}

/** In place at once, under its final name. That it cannot be kept is no failure: the next run compiles again. */
function keep(dir: string, key: string, program: Uint8Array): void {
  const unfinished = `${dir}/${key}.${sys.processId()}`;
  try {
    makeDir(dir);
    const names = sys.readDir(dir);
    if (names.length >= MOST_CACHED) for (const name of names) unlessMissing(() => sys.removeFile(`${dir}/${name}`));
    const fd = sys.open(unfinished, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    let written: number;
    try {
      written = sys.write(fd, program);
    } finally {
      sys.close(fd);
    }
    if (written === program.length) sys.rename(unfinished, `${dir}/${key}`);
    else sys.removeFile(unfinished);
  } catch (error) {
    if (!isSysError(error)) throw error;
  }
}

/** With the state root above it, which the first container makes. */
function makeDir(dir: string): void {
  const EEXIST = 17;
  for (const path of [dir.slice(0, dir.lastIndexOf('/')), dir]) {
    try {
      sys.makeDir(path, 0o700);
    } catch (error) {
      if (!isSysError(error) || error.errno !== EEXIST) throw error;
    }
  }
}
