// process, hostname, domainname and linux.sysctl: who runs inside, with what rights and limits.

import { ConfigError } from '../errors.ts';
import { capabilityNumber } from '../linux/capabilities.ts';
import { rlimits } from '../linux/rlimits.ts';
import { sysctlPath } from '../spec/sysctl.ts';
import type { LinuxCapabilities, POSIXRlimit, Process, Spec, User } from '../spec/types.ts';
import { keepsGroups } from './annotations.ts';
import type { HostFacts } from './host.ts';
import type { PlanRequest } from './plan.ts';
import { planLabels } from './labels.ts';
import { planExecutionDomain, planScheduling } from './scheduling.ts';
import type { SeccompPlan } from './seccomp.ts';
import type { HostStep, InitStep, SetRlimit } from './steps.gen.ts';

export interface ProcessPlan {
  /** Before the mounts. */
  readonly session: readonly InitStep[];
  /** While the root is being made: what needs the root, or the kernel's own files. */
  readonly prepare: readonly InitStep[];
  /** Inside the root: the terminal, for whoever leads a session. */
  readonly console: readonly InitStep[];
  /** Needs the own procfs, and comes after the hooks of createContainer, which are not confined. */
  readonly labels: readonly InitStep[];
  readonly close: readonly InitStep[];
  /** From the runtime's rights to the container's. */
  readonly become: readonly InitStep[];
  /** As the container's user. */
  readonly find: readonly InitStep[];
  readonly exec: readonly InitStep[];
  /** What the host side sets, which may do what the process may not. */
  readonly limits: readonly HostStep[];
}

/**
 * Without root the caller's groups cannot be dropped, nor others taken (user_namespaces(7)).
 * @throws {ConfigError} where others are asked for.
 */
function mayHaveGroups({ additionalGids = [] }: User, { euid }: HostFacts): boolean {
  if (euid === 0) return true;
  if (additionalGids.length === 0) return false;
  const expected = 'none, as only root can give a process further groups';
  throw new ConfigError('config.json', [
    { pointer: '/process/user/additionalGids', expected, found: JSON.stringify(additionalGids) },
  ]);
}

/** Of a container without a filter. */
export const noSeccomp: SeccompPlan = { privileged: [], created: [], last: [], host: [] };

/** Where programs are looked for if the configuration has no PATH; it is not given to the program. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function planProcess(
  spec: Spec,
  request: Pick<PlanRequest, 'preserveFds' | 'env'>,
  facts: HostFacts,
  inUserNamespace: boolean,
  seccomp: SeccompPlan,
): ProcessPlan {
  const process = spec.process as Process;
  const { user } = process;
  const hasMount = (spec.linux.namespaces ?? []).some((entry) => entry.type === 'mount');
  const caps = capabilityMasks(process.capabilities, facts, inUserNamespace);
  const env = deduplicate([...(process.env ?? []), ...request.env]);
  const needsHome = !env.some((entry) => entry.startsWith('HOME='));
  const path = env.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? DEFAULT_PATH;
  const cwd = process.cwd;
  const capabilities = process.capabilities === undefined ? '' : '/process/capabilities';

  const prepare: InitStep[] = [];
  if (hasMount && cwd !== '/') {
    prepare.push({
      op: 'makePath',
      path: cwd,
      mode: 0o755,
      from: '/process/cwd',
      why: 'made if it is missing, as long as the root can be written',
    });
  }
  if (process.terminal === true) {
    prepare.push(openConsole(process), {
      op: 'mountConsole',
      path: '/dev/console',
      from: '/process/terminal',
      why: 'the terminal under its well-known name',
    });
  }
  if (spec.hostname !== undefined)
    prepare.push({ op: 'setHostname', name: spec.hostname, from: '/hostname', why: 'of the new uts namespace' });
  if (spec.domainname !== undefined) {
    prepare.push({ op: 'setDomainname', name: spec.domainname, from: '/domainname', why: 'of the new uts namespace' });
  }
  const parameters = Object.entries(spec.linux.sysctl ?? {});
  const labelled = process.apparmorProfile !== undefined || process.selinuxLabel !== undefined;
  const labels = labelled ? planLabels(process, facts) : [];
  if (parameters.length > 0 || labels.length > 0) {
    prepare.push({
      op: 'openProc',
      from: parameters.length > 0 ? '/linux/sysctl' : (labels[0]?.from ?? ''),
      why: 'a procfs that nothing of the container can cover',
    });
    for (const [name, value] of parameters) {
      prepare.push({
        op: 'writeSysctl',
        path: `sys/${sysctlPath(name)}`,
        value,
        from: `/linux/sysctl/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
        why: 'a kernel parameter of one of the new namespaces',
      });
    }
  }

  // With the rights of the runtime, while init still has them. In a user namespace it has none to raise limits with.
  const least = leastDescriptors(request);
  const ownLimits = rlimitSteps(process, least);
  const become: InitStep[] = [];
  if (process.terminal !== true) {
    become.push({
      op: 'ownStdio',
      uid: user.uid,
      from: '/process/user/uid',
      why: 'so that /dev/stdout can be opened anew by this user',
    });
  }
  if (process.noNewPrivileges === true) {
    become.push({
      op: 'noNewPrivileges',
      from: '/process/noNewPrivileges',
      why: 'no setuid program gives more rights than these',
    });
  }
  become.push(
    ...planExecutionDomain(spec.linux),
    { op: 'changeDir', path: cwd, last: 0, from: '/process/cwd', why: 'tried with the rights of the runtime first' },
    ...(inUserNamespace ? [] : ownLimits),
    ...seccomp.privileged,
    {
      op: 'dropBounding',
      keep: caps.bounding,
      from: process.capabilities?.bounding === undefined ? capabilities : `${capabilities}/bounding`,
      why: 'needs CAP_SETPCAP, so it comes before the ids',
    },
    {
      op: 'setIds',
      uid: user.uid,
      gid: user.gid,
      groups: user.additionalGids ?? [],
      umask: user.umask ?? 0o022,
      keepGroups: keepsGroups(spec.annotations) || (inUserNamespace && !mayHaveGroups(user, facts)) ? 1 : 0,
      from: '/process/user',
      why: 'capabilities are kept over the change and set right after it',
    },
    {
      op: 'changeDir',
      path: cwd,
      last: 1,
      from: '/process/cwd',
      why: 'again as the user, for directories that only the user may enter',
    },
    { op: 'setCapabilities', ...caps.process, from: capabilities, why: 'exactly the configured sets' },
  );

  const exec: InitStep[] = [
    ...lastLimits(process, least),
    ...prepared(seccomp.last, needsHome, user.uid),
    {
      op: 'exec',
      args: process.args,
      env: needsHome ? [...env, 'HOME=/'] : env,
      findHome: needsHome ? 1 : 0,
      uid: user.uid,
      from: '/process/args',
      why: 'init becomes the program; nothing of the runtime is left inside',
    },
  ];

  const limits: HostStep[] = [...(inUserNamespace ? rlimitSteps(process, least) : []), ...planScheduling(process)];
  if (process.oomScoreAdj !== undefined) {
    limits.push({
      op: 'setOomScoreAdj',
      value: process.oomScoreAdj,
      from: '/process/oomScoreAdj',
      why: 'from outside, where it may be lowered',
    });
  }

  return {
    session: [{ op: 'newSession', from: '', why: "signals of the caller's terminal do not reach inside" }],
    prepare,
    console:
      process.terminal === true
        ? [{ op: 'useConsole', from: '/process/terminal', why: 'the controlling terminal of the new session' }]
        : [],
    labels,
    close: [
      {
        op: 'closeDescriptors',
        preserveFds: request.preserveFds,
        from: '',
        why: 'no descriptor of the host reaches the container (CVE-2024-21626)',
      },
    ],
    become,
    find: [
      {
        op: 'findExecutable',
        name: process.args[0] ?? '',
        path,
        from: '/process/args/0',
        why: 'a program that is not there is an error of create',
      },
    ],
    exec,
    limits,
  };
}

/**
 * Init itself opens some descriptors until the program runs, above those that the container gets: a limit below this is
 * set in two steps, and lowering one needs no right.
 */
const leastDescriptors = ({ preserveFds }: Pick<PlanRequest, 'preserveFds'>): number => 3 + preserveFds + 64;

/** A filter that is loaded last must not have to allow what exec itself does before execve(2). */
const prepared = (last: readonly InitStep[], needsHome: boolean, uid: number): readonly InitStep[] =>
  last.length === 0
    ? []
    : [
        {
          op: 'prepareExec',
          findHome: needsHome ? 1 : 0,
          uid,
          from: '',
          why: 'so that the filter has to allow nothing of the runtime but execve',
        },
        ...last,
      ];

export const openConsole = ({ consoleSize, user }: Process): InitStep => ({
  op: 'openConsole',
  columns: consoleSize?.width ?? 0,
  rows: consoleSize?.height ?? 0,
  uid: user.uid,
  from: '/process/terminal',
  why: 'the master goes to the caller, the peer becomes standard input, output and error',
});

const isLow = (limit: POSIXRlimit, least: number) => limit.type === 'RLIMIT_NOFILE' && limit.soft < least;

/** @param least For RLIMIT_NOFILE. */
const rlimitSteps = (process: Process, least: number): SetRlimit[] =>
  (process.rlimits ?? []).map((limit, index) => rlimitStep(limit, index, limit.type === 'RLIMIT_NOFILE' ? least : 0));

const lastLimits = (process: Process, least: number): SetRlimit[] =>
  (process.rlimits ?? []).flatMap((limit, index) => (isLow(limit, least) ? [rlimitStep(limit, index, 0)] : []));

const rlimitStep = (limit: POSIXRlimit, index: number, least: number): SetRlimit => ({
  op: 'setRlimit',
  resource: rlimits[limit.type] ?? 0,
  soft: limitValue(Math.max(limit.soft, least)),
  hard: limitValue(Math.max(limit.hard, least)),
  from: `/process/rlimits/${index}`,
  why: 'by the runtime, which may raise limits',
});

/** RLIM_INFINITY is all bits set, which JSON numbers round up to 2^64. */
const limitValue = (value: number): bigint | number => (value >= 2 ** 64 ? 2n ** 64n - 1n : value);

/** The last value of a name wins, at the place of the first. */
function deduplicate(env: readonly string[]): string[] {
  const places = new Map<string, number>();
  const result: string[] = [];
  for (const entry of env) {
    const name = entry.slice(0, entry.indexOf('='));
    const place = places.get(name);
    if (place === undefined) places.set(name, result.push(entry) - 1);
    else result[place] = entry;
  }
  return result;
}

interface CapabilityMasks {
  readonly bounding: number;
  readonly process: {
    readonly effective: number;
    readonly permitted: number;
    readonly inheritable: number;
    readonly ambient: number;
  };
}

/**
 * Masks of the five sets. What the runtime itself cannot grant is left out (config.md: it should be no failure), and so
 * are ambient capabilities that are not permitted and inheritable too, which the kernel would refuse (capabilities(7)).
 */
function capabilityMasks(
  sets: LinuxCapabilities | undefined,
  facts: HostFacts,
  inUserNamespace: boolean,
): CapabilityMasks {
  const all = 2 ** (facts.lastCapability + 1) - 1;
  const grantable = inUserNamespace ? all : facts.permitted;
  const permitted = both(mask(sets?.permitted), grantable);
  const bounding = both(mask(sets?.bounding), inUserNamespace ? all : facts.bounding);
  const inheritable = both(both(mask(sets?.inheritable), grantable), bounding);
  return {
    bounding,
    process: {
      permitted,
      effective: both(mask(sets?.effective), permitted),
      inheritable,
      ambient: both(mask(sets?.ambient), both(permitted, inheritable)),
    },
  };
}

const mask = (names: readonly string[] = []): number =>
  [...new Set(names)].reduce((sum, name) => sum + 2 ** (capabilityNumber(name) ?? 63), 0);

/** Bitwise and of masks wider than 32 bits. */
function both(a: number, b: number): number {
  const half = 2 ** 32;
  const low = ((a % half) & (b % half)) >>> 0;
  const high = (Math.floor(a / half) & Math.floor(b / half)) >>> 0;
  return high * half + low;
}
