// What tsrun knows of a container between two commands, and what it makes of it.

import { isSysError, readAnyText, sys, unlessMissing } from '../linux/sys.ts';
import type { Hooks, LinuxResources } from '../spec/types.ts';

const ESRCH = 3;

/** runtime.md#state. */
export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/** The content of state.json. */
export interface ContainerRecord {
  readonly id: string;
  readonly ociVersion: string;
  /** 0 until the container process exists. */
  readonly pid: number;
  /** Of the process, in clock ticks since boot (field 22 of proc_pid_stat(5)): a pid alone may be somebody else's by now. */
  readonly startTime: string;
  /** What was done last; whether the process still lives is asked of the kernel. */
  readonly stage: 'creating' | 'created' | 'running';
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  /** The uid that created it. */
  readonly owner: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly hooks?: Hooks;
  readonly cgroup?: CgroupRecord;
  /** The limits now, without device rules: what an update changes one of. */
  readonly resources?: LinuxResources;
  /** Groups of resctrl that end with the container, innermost first. */
  readonly resctrl?: readonly string[];
  /** Set where the bundle was made for this container: what stands for it in the store of images. */
  readonly bundleUser?: string;
  /** True where the first process's end does not end the others: the pid namespace is not the container's own. */
  readonly sharedPid: boolean;
  /** True where the container keeps the session keyring of its caller. */
  readonly noNewKeyring: boolean;
  /** Init's steps after the gate, for the error of one that fails under `start`, and the index of the first. */
  readonly gateIndex: number;
  readonly afterGate: readonly { readonly op: string; readonly from: string }[];
}

/** What `state` and `list` show (runtime.md#state, with what runc adds). */
export interface ContainerState {
  readonly ociVersion: string;
  readonly id: string;
  /** 0 when stopped. */
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** The uid that created it. */
  readonly owner: number;
}

export function stateOf(record: ContainerRecord): ContainerState {
  const status = statusOf(record);
  const { ociVersion, id, pid, bundle, rootfs, created, annotations, owner } = record;
  return { ociVersion, id, pid: status === 'stopped' ? 0 : pid, status, bundle, rootfs, created, annotations, owner };
}

export interface CgroupRecord {
  readonly path: string;
  /** Directories that were made for it, outermost first: these and no others are removed. */
  readonly made: readonly string[];
  /** The systemd unit that it belongs to. */
  readonly unit?: string;
}

/** The status now: the stage, unless the process is gone, or frozen. */
export function statusOf(record: ContainerRecord): Status {
  if (record.pid === 0) return record.stage === 'creating' ? 'creating' : 'stopped';
  if (!isAlive(record.pid, record.startTime)) return 'stopped';
  return record.stage !== 'creating' && isPaused(record.cgroup) ? 'paused' : record.stage;
}

/** True while the very process runs. */
export function isAlive(pid: number, startTime: string): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTime === startTime && !hasEnded(stat);
}

/** What proc_pid_stat(5) tells of a process. */
export interface ProcessStat {
  readonly state: string;
  readonly threads: number;
  readonly startTime: string;
}

/** A zombie has ended, unless it is only the first thread that did: it stays one until the others have ended too. */
export const hasEnded = ({ state, threads }: ProcessStat): boolean => state === 'X' || (state === 'Z' && threads <= 1);

/** Undefined where there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  let text: string | undefined;
  try {
    text = unlessMissing(() => readAnyText(`/proc/${pid}/stat`, 65536));
  } catch (error) {
    // ESRCH comes of a process that ends between open(2) and read(2). Anything else says nothing about the process.
    if (!isSysError(error) || error.errno !== ESRCH) throw error;
    return undefined;
  }
  if (text === undefined) return undefined;
  return parseStat(text);
}

/** @param text The one line of /proc/PID/stat. */
export function parseStat(text: string): ProcessStat {
  // The name, in parentheses, may itself hold any byte. The state behind it is field 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', threads: Number(fields[17] ?? 0), startTime: fields[19] ?? '' };
}

function isPaused(cgroup: CgroupRecord | undefined): boolean {
  if (cgroup === undefined) return false;
  const events = unlessMissing(() => sys.readFile(`${cgroup.path}/cgroup.events`, 4096));
  return events?.includes('frozen 1') ?? false;
}
