// namespaces(7): the clone flag of each namespace type, under the names of config-linux.md#namespaces.

export const namespaceFlags = {
  user: 0x10000000,
  mount: 0x00020000,
  uts: 0x04000000,
  ipc: 0x08000000,
  network: 0x40000000,
  pid: 0x20000000,
  cgroup: 0x02000000,
  time: 0x00000080,
} as const;

export type NamespaceType = keyof typeof namespaceFlags;
