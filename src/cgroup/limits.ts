// linux.resources in, the writes to a cgroup v2 directory out, in order, each with its origin and its reason.
// Nothing here assumes that the cgroup is new: `update` uses the same function, with the merged resources.

import { ConfigError, type Problem } from '../errors.ts';
import type { LinuxBlockIO, LinuxCPU, LinuxMemory, LinuxResources } from '../spec/types.ts';

/** One write(2) to one file of the container's cgroup. */
export interface CgroupWrite {
  /** Name of the file in the cgroup's directory. */
  readonly file: string;
  /** The whole text to write, without a newline. */
  readonly value: string;
  /** The field behind it, a JSON pointer such as `/linux/resources/memory/limit`. */
  readonly from: string;
  /** What the write does, for `explain`. */
  readonly why: string;
  /**
   * What to do if the file does not exist, which only the host knows: nothing, or write another file instead.
   * Without it a missing file is an error.
   */
  readonly ifMissing?: 'ignore' | { readonly file: string; readonly value: string };
  /**
   * A file of the same cgroup whose number must be lower than `value`, or the write and all others are refused
   * (memory.checkBeforeUpdate). If the file cannot be read, the write goes ahead, as in runc.
   */
  readonly mustExceed?: string;
}

/** A field that was accepted and does nothing, because cgroup v2 has no counterpart. runc ignores the same ones. */
export interface IgnoredLimit {
  readonly from: string;
  readonly why: string;
}

export interface CgroupLimits {
  readonly writes: readonly CgroupWrite[];
  /** Controllers to enable in cgroup.subtree_control of every cgroup above the container's, each once. */
  readonly controllers: readonly string[];
  /** For a warning, and for `explain`. */
  readonly ignored: readonly IgnoredLimit[];
}

const ROOT = '/linux/resources';

/** Bytes per page of the finest page size: counters saturate at LONG_MAX rounded down to pages (page_counter.h). */
const MEMORY_UNLIMITED = 2 ** 63 - 4096;
/** PID_MAX_LIMIT of the kernel: pids.max refuses greater numbers, and there cannot be more tasks. */
const PIDS_UNLIMITED = 2 ** 22 + 1;
/** cpu.max refuses quotas of 2^44 µs or more (kernel/sched/core.c, max_cfs_runtime). */
const QUOTA_UNLIMITED = 2 ** 44;
const U64_UNLIMITED = 2 ** 64;
const U32_UNLIMITED = 2 ** 32 - 1;
/** rdma.max reads an int and takes its maximum as no limit. */
const RDMA_UNLIMITED = 2 ** 31 - 1;

/**
 * Translates limits to cgroup v2 (kernel Documentation/admin-guide/cgroup-v2.rst; runtime-spec config-linux.md).
 * The order of writes is runc's: pids, memory, io, cpu, cpuset, hugetlb, rdma, and `unified` last, so that it wins.
 * Device rules are not files: see `deviceFilter`.
 *
 * As in runc, 0 means "not set" for memory, cpu shares, quota and period, and blockIO weights; pids.limit 0 is a real
 * limit (runtime-spec 1.3), which forbids every fork: write it after the container's process is in the cgroup.
 * Numbers from which on the kernel would saturate, wrap or refuse, and which therefore mean "no limit", become `max`.
 * Ignored, as by runc, but told in `ignored`: memory.kernel, kernelTCP, swappiness and disableOOMKiller, leaf weights,
 * and cpu.shares beside cpu.idle 1 (the kernel refuses weights of idle groups).
 * Refused rather than silently without effect: realtime scheduling and network classes, which only cgroup v1 has.
 *
 * @param available The controllers of cgroup.controllers in the parent cgroup.
 * @param files Names in a cgroup directory with these controllers, if known: resolves every `ifMissing`.
 * @throws {ConfigError} with all problems: impossible values, and limits whose controller is not available.
 */
export function cgroupWrites(
  resources: LinuxResources,
  available: readonly string[],
  files?: readonly string[],
): CgroupLimits {
  const out = new Collector(available);
  if (resources.pids) pids(out, resources.pids.limit);
  if (resources.memory) memory(out, resources.memory);
  if (resources.blockIO) blockIO(out, resources.blockIO);
  if (resources.cpu) cpu(out, resources.cpu);
  if (resources.cpu) cpuset(out, resources.cpu);
  hugepageLimits(out, resources);
  rdma(out, resources);
  network(out, resources);
  unified(out, resources);
  if (out.problems.length > 0) throw new ConfigError('config.json', out.problems);
  const writes = files === undefined ? out.writes : out.writes.flatMap((write) => resolveMissing(write, files));
  return { writes, controllers: out.controllers, ignored: out.ignored };
}

function resolveMissing(write: CgroupWrite, files: readonly string[]): CgroupWrite[] {
  const { ifMissing, ...plain } = write;
  if (ifMissing === undefined || files.includes(write.file)) return [plain];
  return ifMissing === 'ignore' ? [] : [{ ...plain, ...ifMissing }];
}

type Extra = Pick<CgroupWrite, 'ifMissing' | 'mustExceed'>;

class Collector {
  readonly writes: CgroupWrite[] = [];
  readonly controllers: string[] = [];
  readonly ignored: IgnoredLimit[] = [];
  readonly problems: Problem[] = [];
  private readonly available: readonly string[];

  constructor(available: readonly string[]) {
    this.available = available;
  }

  /** A write to `file`, whose controller is the part before the first dot. `found`: the field's value. */
  write(field: string, found: unknown, file: string, value: string, why: string, extra?: Extra): void {
    if (!this.need(file.slice(0, file.indexOf('.')), field, found)) return;
    this.writes.push({ file, value, from: ROOT + field, why, ...extra });
  }

  ignore(field: string, why: string): void {
    this.ignored.push({ from: ROOT + field, why });
  }

  problem(field: string, expected: string, found: unknown, hint?: string): void {
    const pointer = ROOT + field;
    if (this.problems.some((problem) => problem.pointer === pointer)) return;
    const problem = { pointer, expected, found: shorten(JSON.stringify(found)) };
    this.problems.push(hint === undefined ? problem : { ...problem, hint });
  }

  private need(controller: string, field: string, found: unknown): boolean {
    // The core files of a cgroup belong to no controller.
    if (controller === 'cgroup') return true;
    if (!this.available.includes(controller)) {
      const there = this.available.length === 0 ? 'no controllers' : `only ${this.available.join(', ')}`;
      this.problem(
        field,
        `no such limit, since the cgroup v2 controller "${controller}" is not available here (there is ${there})`,
        found,
        `enable ${controller} in cgroup.subtree_control of the cgroups above, or use --cgroup-manager=disabled`,
      );
      return false;
    }
    if (!this.controllers.includes(controller)) this.controllers.push(controller);
    return true;
  }
}

function shorten(json: string): string {
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

function pids(out: Collector, limit: number | undefined): void {
  if (limit === undefined) return;
  const value = limit < 0 ? 'max' : exact(limit, PIDS_UNLIMITED);
  out.write('/pids/limit', limit, 'pids.max', value, `at most ${amount(value)} tasks`);
}

function memory(out: Collector, memory: LinuxMemory): void {
  const limit = bytes(out, '/memory/limit', memory.limit);
  const reservation = bytes(out, '/memory/reservation', memory.reservation);
  swap(out, memory);
  if (limit !== undefined) {
    // Checked by runc for swap as well; swap is memory+swap and never less than the limit, so one check does for both.
    const check = memory.checkBeforeUpdate === true && limit !== 'max' ? { mustExceed: 'memory.current' } : undefined;
    out.write('/memory/limit', memory.limit, 'memory.max', limit, `at most ${amount(limit)} bytes of memory`, check);
  }
  if (reservation !== undefined) {
    const why = `${amount(reservation)} bytes are reclaimed only when no unprotected memory is left`;
    out.write('/memory/reservation', memory.reservation, 'memory.low', reservation, why);
  }
  for (const field of ['kernel', 'kernelTCP'] as const) {
    if (memory[field]) out.ignore(`/memory/${field}`, 'cgroup v2 has no separate limits for memory of the kernel');
  }
  if (memory.swappiness !== undefined) out.ignore('/memory/swappiness', 'cgroup v2 has no swappiness');
  if (memory.disableOOMKiller === true) {
    out.ignore('/memory/disableOOMKiller', 'cgroup v2 cannot turn off the OOM killer');
  }
}

/** The text for a file of the memory controller; undefined if not set, or not possible. */
function bytes(out: Collector, field: string, value: number | undefined): string | undefined {
  if (value === undefined || value === 0) return undefined;
  if (value === -1) return 'max';
  if (value > 0) return exact(value, MEMORY_UNLIMITED);
  out.problem(field, 'a number of bytes, or -1 for no limit', value);
  return undefined;
}

/**
 * The field is memory+swap, the file is swap alone. Written before memory.max, as runc does: lowering memory.max
 * reclaims at once, and that must find the new bound for swap.
 */
function swap(out: Collector, memory: LinuxMemory): void {
  const field = '/memory/swap';
  const limit = memory.limit ?? 0;
  let from = field;
  let found: number | undefined = memory.swap;
  let value = bytes(out, field, memory.swap);
  if (value === undefined) {
    // In cgroup v1 memory without a limit meant swap without a limit too.
    if (limit !== -1 || (memory.swap ?? 0) !== 0) return;
    from = '/memory/limit';
    found = limit;
    value = 'max';
  } else if (value !== 'max' && limit !== -1) {
    const total = memory.swap as number;
    if (limit === 0) {
      out.problem(field, 'no limit of memory+swap without memory.limit', total, 'set memory.limit, or swap to -1');
      return;
    }
    if (total < limit) {
      out.problem(field, `memory+swap of at least memory.limit, ${exact(limit, Infinity)}`, total);
      return;
    }
    value = (BigInt(total) - BigInt(Math.max(limit, 0))).toString();
  }
  // Kernels without swap accounting lack the file, and then also the swap that would have to be forbidden.
  const extra = value === 'max' || value === '0' ? ({ ifMissing: 'ignore' } as const) : undefined;
  const why = value === '0' ? 'no swap, since memory+swap equals memory' : `at most ${amount(value)} bytes of swap`;
  out.write(from, found, 'memory.swap.max', value, why, extra);
}

function blockIO(out: Collector, io: LinuxBlockIO): void {
  if (io.weight) weight(out, '/blockIO/weight', io.weight, '');
  if (io.leafWeight) out.ignore('/blockIO/leafWeight', 'cgroup v2 has no tasks beside child cgroups');
  io.weightDevice?.forEach((device, index) => {
    const field = `/blockIO/weightDevice/${index}`;
    if (device.weight) weight(out, `${field}/weight`, device.weight, `${device.major}:${device.minor} `);
    if (device.leafWeight) out.ignore(`${field}/leafWeight`, 'cgroup v2 has no tasks beside child cgroups');
  });
  const throttles = [
    ['throttleReadBpsDevice', 'rbps', U64_UNLIMITED, 'bytes read'],
    ['throttleWriteBpsDevice', 'wbps', U64_UNLIMITED, 'bytes written'],
    ['throttleReadIOPSDevice', 'riops', U32_UNLIMITED, 'reads'],
    ['throttleWriteIOPSDevice', 'wiops', U32_UNLIMITED, 'writes'],
  ] as const;
  for (const [list, key, unlimited, what] of throttles) {
    io[list]?.forEach((device, index) => {
      // In cgroup v1 a rate of 0 took a limit away; io.max refuses 0.
      const rate = device.rate === 0 ? 'max' : exact(device.rate, unlimited);
      const value = `${device.major}:${device.minor} ${key}=${rate}`;
      const why = `at most ${amount(rate)} ${what} a second on device ${device.major}:${device.minor}`;
      out.write(`/blockIO/${list}/${index}/rate`, device.rate, 'io.max', value, why);
    });
  }
}

/** BFQ takes the weights of the specification as they are; io.weight (iocost) has a range of 1 to 10000. */
function weight(out: Collector, field: string, weight: number, device: string): void {
  if (weight < 10 || weight > 1000) {
    out.problem(field, 'a weight from 10 to 1000', weight);
    return;
  }
  const scaled = 1 + Math.floor(((weight - 10) * 9999) / 990);
  const instead = { file: 'io.weight', value: `${device === '' ? 'default ' : device}${scaled}` };
  const where = device === '' ? 'every device' : `device ${device.trim()}`;
  const why = `share of ${where} against sibling cgroups; io.weight ${scaled} where the BFQ scheduler is not loaded`;
  out.write(field, weight, 'io.bfq.weight', `${device}${weight}`, why, { ifMissing: instead });
}

function cpu(out: Collector, cpu: LinuxCPU): void {
  for (const field of ['realtimeRuntime', 'realtimePeriod'] as const) {
    if (cpu[field]) {
      out.problem(`/cpu/${field}`, 'no realtime limit, since only cgroup v1 has them', cpu[field], 'remove the field');
    }
  }
  if (cpu.idle !== undefined) {
    if (cpu.idle !== 0 && cpu.idle !== 1) out.problem('/cpu/idle', '0 or 1', cpu.idle);
    const why = cpu.idle === 1 ? 'runs only when nothing else wants the CPU' : 'ordinary scheduling, not SCHED_IDLE';
    out.write('/cpu/idle', cpu.idle, 'cpu.idle', String(cpu.idle), why);
  }
  if (cpu.shares) {
    if (cpu.idle === 1) {
      out.ignore('/cpu/shares', 'cpu.idle fixes the weight at its minimum, and the kernel refuses to set it');
    } else {
      const weight = sharesToWeight(cpu.shares);
      const why = `${cpu.shares} shares as a weight, where 100 is an ordinary cgroup`;
      out.write('/cpu/shares', cpu.shares, 'cpu.weight', String(weight), why);
    }
  }
  bandwidth(out, cpu);
}

/**
 * cpu.shares (2 to 262144, default 1024) to cpu.weight (1 to 10000, default 100): the curve through the minima, the
 * defaults and the maxima that runc, crun and systemd agreed on (10^((log2²(x) + 125·log2(x))/612 - 7/34)), rounded up.
 */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const log = Math.log2(shares);
  // Engines differ in the last bit of log2 and pow, which must not make 101 of the default.
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34) - 1e-9);
}

function bandwidth(out: Collector, cpu: LinuxCPU): void {
  const { quota = 0, period = 0, burst } = cpu;
  const limited = quota > 0 && quota < QUOTA_UNLIMITED;
  if (burst !== undefined && limited && burst > quota) {
    out.problem('/cpu/burst', `at most cpu.quota, ${quota}`, burst);
  }
  const sets = quota !== 0 || period !== 0;
  // The kernel keeps burst <= quota at every moment, so an old burst may forbid the new quota and the reverse.
  if (burst !== undefined && sets && limited) {
    out.write('/cpu/burst', burst, 'cpu.max.burst', '0', 'lets any quota follow, whatever burst there was');
  }
  if (sets) {
    const max = limited ? String(quota) : 'max';
    const value = period === 0 ? max : `${max} ${exact(period, Infinity)}`;
    const field = quota === 0 ? '/cpu/period' : '/cpu/quota';
    const why = limited ? `at most ${quota} µs of CPU time a period` : 'no limit of CPU time';
    out.write(field, quota === 0 ? period : quota, 'cpu.max', value, why);
  }
  if (burst !== undefined && !(burst === 0 && sets && limited)) {
    const value = exact(burst, Infinity);
    out.write('/cpu/burst', burst, 'cpu.max.burst', value, `unused quota adds up to ${amount(value)} µs`);
  }
}

function cpuset(out: Collector, cpu: LinuxCPU): void {
  if (cpu.cpus) out.write('/cpu/cpus', cpu.cpus, 'cpuset.cpus', cpu.cpus, `runs on CPUs ${cpu.cpus} only`);
  if (cpu.mems) out.write('/cpu/mems', cpu.mems, 'cpuset.mems', cpu.mems, `memory of nodes ${cpu.mems} only`);
}

function hugepageLimits(out: Collector, resources: LinuxResources): void {
  resources.hugepageLimits?.forEach((entry, index) => {
    const field = `/hugepageLimits/${index}`;
    // The size becomes part of a file name.
    if (!/^[1-9][0-9]*[KMG]B$/.test(entry.pageSize)) {
      out.problem(`${field}/pageSize`, 'a size such as "64KB", "2MB" or "1GB"', entry.pageSize);
      return;
    }
    const value = exact(entry.limit, MEMORY_UNLIMITED);
    const write = (file: string, why: string, extra?: Extra): void =>
      out.write(`${field}/limit`, entry.limit, file, value, why, extra);
    write(`hugetlb.${entry.pageSize}.max`, `at most ${amount(value)} bytes of ${entry.pageSize} pages in use`);
    write(
      `hugetlb.${entry.pageSize}.rsvd.max`,
      `at most ${amount(value)} bytes of ${entry.pageSize} pages reserved, so that excess fails in mmap, not by SIGBUS`,
      { ifMissing: 'ignore' },
    );
  });
}

function rdma(out: Collector, resources: LinuxResources): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(resources.rdma ?? {})) {
    const field = `/rdma/${escapePointer(device)}`;
    if (!/^[^\s=]+$/.test(device) || device.includes('\0')) {
      out.problem(field, 'the name of an RDMA device', device);
      continue;
    }
    const parts = [device];
    if (hcaHandles !== undefined) parts.push(`hca_handle=${exact(hcaHandles, RDMA_UNLIMITED)}`);
    if (hcaObjects !== undefined) parts.push(`hca_object=${exact(hcaObjects, RDMA_UNLIMITED)}`);
    if (parts.length === 1) continue;
    out.write(field, { hcaHandles, hcaObjects }, 'rdma.max', parts.join(' '), `resources of ${device}`);
  }
}

function network(out: Collector, resources: LinuxResources): void {
  const { classID, priorities } = resources.network ?? {};
  const hint = 'remove the field, or classify packets by cgroup path in nftables';
  if (classID) out.problem('/network/classID', 'no class, since only cgroup v1 has net_cls', classID, hint);
  if (priorities && priorities.length > 0) {
    out.problem('/network/priorities', 'no priorities, since only cgroup v1 has net_prio', priorities, hint);
  }
}

function unified(out: Collector, resources: LinuxResources): void {
  for (const [file, text] of Object.entries(resources.unified ?? {})) {
    const field = `/unified/${escapePointer(file)}`;
    if (!/^[a-z][a-z0-9_-]*\.[A-Za-z0-9_.-]+$/.test(file)) {
      out.problem(field, 'the name of a file such as "memory.high", without slashes', file);
      continue;
    }
    // Keyed files (io.max, rdma.max) take one key a write.
    const lines = text.split('\n');
    if (lines.length > 1 && lines.at(-1) === '') lines.pop();
    for (const line of lines) out.write(field, text, file, line, 'written as it is, after all other limits');
  }
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Decimal digits and never an exponent; `max` from `unlimited` on. */
function exact(value: number, unlimited: number): string {
  if (value >= unlimited) return 'max';
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

function amount(value: string): string {
  return value === 'max' ? 'any number of' : value;
}
