// The writes to a cgroup in, the properties of its unit that say the same out. systemd writes the files of a unit anew
// from its properties, at a daemon-reload for one: what the properties do not say is lost then.

import { variant } from '../dbus/types.ts';
import type { CgroupWrite } from './limits.ts';
import type { UnitProperty } from './unit.ts';

export interface LimitProperties {
  readonly now: readonly UnitProperty[];
  /** Once init needs no more processes. */
  readonly late: readonly UnitProperty[];
}

/** systemd's word for no limit. */
const INFINITY = 2n ** 64n - 1n;

/** The last write of a file decides, as it does in the cgroup. Files without a property are left to the cgroup. */
export function limitProperties(writes: readonly CgroupWrite[]): LimitProperties {
  const last = new Map(writes.map((write) => [write.file, write]));
  const now: UnitProperty[] = [];
  const late: UnitProperty[] = [];
  for (const write of last.values()) (write.file === 'pids.max' ? late : now).push(...propertiesOf(write));
  return { now, late };
}

const amounts: Readonly<Record<string, string>> = {
  'memory.max': 'MemoryMax',
  'memory.high': 'MemoryHigh',
  'memory.low': 'MemoryLow',
  'memory.min': 'MemoryMin',
  'memory.swap.max': 'MemorySwapMax',
  'pids.max': 'TasksMax',
  'cpu.weight': 'CPUWeight',
};

function propertiesOf({ file, value, ifMissing }: CgroupWrite): UnitProperty[] {
  const name = amounts[file];
  if (name !== undefined) return /^(max|\d+)$/.test(value) ? [[name, variant('t', amount(value))]] : [];
  switch (file) {
    case 'cpu.max':
      return bandwidth(value);
    case 'cpu.idle':
      // Since systemd 252 a weight of 0 means idle.
      return value === '1' ? [['CPUWeight', variant('t', 0)]] : [];
    case 'cpuset.cpus':
      return [['AllowedCPUs', variant('ay', bits(value))]];
    case 'cpuset.mems':
      return [['AllowedMemoryNodes', variant('ay', bits(value))]];
    case 'io.weight':
      return ioWeight(value);
    case 'io.bfq.weight':
      return typeof ifMissing === 'object' ? ioWeight(ifMissing.value) : [];
    default:
      return [];
  }
}

const amount = (text: string): bigint => (text === 'max' ? INFINITY : BigInt(text));

/** `QUOTA [PERIOD]`. systemd keeps whole per cents, so the rate is rounded up to 10 ms a second, as runc does. */
function bandwidth(text: string): UnitProperty[] {
  const [quota = 'max', period] = text.split(' ');
  const rate =
    quota === 'max' ? INFINITY : BigInt(Math.ceil((Number(quota) * 100) / Number(period ?? 100_000)) * 10_000);
  const properties: UnitProperty[] = [['CPUQuotaPerSecUSec', variant('t', rate)]];
  if (period !== undefined) properties.push(['CPUQuotaPeriodUSec', variant('t', BigInt(period))]);
  return properties;
}

/** `default N`; weights of single devices need a path of the device, which a cgroup file does not. */
function ioWeight(text: string): UnitProperty[] {
  const weight = /^(?:default )?(\d+)$/.exec(text)?.[1];
  return weight === undefined ? [] : [['IOWeight', variant('t', BigInt(weight))]];
}

/** `0-3,8` as a mask, lowest first. */
function bits(list: string): Uint8Array {
  const mask: number[] = [];
  for (const range of list.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number);
    for (let bit = first; bit <= last; bit++) {
      while (mask.length <= bit >> 3) mask.push(0);
      mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return Uint8Array.from(mask);
}
