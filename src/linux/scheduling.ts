// Numbers of the CPU and I/O schedulers, memory policies and execution domains (linux/sched.h, linux/ioprio.h,
// linux/mempolicy.h, linux/personality.h). The same on x86_64 and arm64.

/** Name to number, for sched_setattr(2). SCHED_ISO is reserved: no kernel implements it. */
export const schedulerPolicies = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const;

/** Name to bit of sched_flags. */
export const schedulerFlags = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
} as const;

/** Name to number, for ioprio_set(2): the class stands above IOPRIO_CLASS_SHIFT. */
export const ioPriorityClasses = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const;

export const IOPRIO_CLASS_SHIFT = 13;

/** Name to number, for set_mempolicy(2). */
export const memoryPolicyModes = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
} as const;

/** Name to bit beside the mode. */
export const memoryPolicyFlags = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
} as const;

/** Name in config.json to number, for personality(2). */
export const personalities = { LINUX: 0x0000, LINUX32: 0x0008 } as const;

/** The bit of the highest CPU that any kernel is built for (NR_CPUS), and of the highest NUMA node (MAX_NUMNODES). */
export const CPU_MOST = 8191;
export const NODE_MOST = 1023;
