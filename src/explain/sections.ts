// Which section of the runtime specification, 1.3, stands behind a field of config.json.

const sections: readonly (readonly [pointer: string, section: string])[] = [
  ['/root', 'config.md#root'],
  ['/mounts', 'config.md#mounts'],
  ['/process/rlimits', 'config.md#posix-process'],
  ['/process/user', 'config.md#posix-platform-user'],
  ['/process/capabilities', 'config.md#linux-process'],
  ['/process/noNewPrivileges', 'config.md#linux-process'],
  ['/process/oomScoreAdj', 'config.md#linux-process'],
  ['/process/apparmorProfile', 'config.md#linux-process'],
  ['/process/selinuxLabel', 'config.md#linux-process'],
  ['/process/scheduler', 'config.md#linux-process'],
  ['/process/ioPriority', 'config.md#linux-process'],
  ['/process/execCPUAffinity', 'config.md#linux-process'],
  ['/process', 'config.md#process'],
  ['/hostname', 'config.md#hostname'],
  ['/domainname', 'config.md#domainname'],
  ['/hooks', 'config.md#posix-platform-hooks'],
  ['/linux/namespaces', 'config-linux.md#namespaces'],
  ['/linux/uidMappings', 'config-linux.md#user-namespace-mappings'],
  ['/linux/gidMappings', 'config-linux.md#user-namespace-mappings'],
  ['/linux/timeOffsets', 'config-linux.md#offset-for-time-namespace'],
  ['/linux/mountLabel', 'config-linux.md#mount-label'],
  ['/linux/devices', 'config-linux.md#devices'],
  ['/linux/cgroupsPath', 'config-linux.md#cgroups-path'],
  ['/linux/resources', 'config-linux.md#control-groups'],
  ['/linux/sysctl', 'config-linux.md#sysctl'],
  ['/linux/rootfsPropagation', 'config-linux.md#rootfs-mount-propagation'],
  ['/linux/personality', 'config-linux.md#personality'],
  ['/linux/memoryPolicy', 'config-linux.md#memory-policy'],
  ['/linux/netDevices', 'config-linux.md#network-devices'],
  ['/linux/intelRdt', 'config-linux.md#intelrdt'],
  ['/linux/seccomp', 'config-linux.md#seccomp'],
  ['/linux/maskedPaths', 'config-linux.md#masked-paths'],
  ['/linux/readonlyPaths', 'config-linux.md#readonly-paths'],
];

/** The section for a JSON pointer; '' for a step of the runtime's own. */
export function sectionOf(pointer: string): string {
  return sections.find(([prefix]) => pointer === prefix || pointer.startsWith(`${prefix}/`))?.[1] ?? '';
}
