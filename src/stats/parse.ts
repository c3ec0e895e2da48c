// The texts of a cgroup's files in, numbers out. Pure. (kernel Documentation/admin-guide/cgroup-v2.rst)

/** A limit or counter that the kernel words as `max` is `Infinity` here. */
export interface CgroupStats {
  readonly cpu?: CpuStats;
  readonly memory?: MemoryStats;
  readonly pids?: PidsStats;
  /** By device, `major:minor`. */
  readonly io?: Readonly<Record<string, IoStats>>;
  /** By page size, such as `2MB`. */
  readonly hugetlb?: Readonly<Record<string, HugetlbStats>>;
  /** By device name. */
  readonly rdma?: Readonly<Record<string, RdmaStats>>;
  /** Pressure stall information (kernel Documentation/accounting/psi.rst). */
  readonly pressure: { readonly cpu?: Pressure; readonly memory?: Pressure; readonly io?: Pressure };
}

/** Times in microseconds. */
export interface CpuStats {
  readonly usage: number;
  readonly user: number;
  readonly system: number;
  /** Of the bandwidth limit: periods that passed, those in which the group was throttled, and for how long. */
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledTime: number;
  /** µs of CPU time a period, and the period; without a limit `Infinity`. */
  readonly quota: number;
  readonly period: number;
}

/** Bytes, but for the events. */
export interface MemoryStats {
  readonly usage: number;
  readonly limit: number;
  /** The highest usage so far; kernels before 5.19 do not tell. */
  readonly peak?: number;
  readonly swapUsage: number;
  readonly swapLimit: number;
  /** The highest usage of swap so far; kernels before 6.5 do not tell. */
  readonly swapPeak?: number;
  readonly oomKills: number;
  /** How often usage was about to go above the limit. */
  readonly limitHits: number;
  /** How often each thing happened: see memory.events in cgroup-v2.rst. */
  readonly events: MemoryEvents;
  /** memory.stat, key by key. */
  readonly raw: Readonly<Record<string, number>>;
}

export interface MemoryEvents {
  readonly low: number;
  readonly high: number;
  readonly max: number;
  readonly oom: number;
  readonly oomKill: number;
}

export interface PidsStats {
  readonly current: number;
  readonly limit: number;
}

/** Bytes and operations since the cgroup was made. */
export interface IoStats {
  readonly rbytes: number;
  readonly wbytes: number;
  readonly dbytes: number;
  readonly rios: number;
  readonly wios: number;
  readonly dios: number;
}

/** Bytes, and how often the limit refused a page. */
export interface HugetlbStats {
  readonly usage: number;
  readonly limit: number;
  readonly failures: number;
}

export interface RdmaStats {
  readonly handles: number;
  readonly objects: number;
  readonly handleLimit: number;
  readonly objectLimit: number;
}

export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

/** Per cent of the last 10, 60 and 300 seconds in which tasks were stalled, and µs in all. */
export interface PressureLine {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly total: number;
}

/** Gives the content of a file of the cgroup; undefined where there is none. */
export type ReadFile = (name: string) => string | undefined;

/** @param names The files of the cgroup's directory, for those whose names hold a page size. */
export function parseStats(read: ReadFile, names: readonly string[]): CgroupStats {
  return {
    ...part('cpu', cpu(read)),
    ...part('memory', memory(read)),
    ...part('pids', pids(read)),
    ...part('io', io(read('io.stat'))),
    ...part('hugetlb', hugetlb(read, names)),
    ...part('rdma', rdma(read('rdma.current'), read('rdma.max'))),
    pressure: {
      ...part('cpu', pressure(read('cpu.pressure'))),
      ...part('memory', pressure(read('memory.pressure'))),
      ...part('io', pressure(read('io.pressure'))),
    },
  };
}

type Part<K extends string, T> = { readonly [key in K]?: T };

const part = <K extends string, T>(key: K, value: T | undefined): Part<K, T> =>
  (value === undefined ? {} : { [key]: value }) as Part<K, T>;

function cpu(read: ReadFile): CpuStats | undefined {
  const stat = flat(read('cpu.stat'));
  if (stat === undefined) return undefined;
  const [quota = 'max', period = '100000'] = (read('cpu.max') ?? '').trim().split(' ').filter(Boolean);
  return {
    usage: stat['usage_usec'] ?? 0,
    user: stat['user_usec'] ?? 0,
    system: stat['system_usec'] ?? 0,
    periods: stat['nr_periods'] ?? 0,
    throttledPeriods: stat['nr_throttled'] ?? 0,
    throttledTime: stat['throttled_usec'] ?? 0,
    quota: amount(quota),
    period: amount(period),
  };
}

function memory(read: ReadFile): MemoryStats | undefined {
  const usage = single(read('memory.current'));
  if (usage === undefined) return undefined;
  const { low = 0, high = 0, max = 0, oom = 0, oom_kill: oomKill = 0 } = flat(read('memory.events')) ?? {};
  return {
    usage,
    limit: single(read('memory.max')) ?? Infinity,
    ...part('peak', single(read('memory.peak'))),
    swapUsage: single(read('memory.swap.current')) ?? 0,
    swapLimit: single(read('memory.swap.max')) ?? Infinity,
    ...part('swapPeak', single(read('memory.swap.peak'))),
    oomKills: oomKill,
    limitHits: max,
    events: { low, high, max, oom, oomKill },
    raw: flat(read('memory.stat')) ?? {},
  };
}

/** From the text of memory.events. */
export const parseOomKills = (events: string | undefined): number => flat(events)?.['oom_kill'] ?? 0;

function pids(read: ReadFile): PidsStats | undefined {
  const current = single(read('pids.current'));
  return current === undefined ? undefined : { current, limit: single(read('pids.max')) ?? Infinity };
}

function io(text: string | undefined): Record<string, IoStats> | undefined {
  if (text === undefined) return undefined;
  const devices: Record<string, IoStats> = {};
  for (const [device = '', ...pairs] of rows(text)) {
    const { rbytes = 0, wbytes = 0, dbytes = 0, rios = 0, wios = 0, dios = 0 } = keyed(pairs);
    devices[device] = { rbytes, wbytes, dbytes, rios, wios, dios };
  }
  return devices;
}

function hugetlb(read: ReadFile, names: readonly string[]): Record<string, HugetlbStats> | undefined {
  const sizes: Record<string, HugetlbStats> = {};
  for (const name of names) {
    const size = /^hugetlb\.(\w+)\.current$/.exec(name)?.[1];
    if (size === undefined) continue;
    sizes[size] = {
      usage: single(read(name)) ?? 0,
      limit: single(read(`hugetlb.${size}.max`)) ?? Infinity,
      failures: flat(read(`hugetlb.${size}.events`))?.['max'] ?? 0,
    };
  }
  return Object.keys(sizes).length === 0 ? undefined : sizes;
}

function rdma(current: string | undefined, max: string | undefined): Record<string, RdmaStats> | undefined {
  if (current === undefined) return undefined;
  const limits = Object.fromEntries(rows(max ?? '').map(([device = '', ...pairs]) => [device, keyed(pairs)]));
  const devices: Record<string, RdmaStats> = {};
  for (const [device = '', ...pairs] of rows(current)) {
    const { hca_handle: handles = 0, hca_object: objects = 0 } = keyed(pairs);
    const { hca_handle: handleLimit = Infinity, hca_object: objectLimit = Infinity } = limits[device] ?? {};
    devices[device] = { handles, objects, handleLimit, objectLimit };
  }
  return devices;
}

function pressure(text: string | undefined): Pressure | undefined {
  const lines = Object.fromEntries(rows(text ?? '').map(([kind = '', ...pairs]) => [kind, keyed(pairs)]));
  const { some, full } = lines;
  if (some === undefined) return undefined;
  return { some: line(some), full: line(full ?? {}) };
}

const line = ({ avg10 = 0, avg60 = 0, avg300 = 0, total = 0 }: Record<string, number>): PressureLine => ({
  avg10,
  avg60,
  avg300,
  total,
});

const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => row.split(' '));

/** `key=value` pairs. */
const keyed = (pairs: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    pairs.map((pair) => pair.split('=')).map(([key = '', value = '']) => [key, amount(value)] as const),
  );

/** `key value` lines. */
const flat = (text: string | undefined): Record<string, number> | undefined =>
  text === undefined
    ? undefined
    : Object.fromEntries(rows(text).map(([key = '', value = '']) => [key, amount(value)] as const));

const single = (text: string | undefined): number | undefined => (text === undefined ? undefined : amount(text.trim()));

/** Page counters that are at their end print the greatest number that is a multiple of their pages. */
const UNLIMITED = 2 ** 62;

function amount(text: string): number {
  const value = text === 'max' ? Infinity : Number(text);
  return value >= UNLIMITED ? Infinity : value;
}
