// What `tsrun spec` writes: the same container that `runc spec` describes, for hosts with cgroup v2.

import type { LinuxNamespaceType, Mount, Spec } from './types.ts';

// No inheritable and no ambient ones: an executable with file capabilities would get more than its user asked for
// (CVE-2022-29162).
const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

const mounts: readonly Mount[] = [
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

/**
 * A config.json to start from: `sh` on a terminal in a read-only `rootfs`.
 *
 * With `rootless` it is one that a user without privileges can run: a user namespace in which `uid` and `gid`, the
 * caller's, are root; the host's network; /sys bound from the host; and no limits. Without it they are not used.
 */
export function specTemplate({ rootless, uid, gid }: { rootless: boolean; uid: number; gid: number }): Spec {
  return {
    ociVersion: '1.3.0',
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'tsrun',
    mounts: rootless ? mounts.map(rootlessMount) : mounts,
    linux: {
      ...(rootless
        ? {
            uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
            gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
          }
        : { resources: { devices: [{ allow: false, access: 'rwm' }] } }),
      namespaces: (rootless ? rootlessNamespaces : namespaces).map((type) => ({ type })),
      maskedPaths: [
        '/proc/acpi',
        '/proc/asound',
        '/proc/kcore',
        '/proc/keys',
        '/proc/latency_stats',
        '/proc/timer_list',
        '/proc/timer_stats',
        '/proc/sched_debug',
        '/sys/firmware',
        '/proc/scsi',
        '/sys/devices/virtual/tpm',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}

const namespaces: readonly LinuxNamespaceType[] = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'];
const rootlessNamespaces: readonly LinuxNamespaceType[] = ['pid', 'ipc', 'uts', 'mount', 'cgroup', 'user'];

/** sysfs needs a network namespace of one's own, and only one group is mapped, so that gid=5 has no meaning. */
function rootlessMount(mount: Mount): Mount {
  if (mount.destination === '/sys') {
    return { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] };
  }
  if (mount.options === undefined) return mount;
  return { ...mount, options: mount.options.filter((option) => !option.startsWith('gid=')) };
}
