// What a cgroup counts, as containerd's clients read it.

import type { InputOf } from '../proto/message.ts';
import type { CgroupStats, MemoryStats, Pressure } from '../stats/parse.ts';
import type { Metrics } from './messages/metrics.ts';

/** Stands for "no limit". */
const UINT64_MAX = 18446744073709551615n;
const UINT32_MAX = 4294967295;

export function metricsOf({ cpu, memory, pids, io, hugetlb, rdma, pressure }: CgroupStats): InputOf<typeof Metrics> {
  return {
    pids: pids && { current: pids.current, limit: bounded(pids.limit) },
    cpu: cpu && {
      usageUsec: cpu.usage,
      userUsec: cpu.user,
      systemUsec: cpu.system,
      nrPeriods: cpu.periods,
      nrThrottled: cpu.throttledPeriods,
      throttledUsec: cpu.throttledTime,
      PSI: psi(pressure.cpu),
    },
    memory: memory && { ...memoryOf(memory), PSI: psi(pressure.memory) },
    rdma: rdma && {
      current: entries(rdma).map(([device, { handles, objects }]) => ({
        device,
        hcaHandles: handles,
        hcaObjects: objects,
      })),
      limit: entries(rdma).map(([device, { handleLimit, objectLimit }]) => ({
        device,
        hcaHandles: Math.min(handleLimit, UINT32_MAX),
        hcaObjects: Math.min(objectLimit, UINT32_MAX),
      })),
    },
    io: io && {
      usage: entries(io).map(([device, { rbytes, wbytes, rios, wios }]) => {
        const [major = 0, minor = 0] = device.split(':').map(Number);
        return { major, minor, rbytes, wbytes, rios, wios };
      }),
      PSI: psi(pressure.io),
    },
    hugetlb: entries(hugetlb ?? {}).map(([pagesize, { usage, limit }]) => ({
      current: usage,
      max: bounded(limit),
      pagesize,
    })),
    memoryEvents: memory && memory.events,
  };
}

const entries = Object.entries;

const bounded = (limit: number): number | bigint => (limit === Infinity ? UINT64_MAX : limit);

const psi = (pressure: Pressure | undefined) => pressure && { some: pressure.some, full: pressure.full };

function memoryOf({ raw, usage, limit, peak, swapUsage, swapLimit, swapPeak }: MemoryStats) {
  return {
    ...raw,
    // Since Linux 5.9 each of them is two counters.
    workingset_refault: sum(raw, 'workingset_refault'),
    workingset_activate: sum(raw, 'workingset_activate'),
    usage,
    usageLimit: bounded(limit),
    swapUsage,
    swapLimit: bounded(swapLimit),
    maxUsage: peak,
    swapMaxUsage: swapPeak,
  };
}

const sum = (raw: MemoryStats['raw'], key: string): number =>
  raw[key] ?? (raw[`${key}_anon`] ?? 0) + (raw[`${key}_file`] ?? 0);
