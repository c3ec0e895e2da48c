// What the executor answers: the messages of native/plan/report.h, one behind the other.

import { decodeText } from '../linux/utf8.ts';

export type Side = 'host' | 'init';

export interface StepDone {
  readonly side: Side;
  /** Index in the side's list of steps. */
  readonly step: number;
  readonly result: number;
  readonly nanoseconds: number;
}

export interface StepFailed extends StepDone {
  /** A positive errno. */
  readonly errno: number;
  /** The system call that failed. */
  readonly call: string;
  /** The path, or whatever else it was about; '' where there is nothing. */
  readonly object: string;
  /** What the kernel or a hook had to say beyond the number; '' where there is nothing. */
  readonly message: string;
  /** The program did not follow the wire format: a bug of ours, or another version of init. */
  readonly broken: boolean;
}

export interface Report {
  readonly done: readonly StepDone[];
  readonly failed: StepFailed | undefined;
  /** The container process; 0 where none was started. */
  readonly pid: number;
  readonly pidfd: number | undefined;
  /** The socket to init, until it has become the program. */
  readonly control: number | undefined;
  /** The master of the container's terminal. */
  readonly console: number | undefined;
}

const HEAD = 24;
const DONE = 1;
const FAILED = 2;
const PID = 4;
const FD = 5;
const BROKEN = 6;

export function decodeReport(bytes: Uint8Array): Report {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const done: StepDone[] = [];
  const kept: number[] = [];
  let failed: StepFailed | undefined;
  let pid = 0;
  for (let at = 0; at + HEAD <= bytes.length; ) {
    const kind = view.getUint8(at);
    const length = view.getUint16(at + 2, true);
    const step = view.getUint32(at + 4, true);
    const errno = view.getInt32(at + 8, true);
    const result = view.getInt32(at + 12, true);
    const nanoseconds = view.getUint32(at + 16, true) + view.getUint32(at + 20, true) * 2 ** 32;
    const common: StepDone = { side: view.getUint8(at + 1) === 1 ? 'init' : 'host', step, result, nanoseconds };
    if (kind === DONE) done.push(common);
    if (kind === PID) pid = result;
    if (kind === FD) kept[step] = result;
    if (kind === FAILED || kind === BROKEN) {
      const [call = '', object = '', message = ''] = decodeText(bytes.subarray(at + HEAD, at + HEAD + length)).split(
        '\0',
      );
      failed = { ...common, errno, call, object, message, broken: kind === BROKEN };
    }
    at += HEAD + length;
  }
  return { done, failed, pid, pidfd: kept[0], control: kept[1], console: kept[2] };
}
