// What a container uses, as containerd's clients read it on a unified hierarchy. Sizes in bytes, times in microseconds.
// (containerd/cgroups cgroup2/stats/metrics.proto)

import { message, type ValueOf } from '../../proto/message.ts';

const PSIData = message('io.containerd.cgroups.v2.PSIData', () => ({
  avg10: [1, 'double'],
  avg60: [2, 'double'],
  avg300: [3, 'double'],
  total: [4, 'uint64'],
}));

const PSIStats = message('io.containerd.cgroups.v2.PSIStats', () => ({ some: [1, PSIData], full: [2, PSIData] }));

const PidsStat = message('io.containerd.cgroups.v2.PidsStat', () => ({ current: [1, 'uint64'], limit: [2, 'uint64'] }));

const CPUStat = message('io.containerd.cgroups.v2.CPUStat', () => ({
  usageUsec: [1, 'uint64'],
  userUsec: [2, 'uint64'],
  systemUsec: [3, 'uint64'],
  nrPeriods: [4, 'uint64'],
  nrThrottled: [5, 'uint64'],
  throttledUsec: [6, 'uint64'],
  PSI: [7, PSIStats],
}));

/** The fields of the kernel's memory.stat by its own names; then the other files of the controller. */
const MemoryStat = message('io.containerd.cgroups.v2.MemoryStat', () => ({
  anon: [1, 'uint64'],
  file: [2, 'uint64'],
  kernel_stack: [3, 'uint64'],
  slab: [4, 'uint64'],
  sock: [5, 'uint64'],
  shmem: [6, 'uint64'],
  file_mapped: [7, 'uint64'],
  file_dirty: [8, 'uint64'],
  file_writeback: [9, 'uint64'],
  anon_thp: [10, 'uint64'],
  inactive_anon: [11, 'uint64'],
  active_anon: [12, 'uint64'],
  inactive_file: [13, 'uint64'],
  active_file: [14, 'uint64'],
  unevictable: [15, 'uint64'],
  slab_reclaimable: [16, 'uint64'],
  slab_unreclaimable: [17, 'uint64'],
  pgfault: [18, 'uint64'],
  pgmajfault: [19, 'uint64'],
  workingset_refault: [20, 'uint64'],
  workingset_activate: [21, 'uint64'],
  workingset_nodereclaim: [22, 'uint64'],
  pgrefill: [23, 'uint64'],
  pgscan: [24, 'uint64'],
  pgsteal: [25, 'uint64'],
  pgactivate: [26, 'uint64'],
  pgdeactivate: [27, 'uint64'],
  pglazyfree: [28, 'uint64'],
  pglazyfreed: [29, 'uint64'],
  thp_fault_alloc: [30, 'uint64'],
  thp_collapse_alloc: [31, 'uint64'],
  usage: [32, 'uint64'],
  usageLimit: [33, 'uint64'],
  swapUsage: [34, 'uint64'],
  swapLimit: [35, 'uint64'],
  maxUsage: [36, 'uint64'],
  swapMaxUsage: [37, 'uint64'],
  PSI: [38, PSIStats],
}));

const MemoryEvents = message('io.containerd.cgroups.v2.MemoryEvents', () => ({
  low: [1, 'uint64'],
  high: [2, 'uint64'],
  max: [3, 'uint64'],
  oom: [4, 'uint64'],
  oomKill: [5, 'uint64'],
}));

const RdmaEntry = message('io.containerd.cgroups.v2.RdmaEntry', () => ({
  device: [1, 'string'],
  hcaHandles: [2, 'uint32'],
  hcaObjects: [3, 'uint32'],
}));

const RdmaStat = message('io.containerd.cgroups.v2.RdmaStat', () => ({
  current: [1, RdmaEntry, 'repeated'],
  limit: [2, RdmaEntry, 'repeated'],
}));

const IOEntry = message('io.containerd.cgroups.v2.IOEntry', () => ({
  major: [1, 'uint64'],
  minor: [2, 'uint64'],
  rbytes: [3, 'uint64'],
  wbytes: [4, 'uint64'],
  rios: [5, 'uint64'],
  wios: [6, 'uint64'],
}));

const IOStat = message('io.containerd.cgroups.v2.IOStat', () => ({
  usage: [1, IOEntry, 'repeated'],
  PSI: [2, PSIStats],
}));

const HugeTlbStat = message('io.containerd.cgroups.v2.HugeTlbStat', () => ({
  current: [1, 'uint64'],
  max: [2, 'uint64'],
  pagesize: [3, 'string'],
}));

export const Metrics = message('io.containerd.cgroups.v2.Metrics', () => ({
  pids: [1, PidsStat],
  cpu: [2, CPUStat],
  memory: [4, MemoryStat],
  rdma: [5, RdmaStat],
  io: [6, IOStat],
  hugetlb: [7, HugeTlbStat, 'repeated'],
  memoryEvents: [8, MemoryEvents],
}));
export type Metrics = ValueOf<typeof Metrics>;
