// What a test needs of the host, checked once per worker; the answer is the sentence that the skip shows.
import { spawnSync } from 'node:child_process';
import { hasProfile, type ProfileName } from '../seccomp/profiles.ts';
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { narrowProgram } from './narrow.ts';

export type Requirement =
  | 'root'
  | 'unified cgroups'
  | 'user namespaces'
  | 'CAP_SYS_RESOURCE'
  | 'CAP_BPF'
  | 'AppArmor'
  | 'no AppArmor'
  | 'SELinux'
  | 'no SELinux'
  | 'resctrl'
  | 'no resctrl'
  | 'realtime scheduling'
  | 'deadline scheduling'
  | 'a machine of its own'
  | '32-bit programs'
  | 'id-mapped mounts of files'
  | `controller:${string}`
  | `program:${string}`
  | `profile:${'docker' | 'podman'}`
  | `module:${string}`
  | `kernel:${number}.${number}`;

/** What no choice of packages decides: a processor, a kernel, and of two security modules one. */
export const differsByHost = (requirement: Requirement): boolean =>
  /^(no )?(AppArmor|SELinux|resctrl)$|^kernel:|^32-bit programs$|^id-mapped mounts of files$/.test(requirement);

const CGROUP2_MAGIC = 0x63677270;
const TMPFS_MAGIC = 0x01021994;
const capabilityNumber = { CAP_SYS_RESOURCE: 24, CAP_BPF: 39 };

function holds(capability: keyof typeof capabilityNumber): boolean {
  const line = /CapEff:\s*([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return ((BigInt(`0x${line?.[1] ?? '0'}`) >> BigInt(capabilityNumber[capability])) & 1n) === 1n;
}

export function hasUnifiedCgroups(): boolean {
  return existsSync('/sys/fs/cgroup') && statfsSync('/sys/fs/cgroup').type === CGROUP2_MAGIC;
}

export function controllers(): string[] {
  const file = '/sys/fs/cgroup/cgroup.controllers';
  return existsSync(file) ? readFileSync(file, 'utf8').split(/\s+/).filter(Boolean) : [];
}

function kernelIsAtLeast(wanted: string): boolean {
  const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8')
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function hasAppArmor(): boolean {
  const file = '/sys/module/apparmor/parameters/enabled';
  return existsSync(file) && readFileSync(file, 'utf8').startsWith('Y');
}

function runsNarrowPrograms(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'tsrun-narrow-'));
  try {
    writeFileSync(join(dir, 'getpid'), narrowProgram(20), { mode: 0o755 });
    return spawnSync(join(dir, 'getpid')).status === 0;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const deadline = [
  '--deadline',
  '--sched-runtime',
  '1000000',
  '--sched-deadline',
  '10000000',
  '--sched-period',
  '20000000',
];

const answers = new Map<Requirement, string | undefined>();

// undefined = the host has it.
export function whatIsMissing(requirement: Requirement): string | undefined {
  if (!answers.has(requirement)) answers.set(requirement, ask(requirement));
  return answers.get(requirement);
}

function ask(requirement: Requirement): string | undefined {
  const [kind, name = ''] = requirement.split(':');
  switch (kind) {
    case 'root':
      return process.geteuid?.() === 0 ? undefined : 'needs root';
    case 'unified cgroups':
      return hasUnifiedCgroups()
        ? undefined
        : 'needs cgroup v2 at /sys/fs/cgroup (scripts/in-unified-cgroup gives that)';
    case 'user namespaces':
      return spawnSync('unshare', ['--user', 'true']).status === 0 ? undefined : 'needs user namespaces';
    case 'controller':
      return controllers().includes(name)
        ? undefined
        : `needs the cgroup v2 controller ${name}, the host has: ${controllers().join(' ') || 'none'}`;
    case 'AppArmor':
      return hasAppArmor() ? undefined : 'needs a kernel with AppArmor';
    case 'no AppArmor':
      return hasAppArmor() ? 'needs a kernel without AppArmor' : undefined;
    case 'SELinux':
      return existsSync('/sys/fs/selinux/enforce') ? undefined : 'needs a kernel with SELinux';
    case 'no SELinux':
      return existsSync('/sys/fs/selinux/enforce') ? 'needs a kernel without SELinux' : undefined;
    case 'resctrl':
      return existsSync('/sys/fs/resctrl/schemata')
        ? undefined
        : 'needs a CPU with resource control, and resctrl mounted';
    case 'no resctrl':
      return existsSync('/sys/fs/resctrl/schemata') ? 'needs a host without resctrl' : undefined;
    case 'realtime scheduling':
      return spawnSync('chrt', ['--rr', '1', 'true']).status === 0 ? undefined : 'needs a right to realtime scheduling';
    case 'deadline scheduling':
      return spawnSync('chrt', [...deadline, '0', 'true']).status === 0
        ? undefined
        : 'needs a right to deadline scheduling';
    case 'a machine of its own':
      return existsSync('/run/machine/agent') ? undefined : 'needs a machine that it may configure (scripts/vm)';
    case '32-bit programs':
      return runsNarrowPrograms() ? undefined : 'needs a processor and a kernel that run 32-bit programs';
    case 'id-mapped mounts of files':
      return statfsSync(tmpdir()).type === TMPFS_MAGIC && !kernelIsAtLeast('6.3')
        ? 'needs Linux 6.3, as the scratch directory is on a tmpfs'
        : undefined;
    case 'program':
      return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0 ? undefined : `needs the program ${name}`;
    case 'profile':
      return hasProfile(name as ProfileName)
        ? undefined
        : `needs ${name}'s default seccomp profile (scripts/setup tests)`;
    case 'module':
      return spawnSync('modprobe', ['--dry-run', name]).status === 0 ? undefined : `needs the kernel module ${name}`;
    case 'kernel':
      return kernelIsAtLeast(name) ? undefined : `needs Linux ${name}`;
    default:
      return holds(kind as keyof typeof capabilityNumber) ? undefined : `needs ${kind}`;
  }
}
