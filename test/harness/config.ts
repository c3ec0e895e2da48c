// A config.json like the one `spec` writes, without a terminal, and the means to change one thing of it.
export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

export interface Hook {
  path: string;
  args?: string[];
  env?: string[];
  timeout?: number;
}

export interface Namespace {
  type: string;
  path?: string;
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export interface Device {
  path: string;
  type: string;
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
}

export interface Config {
  ociVersion: string;
  process: {
    terminal: boolean;
    consoleSize?: { height: number; width: number };
    user: { uid: number; gid: number; additionalGids?: number[]; umask?: number };
    args: string[];
    env: string[];
    cwd: string;
    capabilities: Partial<Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', string[]>>;
    rlimits: { type: string; soft: number; hard: number }[];
    noNewPrivileges: boolean;
    oomScoreAdj?: number;
    scheduler?: Record<string, unknown>;
    ioPriority?: { class: string; priority: number };
    execCPUAffinity?: { initial?: string; final?: string };
    apparmorProfile?: string;
    selinuxLabel?: string;
  };
  root: { path: string; readonly: boolean };
  hostname: string;
  domainname?: string;
  mounts: Mount[];
  hooks?: Record<string, Hook[]>;
  annotations?: Record<string, string>;
  linux: {
    namespaces: Namespace[];
    uidMappings?: IdMapping[];
    gidMappings?: IdMapping[];
    timeOffsets?: Record<string, { secs?: number; nanosecs?: number }>;
    mountLabel?: string;
    devices?: Device[];
    cgroupsPath?: string;
    resources?: Record<string, unknown>;
    rootfsPropagation?: string;
    sysctl?: Record<string, string>;
    personality?: { domain: string; flags?: string[] };
    memoryPolicy?: { mode: string; nodes?: string; flags?: string[] };
    netDevices?: Record<string, { name?: string }>;
    intelRdt?: Record<string, unknown>;
    seccomp?: object;
    maskedPaths: string[];
    readonlyPaths: string[];
  };
}

// Unknown keys are welcome at the top: tests of the validator plant them.
export type Changes = Change<Config> & Record<string, unknown>;
type Change<T> = {
  [K in keyof T]?: T[K] extends unknown[] | undefined
    ? T[K] | undefined
    : T[K] extends object | undefined
      ? Change<T[K]> | undefined
      : T[K] | undefined;
};

const harmless = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

// What the default config may do is little; a test that mounts, chowns or makes nodes inside asks for it.
export function capabilities(...names: string[]): Config['process']['capabilities'] {
  return { bounding: names, effective: names, permitted: names };
}

export const baseMounts: Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
  },
];

export function withMounts(...more: Mount[]): Changes {
  return { mounts: [...baseMounts, ...more] };
}

export function withoutMount(destination: string): Mount[] {
  return baseMounts.filter(
    (mount) => mount.destination !== destination && !mount.destination.startsWith(`${destination}/`),
  );
}

export const baseNamespaces: Namespace[] = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({
  type,
}));

// The type as it is, except for the given ones: joined by path, added, or (path undefined and drop) left out.
export function namespaces(change: { without?: string[]; join?: Record<string, string>; add?: string[] }): {
  linux: { namespaces: Namespace[] };
} {
  const kept = baseNamespaces.filter(
    ({ type }) => !change.without?.includes(type) && !(change.join && type in change.join),
  );
  const joined = Object.entries(change.join ?? {}).map(([type, path]) => ({ type, path }));
  return { linux: { namespaces: [...kept, ...joined, ...(change.add ?? []).map((type) => ({ type }))] } };
}

export function baseConfig(changes: Changes = {}): Config {
  const base: Config = {
    // Debian 12's crun refuses anything newer, and nothing in these tests depends on the version.
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: capabilities(...harmless),
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: false },
    hostname: 'inside',
    mounts: baseMounts,
    linux: {
      namespaces: baseNamespaces,
      maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
  return merged(base, changes) as Config;
}

// Objects merge, everything else replaces; a key set to undefined disappears when the config is written.
function merged(base: unknown, change: unknown): unknown {
  if (!isObject(base) || !isObject(change)) return structuredClone(change);
  const result: Record<string, unknown> = structuredClone(base);
  for (const [key, value] of Object.entries(change)) result[key] = merged(result[key], value);
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
