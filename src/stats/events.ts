// The JSON of `events`, in runc's shape: field names and units of its types/events.go, which monitoring reads.

import type { CgroupStats, Pressure } from './parse.ts';

/** Stands for a number that JavaScript cannot hold, and that runc prints for "no limit". */
const UNLIMITED = '@unlimited';
const UINT64_MAX = '18446744073709551615';

/** One line, without a newline. */
export function eventLine(type: 'stats' | 'oom', id: string, data?: unknown): string {
  // Neither an id nor a name of a device or counter has an at sign.
  return JSON.stringify(data === undefined ? { type, id } : { type, id, data }).replaceAll(
    `"${UNLIMITED}"`,
    UINT64_MAX,
  );
}

/** Times in nanoseconds, memory in bytes; swap is memory+swap as in cgroup v1. */
export function runcStats({ cpu, memory, pids, io, hugetlb, pressure }: CgroupStats): unknown {
  return {
    cpu: {
      usage: {
        total: orAbsent((cpu?.usage ?? 0) * 1000),
        kernel: (cpu?.system ?? 0) * 1000,
        user: (cpu?.user ?? 0) * 1000,
      },
      throttling: {
        periods: orAbsent(cpu?.periods),
        throttledPeriods: orAbsent(cpu?.throttledPeriods),
        throttledTime: orAbsent((cpu?.throttledTime ?? 0) * 1000),
      },
      psi: psi(pressure.cpu),
    },
    cpuset: {
      cpu_exclusive: 0,
      mem_hardwall: 0,
      mem_exclusive: 0,
      memory_migrate: 0,
      memory_spread_page: 0,
      memory_spread_slab: 0,
      memory_pressure: 0,
      sched_load_balance: 0,
      sched_relax_domain_level: 0,
    },
    memory: {
      cache: orAbsent(memory?.raw['file']),
      usage: usage(memory?.limit, memory?.usage, memory?.limitHits, memory?.peak),
      swap: usage(
        memory === undefined ? undefined : memory.swapLimit + memory.limit,
        (memory?.swapUsage ?? 0) + (memory?.usage ?? 0),
        0,
      ),
      kernel: usage(undefined, 0, 0),
      kernelTCP: usage(undefined, 0, 0),
      raw: memory?.raw,
      psi: psi(pressure.memory),
    },
    pids: {
      current: orAbsent(pids?.current),
      limit: pids === undefined || pids.limit === Infinity ? undefined : pids.limit,
    },
    blkio: {
      ioServiceBytesRecursive: blkio(io, { Read: 'rbytes', Write: 'wbytes', Discard: 'dbytes' }),
      ioServicedRecursive: blkio(io, { Read: 'rios', Write: 'wios', Discard: 'dios' }),
      psi: psi(pressure.io),
    },
    hugetlb: Object.fromEntries(
      Object.entries(hugetlb ?? {}).map(([size, { usage: used, failures }]) => [
        size,
        { usage: orAbsent(used), failcnt: failures },
      ]),
    ),
    intel_rdt: {},
    network_interfaces: null,
  };
}

/** Go's omitempty leaves a zero out. */
const orAbsent = (value: number | undefined): number | undefined => (value === 0 ? undefined : value);

const usage = (limit: number | undefined, used: number | undefined, failures: number | undefined, peak?: number) => ({
  limit: limit === Infinity ? UNLIMITED : (limit ?? 0),
  usage: orAbsent(used),
  max: orAbsent(peak),
  failcnt: failures ?? 0,
});

const psi = (pressure: Pressure | undefined) => pressure && { some: pressure.some, full: pressure.full };

type Operations = Readonly<Record<string, 'rbytes' | 'wbytes' | 'dbytes' | 'rios' | 'wios' | 'dios'>>;

function blkio(io: CgroupStats['io'], operations: Operations): unknown[] | undefined {
  const entries = Object.entries(io ?? {}).flatMap(([device, counters]) => {
    const [major = 0, minor = 0] = device.split(':').map(Number);
    return Object.entries(operations).map(([op, key]) => ({
      major: orAbsent(major),
      minor: orAbsent(minor),
      op,
      value: orAbsent(counters[key]),
    }));
  });
  return entries.length === 0 ? undefined : entries;
}
