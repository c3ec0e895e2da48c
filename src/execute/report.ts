// What the executor answers: the messages of native/plan/report.h, one behind the other.

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

/** The first character that takes one, two, three and four bytes: less in as many is a disguise. */
const shortest = [0, 0x80, 0x800, 0x10000];

/** UTF-8, as the kernel and hooks write it; other bytes become U+FFFD. Only failures come here, so a loop will do. */
function decodeText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++] ?? 0;
    const more =
      first < 0x80
        ? 0
        : first >= 0xc2 && first < 0xe0
          ? 1
          : first >= 0xe0 && first < 0xf0
            ? 2
            : first >= 0xf0 && first < 0xf5
              ? 3
              : -1;
    let point = more === 0 ? first : first & (0x3f >> more);
    let good = more >= 0;
    for (let i = 0; good && i < more; i++) {
      const next = bytes[at + i] ?? 0;
      good = (next & 0xc0) === 0x80;
      point = (point << 6) | (next & 0x3f);
    }
    good &&= point >= (shortest[more] ?? 0) && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
    if (good) at += more;
    text += good ? String.fromCodePoint(point) : '\ufffd';
  }
  return text;
}
