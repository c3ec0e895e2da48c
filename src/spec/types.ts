// The shape of config.json, runtime-spec 1.3, as far as it concerns Linux.
// Type names are those of the specification's Go bindings, field names those of the JSON. A field that is absent, null
// or (where the specification makes no difference) empty in the file is absent here; see parse.ts for what is checked.
//
// 64-bit integers are plain numbers: what JSON.parse makes of them. Above 2^53 they are rounded to the nearest double,
// so 18446744073709551615 (all bits set, "unlimited") reads as 2^64 and 9223372036854775807 as 2^63.

/** The whole of config.json (`config.md`). */
export interface Spec {
  /** SemVer 2.0 of the specification that the bundle was written for (`config.md#specification-version`). */
  readonly ociVersion: string;
  /** The root filesystem (`config.md#root`). Required on Linux. */
  readonly root: Root;
  /** Mounts on top of the root filesystem, in order (`config.md#mounts`). */
  readonly mounts?: readonly Mount[];
  /** What to run (`config.md#process`). Required by `start`, not by `create`. */
  readonly process?: Process;
  /** Host name inside the container; needs a uts namespace (`config.md#hostname`). */
  readonly hostname?: string;
  /** NIS domain name inside the container; needs a uts namespace (`config.md#domainname`). */
  readonly domainname?: string;
  /** Commands run at points of the lifecycle (`config.md#posix-platform-hooks`). */
  readonly hooks?: Hooks;
  /** Free metadata; keys are never empty (`config.md#annotations`). */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Linux-specific settings; `{}` where the file has none (`config-linux.md`). */
  readonly linux: Linux;
}

/** `config.md#root` */
export interface Root {
  /** Path of the root filesystem: absolute, or relative to the bundle. */
  readonly path: string;
  /** Make the root filesystem read-only inside the container. Default false. */
  readonly readonly?: boolean;
}

/** `config.md#mounts` */
export interface Mount {
  /** Mount point inside the container. A relative one (deprecated) means the same under `/`. */
  readonly destination: string;
  /** Device, directory or a dummy word. Relative to the bundle where it is a bind mount. */
  readonly source?: string;
  /** Filesystem type as in /proc/filesystems. Without meaning for bind mounts. */
  readonly type?: string;
  /** Options as in fstab; what is no known flag is data for the filesystem (`config.md#linux-mount-options`). */
  readonly options?: readonly string[];
  /** User id mapping of an id-mapped mount. */
  readonly uidMappings?: readonly LinuxIDMapping[];
  /** Group id mapping of an id-mapped mount. */
  readonly gidMappings?: readonly LinuxIDMapping[];
}

/** `config.md#process` */
export interface Process {
  /** Give the process a terminal. Default false. */
  readonly terminal?: boolean;
  /** Size of that terminal in characters; without meaning where `terminal` is false. */
  readonly consoleSize?: Box;
  /** Absolute working directory inside the container. */
  readonly cwd: string;
  /** Environment as `NAME=value`. */
  readonly env?: readonly string[];
  /** Command and arguments, at least one. */
  readonly args: readonly string[];
  /** Default: uid 0, gid 0. */
  readonly user: User;
  /** Absent means none, as in runc. */
  readonly capabilities?: LinuxCapabilities;
  /** At most one for each type. */
  readonly rlimits?: readonly POSIXRlimit[];
  /** Set PR_SET_NO_NEW_PRIVS. Default false. */
  readonly noNewPrivileges?: boolean;
  /** Name of the AppArmor profile, taken on at execve. */
  readonly apparmorProfile?: string;
  /** -1000 to 1000, written to /proc/self/oom_score_adj. Absent means unchanged. */
  readonly oomScoreAdj?: number;
  /** CPU scheduling, for sched_setattr(2). */
  readonly scheduler?: Scheduler;
  /** SELinux context, taken on at execve. */
  readonly selinuxLabel?: string;
  /** For ioprio_set(2). */
  readonly ioPriority?: LinuxIOPriority;
  /** CPU affinity of processes that `exec` starts. */
  readonly execCPUAffinity?: CPUAffinity;
}

/** A size in characters (`config.md#process`, consoleSize). */
export interface Box {
  readonly height: number;
  readonly width: number;
}

/** `config.md#posix-platform-user`. Ids are those inside the container's user namespace. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Default: 0o022, as runc has it. */
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

/** Sets of names such as `CAP_CHOWN` (`config.md#linux-process`, capabilities; capabilities(7)). */
export interface LinuxCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly permitted?: readonly string[];
  readonly ambient?: readonly string[];
}

/** `config.md#posix-process`, rlimits; getrlimit(2). Units depend on the type. */
export interface POSIXRlimit {
  /** `RLIMIT_NOFILE` and so on: a key of `rlimits` in src/linux/rlimits.ts. */
  readonly type: string;
  /** uint64; all bits set (2^64 as a double) is unlimited. */
  readonly hard: number;
  readonly soft: number;
}

/** `config.md#linux-process`, scheduler; sched_setattr(2). */
export interface Scheduler {
  readonly policy: LinuxSchedulerPolicy;
  /** -20 to 19. */
  readonly nice?: number;
  /** 1 to 99; SCHED_FIFO and SCHED_RR only. */
  readonly priority?: number;
  readonly flags?: readonly LinuxSchedulerFlag[];
  /** Nanoseconds; SCHED_DEADLINE only, as are the next two. */
  readonly runtime?: number;
  readonly deadline?: number;
  readonly period?: number;
}

export type LinuxSchedulerPolicy =
  | 'SCHED_OTHER'
  | 'SCHED_FIFO'
  | 'SCHED_RR'
  | 'SCHED_BATCH'
  | 'SCHED_ISO'
  | 'SCHED_IDLE'
  | 'SCHED_DEADLINE';

export type LinuxSchedulerFlag =
  | 'SCHED_FLAG_RESET_ON_FORK'
  | 'SCHED_FLAG_RECLAIM'
  | 'SCHED_FLAG_DL_OVERRUN'
  | 'SCHED_FLAG_KEEP_POLICY'
  | 'SCHED_FLAG_KEEP_PARAMS'
  | 'SCHED_FLAG_UTIL_CLAMP_MIN'
  | 'SCHED_FLAG_UTIL_CLAMP_MAX';

/** `config.md#linux-process`, ioPriority; ioprio_set(2). */
export interface LinuxIOPriority {
  readonly class: IOPriorityClass;
  /** 0 (highest) to 7. */
  readonly priority: number;
}

export type IOPriorityClass = 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE';

/** `config.md#linux-process`, execCPUAffinity. Lists such as `0-3,7`. */
export interface CPUAffinity {
  /** While the runtime sets the process up. */
  readonly initial?: string;
  /** For the process itself. */
  readonly final?: string;
}

/** `config.md#posix-platform-hooks`. Each list runs in order. */
export interface Hooks {
  /** Deprecated; runs before createRuntime, in the runtime's namespaces. */
  readonly prestart?: readonly Hook[];
  /** After the namespaces exist and before pivot_root, in the runtime's namespaces. */
  readonly createRuntime?: readonly Hook[];
  /** After createRuntime and before pivot_root, in the container's namespaces; the path is one of the runtime's. */
  readonly createContainer?: readonly Hook[];
  /** In `start`, before the process, in the container's namespaces and root filesystem. */
  readonly startContainer?: readonly Hook[];
  /** After the process started, in the runtime's namespaces. */
  readonly poststart?: readonly Hook[];
  /** After the container is deleted, in the runtime's namespaces. */
  readonly poststop?: readonly Hook[];
}

export interface Hook {
  /** Absolute path. */
  readonly path: string;
  /** argv, with argv[0]. */
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds, more than 0. */
  readonly timeout?: number;
}

/** `config-linux.md` */
export interface Linux {
  /** `config-linux.md#user-namespace-mappings` */
  readonly uidMappings?: readonly LinuxIDMapping[];
  readonly gidMappings?: readonly LinuxIDMapping[];
  /** Kernel parameters: dotted name (or with slashes), value as text (`config-linux.md#sysctl`). */
  readonly sysctl?: Readonly<Record<string, string>>;
  /** `config-linux.md#control-groups` */
  readonly resources?: LinuxResources;
  /** Path in the cgroup tree, or `slice:prefix:name` for systemd (`config-linux.md#cgroups-path`). */
  readonly cgroupsPath?: string;
  /** At most one for each type (`config-linux.md#namespaces`). */
  readonly namespaces?: readonly LinuxNamespace[];
  /** Device nodes beside the default ones (`config-linux.md#devices`). */
  readonly devices?: readonly LinuxDevice[];
  /** Host network devices to move into the container, by their host name (`config-linux.md#network-devices`). */
  readonly netDevices?: Readonly<Record<string, LinuxNetDevice>>;
  /** `config-linux.md#seccomp` */
  readonly seccomp?: LinuxSeccomp;
  /** `config-linux.md#rootfs-mount-propagation` */
  readonly rootfsPropagation?: RootfsPropagation;
  /** Absolute container paths that read as empty (`config-linux.md#masked-paths`). */
  readonly maskedPaths?: readonly string[];
  /** Absolute container paths made read-only (`config-linux.md#readonly-paths`). */
  readonly readonlyPaths?: readonly string[];
  /** SELinux context of the mounts (`config-linux.md#mount-label`). */
  readonly mountLabel?: string;
  /** `config-linux.md#intelrdt` */
  readonly intelRdt?: LinuxIntelRdt;
  /** NUMA policy, for set_mempolicy(2) (`config-linux.md#memory-policy`). */
  readonly memoryPolicy?: LinuxMemoryPolicy;
  /** `config-linux.md#personality` */
  readonly personality?: LinuxPersonality;
  /** By clock: `monotonic`, `boottime` (`config-linux.md#offset-for-time-namespace`). */
  readonly timeOffsets?: Readonly<Partial<Record<'monotonic' | 'boottime', LinuxTimeOffset>>>;
}

export interface LinuxNamespace {
  readonly type: LinuxNamespaceType;
  /** Absolute path of a namespace file to join; absent means a new namespace. */
  readonly path?: string;
}

export type LinuxNamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';

export type RootfsPropagation =
  | 'shared'
  | 'slave'
  | 'private'
  | 'unbindable'
  | 'rshared'
  | 'rslave'
  | 'rprivate'
  | 'runbindable';

/** `size` ids from `containerID` inside mean those from `hostID` outside; each is a uint32, size at least 1. */
export interface LinuxIDMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface LinuxTimeOffset {
  /** Seconds, may be negative. */
  readonly secs?: number;
  readonly nanosecs?: number;
}

/** `config-linux.md#devices` */
export interface LinuxDevice {
  /** `c` and `u` (unbuffered) character, `b` block, `p` fifo. */
  readonly type: 'c' | 'u' | 'b' | 'p';
  /** Absolute path inside the container. */
  readonly path: string;
  /** Present unless `type` is `p`. */
  readonly major?: number;
  readonly minor?: number;
  /** Permission bits; default 0o666. Bits of the file type may be there (Go's os.FileMode) and do not count. */
  readonly fileMode?: number;
  /** Owner inside the container; default 0. */
  readonly uid?: number;
  readonly gid?: number;
}

export interface LinuxNetDevice {
  /** New name inside the container; default: the host's. */
  readonly name?: string;
}

/** `config-linux.md#control-groups` */
export interface LinuxResources {
  /** Applied in order (`config-linux.md#allowed-device-list`). */
  readonly devices?: readonly LinuxDeviceCgroup[];
  readonly memory?: LinuxMemory;
  readonly cpu?: LinuxCPU;
  readonly pids?: LinuxPids;
  readonly blockIO?: LinuxBlockIO;
  readonly hugepageLimits?: readonly LinuxHugepageLimit[];
  /** cgroup v1 only. */
  readonly network?: LinuxNetwork;
  /** By device name, such as `mlx5_1` (`config-linux.md#rdma`). */
  readonly rdma?: Readonly<Record<string, LinuxRdma>>;
  /** cgroup v2: file name to what is written there (`config-linux.md#unified`). */
  readonly unified?: Readonly<Record<string, string>>;
}

export interface LinuxDeviceCgroup {
  readonly allow: boolean;
  /** Absent means `a`: all. */
  readonly type?: 'a' | 'b' | 'c';
  /** Absent, or negative, means all. */
  readonly major?: number;
  readonly minor?: number;
  /** Letters of `rwm`. Absent means no access at all, as the specification has no default. */
  readonly access?: string;
}

/** `config-linux.md#memory`. Limits are in bytes, -1 means unlimited. */
export interface LinuxMemory {
  readonly limit?: number;
  /** Soft limit. */
  readonly reservation?: number;
  /** Memory and swap together. */
  readonly swap?: number;
  /** cgroup v1 only, as are kernelTCP, swappiness, disableOOMKiller and useHierarchy. */
  readonly kernel?: number;
  readonly kernelTCP?: number;
  /** 0 to 100. */
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  /** Refuse an update to less than what is in use. */
  readonly checkBeforeUpdate?: boolean;
}

/** `config-linux.md#cpu`. Times are in microseconds. */
export interface LinuxCPU {
  /** Relative weight on cgroup v1's scale, 2 to 262144; 0 means unset. */
  readonly shares?: number;
  /** CPU time in a period; -1 means unlimited. */
  readonly quota?: number;
  /** What unused quota may be saved up. */
  readonly burst?: number;
  readonly period?: number;
  /** cgroup v1 only, as is realtimePeriod. */
  readonly realtimeRuntime?: number;
  readonly realtimePeriod?: number;
  /** List such as `0-3,7`. */
  readonly cpus?: string;
  /** NUMA nodes, a list like `cpus`. */
  readonly mems?: string;
  /** 1: SCHED_IDLE for the whole cgroup. 0: default. */
  readonly idle?: number;
}

/** `config-linux.md#pids` */
export interface LinuxPids {
  /** Number of tasks; 0 is a limit (1.3), -1 means unlimited. Absent leaves it unchanged. */
  readonly limit?: number;
}

/** `config-linux.md#block-io` */
export interface LinuxBlockIO {
  /** 10 to 1000; 0 means unset. */
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly LinuxWeightDevice[];
  /** Bytes per second. */
  readonly throttleReadBpsDevice?: readonly LinuxThrottleDevice[];
  readonly throttleWriteBpsDevice?: readonly LinuxThrottleDevice[];
  /** Operations per second. */
  readonly throttleReadIOPSDevice?: readonly LinuxThrottleDevice[];
  readonly throttleWriteIOPSDevice?: readonly LinuxThrottleDevice[];
}

export interface LinuxBlockIODevice {
  readonly major: number;
  readonly minor: number;
}

export interface LinuxWeightDevice extends LinuxBlockIODevice {
  readonly weight?: number;
  readonly leafWeight?: number;
}

export interface LinuxThrottleDevice extends LinuxBlockIODevice {
  /** 0 means unlimited, as for a limit that was removed. */
  readonly rate: number;
}

/** `config-linux.md#huge-page-limits` */
export interface LinuxHugepageLimit {
  /** `64KB`, `2MB`, `1GB`. */
  readonly pageSize: string;
  /** Bytes, uint64. */
  readonly limit: number;
}

/** `config-linux.md#rdma` */
export interface LinuxRdma {
  readonly hcaHandles?: number;
  readonly hcaObjects?: number;
}

/** `config-linux.md#network` (cgroup v1) */
export interface LinuxNetwork {
  readonly classID?: number;
  readonly priorities?: readonly LinuxInterfacePriority[];
}

export interface LinuxInterfacePriority {
  readonly name: string;
  readonly priority: number;
}

/** `config-linux.md#seccomp` */
export interface LinuxSeccomp {
  readonly defaultAction: LinuxSeccompAction;
  /** errno of `defaultAction` SCMP_ACT_ERRNO, or the message of SCMP_ACT_TRACE. Default EPERM. */
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly Arch[];
  /** Absent: SECCOMP_FILTER_FLAG_SPEC_ALLOW, as runc has it; an empty list: none. */
  readonly flags?: readonly LinuxSeccompFlag[];
  /** Unix socket that gets the notify descriptor. */
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly LinuxSyscall[];
}

export interface LinuxSyscall {
  readonly names: readonly string[];
  readonly action: LinuxSeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly LinuxSeccompArg[];
}

export interface LinuxSeccompArg {
  /** Which argument, 0 to 5. */
  readonly index: number;
  /** uint64; a bigint from 2^53 on, where a number would be rounded (exact-values.ts). */
  readonly value: number | bigint;
  /** For SCMP_CMP_MASKED_EQ: `value` is the mask, this is what must remain. */
  readonly valueTwo?: number | bigint;
  readonly op: LinuxSeccompOperator;
}

export type LinuxSeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY';

export type LinuxSeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';

export type LinuxSeccompFlag =
  | 'SECCOMP_FILTER_FLAG_TSYNC'
  | 'SECCOMP_FILTER_FLAG_LOG'
  | 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'
  | 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV';

export type Arch =
  | 'SCMP_ARCH_X86'
  | 'SCMP_ARCH_X86_64'
  | 'SCMP_ARCH_X32'
  | 'SCMP_ARCH_ARM'
  | 'SCMP_ARCH_AARCH64'
  | 'SCMP_ARCH_MIPS'
  | 'SCMP_ARCH_MIPS64'
  | 'SCMP_ARCH_MIPS64N32'
  | 'SCMP_ARCH_MIPSEL'
  | 'SCMP_ARCH_MIPSEL64'
  | 'SCMP_ARCH_MIPSEL64N32'
  | 'SCMP_ARCH_PPC'
  | 'SCMP_ARCH_PPC64'
  | 'SCMP_ARCH_PPC64LE'
  | 'SCMP_ARCH_S390'
  | 'SCMP_ARCH_S390X'
  | 'SCMP_ARCH_PARISC'
  | 'SCMP_ARCH_PARISC64'
  | 'SCMP_ARCH_RISCV64'
  | 'SCMP_ARCH_LOONGARCH64'
  | 'SCMP_ARCH_M68K'
  | 'SCMP_ARCH_SH'
  | 'SCMP_ARCH_SHEB';

/** `config-linux.md#intelrdt` */
export interface LinuxIntelRdt {
  /** Class of service: the name of a directory in resctrl. */
  readonly closID?: string;
  /** Lines of the `schemata` file; these win over the two fields below. */
  readonly schemata?: readonly string[];
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
  /** Make a monitoring group of its own. */
  readonly enableMonitoring?: boolean;
}

/** `config-linux.md#memory-policy`; set_mempolicy(2). */
export interface LinuxMemoryPolicy {
  readonly mode: MemoryPolicyModeType;
  /** NUMA nodes, a list such as `0-3,7`. */
  readonly nodes?: string;
  readonly flags?: readonly MemoryPolicyFlagType[];
}

export type MemoryPolicyModeType =
  | 'MPOL_DEFAULT'
  | 'MPOL_BIND'
  | 'MPOL_INTERLEAVE'
  | 'MPOL_WEIGHTED_INTERLEAVE'
  | 'MPOL_PREFERRED'
  | 'MPOL_PREFERRED_MANY'
  | 'MPOL_LOCAL';

export type MemoryPolicyFlagType = 'MPOL_F_NUMA_BALANCING' | 'MPOL_F_RELATIVE_NODES' | 'MPOL_F_STATIC_NODES';

/** `config-linux.md#personality`; personality(2). */
export interface LinuxPersonality {
  readonly domain: LinuxPersonalityDomain;
  /** The specification defines none yet. */
  readonly flags?: readonly string[];
}

export type LinuxPersonalityDomain = 'LINUX' | 'LINUX32';
