// The process that `exec` runs: from the container's configuration, a process.json, and the flags of the command line.

import { ConfigError, type Problem } from '../errors.ts';
import { checkSpec } from './check.ts';
import { parseJson } from './parse.ts';
import type { Linux, LinuxCapabilities, Process, Spec } from './types.ts';
import { isObject } from './walk.ts';

/** What the command line says about the process; a field that is absent leaves what the configuration has. */
export interface ProcessChanges {
  readonly args?: readonly string[];
  readonly terminal?: boolean;
  readonly cwd?: string;
  /** Added; the last value of a name wins. */
  readonly env: readonly string[];
  readonly user?: { readonly uid: number; readonly gid?: number };
  readonly additionalGids: readonly number[];
  /** Names such as CAP_CHOWN, added to the bounding, effective and permitted sets. */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}

/** A process.json, as in config.md#process. */
export interface ProcessFile {
  readonly name: string;
  readonly text: string;
}

/**
 * The container's configuration with the process to run, checked by the rules of a config.json.
 * @param config The text of the container's config.json, as it was when the container was created.
 * @throws {ConfigError} with all problems, as fields of the process.json or of config.json.
 */
export function specOfExec(config: string, file: ProcessFile | undefined, changes: ProcessChanges): Spec {
  const container = JSON.parse(config) as Spec;
  const base = container.process ?? ({} as Process);
  const given = file === undefined ? base : (parseJson(file.text, file.name) as Process);
  if (!isObject(given)) {
    throw new ConfigError(file?.name ?? 'config.json', [
      { pointer: '', expected: 'an object', found: JSON.stringify(given) },
    ]);
  }
  // As runc: a terminal is asked for each time, while a process.json says itself whether it wants one.
  const own = file === undefined ? { ...base, terminal: false } : withDefaults(given, base);
  const reduced = {
    ...pick(container, ['ociVersion', 'root', 'annotations']),
    process: changed(own, changes),
    linux: pick(container.linux ?? {}, applied),
  };
  const { spec, problems } = checkSpec(reduced);
  if (problems.length > 0) throw wrongProcess(file, problems);
  return spec;
}

/** Of linux: what holds for each process of a container. */
const applied = [
  'namespaces',
  'uidMappings',
  'gidMappings',
  'intelRdt',
  'memoryPolicy',
  'personality',
  'seccomp',
] as const satisfies readonly (keyof Linux)[];

function pick<T extends object>(from: T, names: readonly (keyof T)[]): Partial<T> {
  const result: Partial<T> = {};
  for (const name of names) if (from[name] !== undefined) result[name] = from[name];
  return result;
}

/** What a process.json does not say is as in the container's own process. */
const inherited = [
  'capabilities',
  'rlimits',
  'apparmorProfile',
  'selinuxLabel',
  'oomScoreAdj',
  'scheduler',
  'ioPriority',
  'execCPUAffinity',
] as const satisfies readonly (keyof Process)[];

function withDefaults(given: Process, base: Process): Process {
  const result: Record<string, unknown> = { ...given };
  for (const name of inherited) if (isAbsent(result[name]) && base[name] !== undefined) result[name] = base[name];
  return result as unknown as Process;
}

const isAbsent = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);

/** What is wrong in a process.json is left as it is here, and told by the check. */
function changed(process: Process, changes: ProcessChanges): Process {
  const { args, terminal, cwd, env, user, additionalGids, capabilities, noNewPrivileges } = changes;
  const { apparmorProfile, selinuxLabel } = changes;
  const result: { -readonly [K in keyof Process]: Process[K] } = { ...process };
  if (args !== undefined) result.args = args;
  if (terminal === true) result.terminal = true;
  if (cwd !== undefined) result.cwd = cwd;
  if (env.length > 0) result.env = added(result.env, env);
  if (isObject(result.user)) {
    if (user !== undefined) result.user = { ...result.user, ...user };
    if (additionalGids.length > 0)
      result.user = { ...result.user, additionalGids: added(result.user.additionalGids, additionalGids) };
  }
  if (capabilities.length > 0) result.capabilities = withCapabilities(result.capabilities ?? {}, capabilities);
  if (noNewPrivileges !== undefined) result.noNewPrivileges = noNewPrivileges;
  if (apparmorProfile !== undefined) result.apparmorProfile = apparmorProfile;
  if (selinuxLabel !== undefined) result.selinuxLabel = selinuxLabel;
  return result;
}

const added = <T>(list: readonly T[] | null | undefined, more: readonly T[]): readonly T[] =>
  Array.isArray(list ?? []) ? [...(list ?? []), ...more] : (list as readonly T[]);

/**
 * Never inheritable, so that no program of the container gains them by file capabilities (CVE-2022-29162). Ambient only
 * beside inheritable ones: the kernel wants a capability in both sets.
 */
function withCapabilities(sets: LinuxCapabilities, names: readonly string[]): LinuxCapabilities {
  return {
    ...sets,
    bounding: added(sets.bounding, names),
    effective: added(sets.effective, names),
    permitted: added(sets.permitted, names),
    ...((sets.inheritable ?? []).length > 0 ? { ambient: added(sets.ambient, names) } : {}),
  };
}

/** Problems of a process.json are told with places in that file. */
function wrongProcess(file: ProcessFile | undefined, problems: readonly Problem[]): ConfigError {
  if (file === undefined) return new ConfigError('the process to run, as config.json,', problems);
  return new ConfigError(
    file.name,
    problems.map((problem) => ({ ...problem, pointer: problem.pointer.replace(/^\/process(?=\/|$)/, '') })),
  );
}
