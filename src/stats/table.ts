// Samples in; the table of `stats` for people, and its JSON for programs, out.

import type { CgroupStats, Pressure } from './parse.ts';
import type { Sample } from './read.ts';

/** A sample, and what changed since the one before it. */
export interface Usage {
  readonly sample: Sample;
  /** Per cent of one CPU between the two samples; undefined where there is only one. */
  readonly cpuPercent: number | undefined;
}

/** @param before Earlier samples of the same containers, or none. */
export function usages(samples: readonly Sample[], before: readonly Sample[]): Usage[] {
  const earlier = new Map(before.map((sample) => [sample.id, sample]));
  return samples.map((sample) => ({ sample, cpuPercent: cpuPercent(sample, earlier.get(sample.id)) }));
}

function cpuPercent(now: Sample, before: Sample | undefined): number | undefined {
  // Another pid means another container of the same name, whose counter began anew.
  if (before === undefined || before.pid !== now.pid || now.at <= before.at) return undefined;
  const used = (now.stats.cpu?.usage ?? 0) - (before.stats.cpu?.usage ?? 0);
  return Math.max(0, used / 1e4 / (now.at - before.at));
}

const headings = [
  'ID',
  'CPU %',
  'MEM / LIMIT',
  'MEM %',
  'PIDS / LIMIT',
  'READ / WRITTEN',
  'THROTTLED',
  'PRESSURE cpu mem io',
  'OOM',
  'UPTIME',
];

export function statsTable(list: readonly Usage[]): string {
  const rows = [headings, ...list.map(row)];
  const widths = headings.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map(
      (cells) =>
        `${cells
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

const NONE = '-';

function row({ sample: { id, uptime, stats }, cpuPercent: percent }: Usage): string[] {
  const { cpu, memory, pids, io, pressure } = stats;
  const total = (key: 'rbytes' | 'wbytes') => Object.values(io ?? {}).reduce((sum, counters) => sum + counters[key], 0);
  return [
    id,
    percent === undefined ? NONE : `${percent.toFixed(1)}%`,
    memory === undefined ? NONE : `${bytes(memory.usage)} / ${bytes(memory.limit)}`,
    memory === undefined || memory.limit === Infinity ? NONE : `${((100 * memory.usage) / memory.limit).toFixed(1)}%`,
    pids === undefined ? NONE : `${pids.current} / ${pids.limit === Infinity ? 'none' : pids.limit}`,
    io === undefined ? NONE : `${bytes(total('rbytes'))} / ${bytes(total('wbytes'))}`,
    cpu === undefined || cpu.periods === 0 ? NONE : `${cpu.throttledPeriods} of ${cpu.periods}`,
    [pressure.cpu, pressure.memory, pressure.io].map(stalled).join(' '),
    memory === undefined ? NONE : String(memory.oomKills),
    duration(uptime),
  ];
}

const stalled = (pressure: Pressure | undefined): string =>
  pressure === undefined ? NONE : `${pressure.some.avg10.toFixed(1)}%`;

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function bytes(count: number): string {
  if (count === Infinity) return 'none';
  let value = count;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)}${units[unit]}`;
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return first < 0
    ? '0s'
    : parts
        .slice(first, first + 2)
        .map(([count, unit]) => `${count}${unit}`)
        .join('');
}

/** One object a container: the numbers of the cgroup files in their own units, `null` for no limit. */
export function statsJson(list: readonly Usage[]): string {
  return JSON.stringify(
    list.map(({ sample: { id, pid, uptime, stats }, cpuPercent: percent }) => ({
      id,
      pid,
      uptimeSeconds: uptime,
      cpuPercent: percent,
      ...named(stats),
    })),
  );
}

const limit = (value: number): number | null => (value === Infinity ? null : value);

function named({ cpu, memory, pids, ...rest }: CgroupStats) {
  return {
    cpu: cpu && { ...cpu, quota: limit(cpu.quota) },
    memory: memory && { ...memory, limit: limit(memory.limit), swapLimit: limit(memory.swapLimit) },
    pids: pids && { ...pids, limit: limit(pids.limit) },
    ...rest,
  };
}
