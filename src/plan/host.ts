/** What the plan has to know about the host. Read by src/execute/facts.ts; a test writes one down. */
export interface HostFacts {
  readonly euid: number;
  /** Masks: capability n is bit n, as a number below 2^52. */
  readonly permitted: number;
  readonly bounding: number;
  /** The highest capability that the kernel knows. */
  readonly lastCapability: number;
  /** cgroup v2; undefined where no cgroup2 file system is mounted, or the manager is `disabled`. */
  readonly cgroup: CgroupFacts | undefined;
  /** Read only where the configuration names a profile or a label: whether the module is there to enforce it. */
  readonly appArmor: boolean;
  readonly seLinux: boolean;
  /** Read only where the configuration has linux.intelRdt; undefined where resctrl is not mounted. */
  readonly resctrl: ResctrlFacts | undefined;
  /** The runtime's root directory is not the root of a mount: it runs in a chroot(2). */
  readonly inChroot: boolean;
  /** The runtime's environment as NAME=value; read only where hooks may want it. */
  readonly environment: readonly string[];
  /** Mount points of full procfs and sysfs mounts; read only where the plan cannot pivot. */
  readonly kernelMounts: readonly string[];
}

export interface CgroupFacts {
  /** Where the unified hierarchy is mounted. */
  readonly mount: string;
  /** The runtime's own cgroup, as in /proc/self/cgroup. */
  readonly own: string;
  /** Controllers that the hierarchy has. */
  readonly controllers: readonly string[];
  /** Set where systemd makes the container's cgroup. */
  readonly systemd?: SystemdFacts;
  /** Whether the kernel takes a device filter from the runtime: not without root, nor in a user namespace (bpf(2)). */
  readonly filtersDevices: boolean;
  /** Names in /sys/kernel/cgroup/delegate, read only where the container is to own its cgroup. */
  readonly delegate: readonly string[] | undefined;
}

export interface SystemdFacts {
  /** The manager's own cgroup, empty for the manager of the whole host. */
  readonly base: string;
  /** Whether it is the service manager of a user. */
  readonly user: boolean;
}

/** Who makes the container's cgroup. */
export type CgroupManager = 'disabled' | 'cgroupfs' | SystemdFacts;

export interface ResctrlFacts {
  /** Where it is mounted. */
  readonly mount: string;
  /** What the file `schemata` of the container's class of service says; undefined where there is no such class yet. */
  readonly schemata: string | undefined;
}
