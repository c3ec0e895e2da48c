// Samples in; the Prometheus text exposition format out, as a textfile collector takes it.

import type { CgroupStats, Pressure } from './parse.ts';
import type { Sample } from './read.ts';

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Values with their labels beside the id; none where the cgroup does not tell. */
  readonly of: (stats: CgroupStats, sample: Sample) => readonly Value[];
}

interface Value {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

const one = (value: number | undefined): Value[] => (value === undefined ? [] : [{ value }]);
const seconds = (micro: number | undefined): Value[] => (micro === undefined ? [] : [{ value: micro / 1e6 }]);

const io = (stats: CgroupStats, read: 'rbytes' | 'rios', written: 'wbytes' | 'wios'): Value[] =>
  Object.entries(stats.io ?? {}).flatMap(([device, counters]) => [
    { labels: { device, operation: 'read' }, value: counters[read] },
    { labels: { device, operation: 'write' }, value: counters[written] },
  ]);

const stalls = ({ pressure }: CgroupStats): Value[] =>
  Object.entries(pressure as Record<string, Pressure>).flatMap(([resource, { some, full }]) => [
    { labels: { resource, kind: 'some' }, value: some.total / 1e6 },
    { labels: { resource, kind: 'full' }, value: full.total / 1e6 },
  ]);

const metrics: readonly Metric[] = [
  { name: 'uptime_seconds', type: 'gauge', help: 'Age of the first process.', of: (_, { uptime }) => one(uptime) },
  { name: 'cpu_usage_seconds_total', type: 'counter', help: 'CPU time.', of: ({ cpu }) => seconds(cpu?.usage) },
  {
    name: 'cpu_user_seconds_total',
    type: 'counter',
    help: 'CPU time in user mode.',
    of: ({ cpu }) => seconds(cpu?.user),
  },
  {
    name: 'cpu_system_seconds_total',
    type: 'counter',
    help: 'CPU time in the kernel.',
    of: ({ cpu }) => seconds(cpu?.system),
  },
  { name: 'cpu_periods_total', type: 'counter', help: 'Periods of the CPU limit.', of: ({ cpu }) => one(cpu?.periods) },
  {
    name: 'cpu_throttled_periods_total',
    type: 'counter',
    help: 'Periods in which the CPU limit held the container back.',
    of: ({ cpu }) => one(cpu?.throttledPeriods),
  },
  {
    name: 'cpu_throttled_seconds_total',
    type: 'counter',
    help: 'Time for which the CPU limit held the container back.',
    of: ({ cpu }) => seconds(cpu?.throttledTime),
  },
  {
    name: 'cpu_limit_cores',
    type: 'gauge',
    help: 'The CPU limit in cores.',
    of: ({ cpu }) => one(cpu && cpu.quota / cpu.period),
  },
  { name: 'memory_usage_bytes', type: 'gauge', help: 'Memory in use.', of: ({ memory }) => one(memory?.usage) },
  { name: 'memory_limit_bytes', type: 'gauge', help: 'The memory limit.', of: ({ memory }) => one(memory?.limit) },
  { name: 'memory_peak_bytes', type: 'gauge', help: 'The highest memory use.', of: ({ memory }) => one(memory?.peak) },
  { name: 'memory_swap_bytes', type: 'gauge', help: 'Swap in use.', of: ({ memory }) => one(memory?.swapUsage) },
  {
    name: 'memory_oom_kills_total',
    type: 'counter',
    help: 'Processes that were killed for want of memory.',
    of: ({ memory }) => one(memory?.oomKills),
  },
  { name: 'pids', type: 'gauge', help: 'Processes and threads.', of: ({ pids }) => one(pids?.current) },
  {
    name: 'pids_limit',
    type: 'gauge',
    help: 'The limit of processes and threads.',
    of: ({ pids }) => one(pids?.limit),
  },
  {
    name: 'io_bytes_total',
    type: 'counter',
    help: 'Bytes read and written.',
    of: (stats) => io(stats, 'rbytes', 'wbytes'),
  },
  { name: 'io_operations_total', type: 'counter', help: 'Reads and writes.', of: (stats) => io(stats, 'rios', 'wios') },
  {
    name: 'pressure_seconds_total',
    type: 'counter',
    help: 'Time in which some or all tasks waited for a resource.',
    of: stalls,
  },
];

export function prometheusText(samples: readonly Sample[]): string {
  return metrics
    .map(({ name, type, help, of }) => {
      const full = `tsrun_container_${name}`;
      const values = samples.flatMap((sample) =>
        of(sample.stats, sample).map(
          ({ labels, value }) => `${full}{${label({ id: sample.id, ...labels })}} ${number(value)}\n`,
        ),
      );
      return values.length === 0 ? '' : `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${values.join('')}`;
    })
    .join('');
}

const label = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}="${value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))}"`)
    .join(',');

const number = (value: number): string => (value === Infinity ? '+Inf' : String(value));
