import { ConfigError, type Problem } from '../../src/errors.ts';
import { parseSpec } from '../../src/spec/parse.ts';
import type { Spec } from '../../src/spec/types.ts';

// oxlint-disable-next-line no-explicit-any -- tests reach into configs that are wrong on purpose.
export type Json = any;

/** A config that uses most of what this release applies. Each call makes a new one, to change. */
export const fullConfig = (): Json => ({
  ociVersion: '1.3.0',
  process: {
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 1000, gid: 1000, umask: 18, additionalGids: [5, 6] },
    args: ['sh', '-c', 'true'],
    env: ['PATH=/usr/bin:/bin', 'TERM=xterm', 'EMPTY='],
    cwd: '/',
    capabilities: {
      bounding: ['CAP_AUDIT_WRITE', 'CAP_KILL'],
      effective: ['CAP_AUDIT_WRITE', 'CAP_KILL'],
      inheritable: ['CAP_KILL'],
      permitted: ['CAP_AUDIT_WRITE', 'CAP_KILL'],
      ambient: ['CAP_KILL'],
    },
    rlimits: [
      { type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 },
      { type: 'RLIMIT_CORE', hard: 10, soft: 0 },
    ],
    noNewPrivileges: true,
    oomScoreAdj: -500,
    apparmorProfile: 'docker-default',
    selinuxLabel: 'system_u:system_r:container_t:s0',
    scheduler: { policy: 'SCHED_FIFO', priority: 10, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
    ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 4 },
    execCPUAffinity: { initial: '0', final: '0-3' },
  },
  root: { path: 'rootfs', readonly: true },
  hostname: 'box',
  domainname: 'example.org',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
    { destination: '/data', type: 'none', source: '../data', options: ['rbind', 'ro'] },
  ],
  hooks: {
    prestart: [{ path: '/bin/a' }],
    createRuntime: [{ path: '/bin/a', args: ['a'], env: ['A=1'], timeout: 5 }],
    createContainer: [{ path: '/bin/b' }],
    startContainer: [{ path: '/bin/c' }],
    poststart: [{ path: '/bin/d' }],
    poststop: [{ path: '/bin/e' }],
  },
  annotations: { 'org.example/a~b': 'x', 'org.example.empty': '' },
  linux: {
    uidMappings: [
      { containerID: 0, hostID: 100000, size: 1000 },
      { containerID: 1000, hostID: 1000, size: 1 },
    ],
    gidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
    sysctl: { 'net.ipv4.ip_forward': '1', 'net/core/somaxconn': '256', 'kernel.msgmax': '65536' },
    cgroupsPath: '/group/box',
    namespaces: [
      { type: 'pid' },
      { type: 'network', path: '/run/netns/a' },
      { type: 'mount' },
      { type: 'ipc' },
      { type: 'uts' },
      { type: 'user' },
      { type: 'cgroup' },
      { type: 'time' },
    ],
    timeOffsets: { monotonic: { secs: -5, nanosecs: 1 }, boottime: { secs: 7 } },
    devices: [
      { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 438, uid: 0, gid: 0 },
      { type: 'p', path: '/dev/pipe' },
    ],
    rootfsPropagation: 'rslave',
    intelRdt: { closID: 'gold', schemata: ['L3:0=f'], enableMonitoring: true },
    netDevices: { eth0: { name: 'net0' }, 'wg~0': {} },
    memoryPolicy: { mode: 'MPOL_BIND', nodes: '0-3', flags: ['MPOL_F_STATIC_NODES'] },
    personality: { domain: 'LINUX32' },
    mountLabel: 'system_u:object_r:container_file_t:s0',
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
    resources: {
      devices: [
        { allow: false, access: 'rwm' },
        { allow: true, type: 'c', major: 10, minor: -1, access: 'rw' },
      ],
      memory: { limit: 536870912, reservation: -1, swap: -1, swappiness: 0, checkBeforeUpdate: true },
      cpu: { shares: 1024, quota: -1, burst: 0, period: 100000, cpus: '0-1', mems: '0', idle: 0 },
      pids: { limit: 32771 },
      blockIO: {
        weight: 10,
        weightDevice: [{ major: 8, minor: 0, weight: 500 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
      },
      hugepageLimits: [{ pageSize: '2MB', limit: 209715200 }],
      rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } },
      unified: { 'memory.high': 'max' },
    },
    seccomp: {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_RISCV64'],
      flags: ['SECCOMP_FILTER_FLAG_LOG'],
      listenerPath: '/run/agent',
      listenerMetadata: 'x',
      syscalls: [
        {
          names: ['clone'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
        },
      ],
    },
  },
});

export const parse = (config: Json): Spec => parseSpec(JSON.stringify(config), 'config.json');

/** The problems that parseSpec reports, or none. */
export function problemsOf(text: string): readonly Problem[] {
  try {
    parseSpec(text, 'config.json');
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The config after `change`, as one line a problem: `pointer: expected, found (hint)`. */
export function complaints(change: (config: Json) => void): string[] {
  const config = fullConfig();
  change(config);
  return problemsOf(JSON.stringify(config)).map(
    ({ pointer, expected, found, hint }) =>
      `${pointer}: ${expected}, ${found}${hint === undefined ? '' : ` (${hint})`}`,
  );
}
