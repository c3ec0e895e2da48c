// The foreground of `run`: signals go to the container's process, a terminal's bytes both ways, its end ends the wait.

import { POLLERR, POLLHUP, POLLIN, POLLOUT, WNOHANG } from '../linux/flags.ts';
import { signals } from '../linux/signals.ts';
import { isSysError, sys } from '../linux/sys.ts';

const { CHLD = 17, HUP = 1, INT = 2, QUIT = 3, TERM = 15, URG = 23, WINCH = 28 } = signals;
/** They end who waits for them by default. */
const ending: readonly number[] = [HUP, INT, QUIT, TERM];
const ECHILD = 10;
const EIO = 5;
const EAGAIN = 11;
const EPIPE = 32;
const CHUNK = 65536;
/** What a pipe that is ready for writing takes at once. pipe(7) */
const PIPE_BUF = 4096;
/** No descriptor, for poll(2). */
const NOBODY = 0xffffffff;

export interface Foreground {
  readonly pid: number;
  readonly pidfd: number;
  /** The master of the container's terminal, if it has one. */
  readonly console: number | undefined;
  /** From sys.catchSignals(), called before the process was started so that none is lost. */
  readonly signals: number;
  /** Something else to attend to meanwhile: what comes out of a descriptor. */
  readonly other?: { readonly fd: number; readonly onInput: () => void } | undefined;
}

/**
 * Waits for the container's process and reaps whatever else comes to this one.
 * @returns its exit status, or 128 + N if signal N ended it.
 */
export function waitInForeground(process: Foreground): number {
  const terminal = process.console === undefined ? undefined : new Terminal(process.console);
  try {
    return loop(process, terminal);
  } finally {
    terminal?.restore();
  }
}

function loop({ pid, pidfd, signals: caught, other }: Foreground, terminal: Terminal | undefined): number {
  for (let over = false; ; ) {
    const polled = [
      caught,
      POLLIN,
      over ? NOBODY : pidfd,
      POLLIN,
      other?.fd ?? NOBODY,
      POLLIN,
      ...(terminal?.interest() ?? []),
    ];
    const [signalled = 0, ended = 0, heard = 0, ...rest] = sys.poll(new Uint32Array(polled), -1);
    if (signalled !== 0) {
      for (const number of sys.read(caught, 256)) {
        // Nothing is left to pass it on to: it is meant for this wait.
        if (over && ending.includes(number)) {
          sys.wait(pid, 0);
          return 128 + number;
        }
        onSignal(number, pid, pidfd, terminal);
      }
    }
    // What the process said last may have come with its end.
    if (heard !== 0 || ended !== 0) other?.onInput();
    terminal?.move(rest);
    over ||= ended !== 0;
    if (!over || terminal?.drain() === false) continue;
    const status = sys.wait(pid, 0)[1] ?? 0;
    const signal = status & 0x7f;
    return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
  }
}

function onSignal(number: number, pid: number, pidfd: number, terminal: Terminal | undefined): void {
  if (number === CHLD) reapOthers(pid);
  else if (number === WINCH && terminal !== undefined) terminal.resize();
  else if (number !== URG) {
    try {
      sys.pidfdSignal(pidfd, number);
    } catch (error) {
      // ESRCH: it has just ended, and the loop is about to see that.
      if (!isSysError(error)) throw error;
    }
  }
}

/** As a subreaper this process gets the container's orphans; the process itself is left for the loop. */
function reapOthers(pid: number): void {
  const peek = () => {
    try {
      return sys.nextChild();
    } catch (error) {
      if (isSysError(error) && error.errno === ECHILD) return 0;
      throw error;
    }
  };
  for (let child = peek(); child !== 0 && child !== pid; child = peek()) sys.wait(child, WNOHANG);
}

/** Moves bytes between the caller's terminal, or pipes, and the container's pseudoterminal. */
class Terminal {
  private readonly master: number;
  private readonly saved: Uint8Array | undefined;
  private input: boolean = true;
  /** Read from one side and not yet taken by the other. */
  private toMaster: Uint8Array = new Uint8Array(0);
  /** Read from the master and not yet taken by whoever reads our standard output. */
  private toOutput: Uint8Array = new Uint8Array(0);
  private open: boolean = true;
  /** Somebody still takes what the container writes. */
  private watched: boolean = true;

  constructor(master: number) {
    this.master = master;
    sys.setNonBlocking(master);
    this.saved = sys.isTerminal(0) === 1 ? sys.rawTerminal(0) : undefined;
    this.resize();
  }

  /** Pairs for poll(2): the master, standard input, standard output; -1 is passed over by it. */
  interest(): number[] {
    // A hang-up is told whether or not it is asked for: while the reader is slow, only a reason to write may ask.
    const full = this.toOutput.length > 0;
    const events = (full ? 0 : POLLIN) | (this.toMaster.length > 0 ? POLLOUT : 0);
    const wantsInput = this.input && this.open && this.toMaster.length === 0;
    return [
      this.open && events !== 0 ? this.master : NOBODY,
      events,
      wantsInput ? 0 : NOBODY,
      POLLIN,
      full ? 1 : NOBODY,
      POLLOUT,
    ];
  }

  move([master = 0, input = 0, output = 0]: readonly number[]): void {
    if (output !== 0) this.show();
    if (this.toOutput.length === 0 && (master & (POLLIN | POLLHUP | POLLERR)) !== 0) this.copyOut();
    if ((input & (POLLIN | POLLHUP | POLLERR)) !== 0) this.copyIn();
    if (this.toMaster.length > 0) this.push();
  }

  /** What the process wrote last is still in the terminal when it has ended; true when nothing of it is left. */
  drain(): boolean {
    while (this.open && this.toOutput.length === 0 && this.copyOut()) {
      // until nothing is left, or the reader is slow
    }
    return this.toOutput.length === 0;
  }

  resize(): void {
    const from = [0, 1, 2].find((fd) => sys.isTerminal(fd) === 1);
    if (from === undefined) return;
    const [rows = 0, columns = 0] = sys.windowSize(from);
    if (rows > 0 && columns > 0) sys.setWindowSize(this.master, rows, columns);
  }

  restore(): void {
    if (this.saved !== undefined) sys.restoreTerminal(0, this.saved);
  }

  private copyOut(): boolean {
    let bytes: Uint8Array;
    try {
      bytes = sys.read(this.master, CHUNK);
    } catch (error) {
      // EIO: the last one who had the other side open is gone.
      if (isSysError(error) && error.errno === EIO) this.open = false;
      else if (!isSysError(error) || error.errno !== EAGAIN) throw error;
      return false;
    }
    if (!this.watched) return bytes.length > 0;
    this.toOutput = bytes;
    if (sys.poll(new Uint32Array([1, POLLOUT]), 0).length > 0) this.show();
    return bytes.length > 0;
  }

  /**
   * One write to an output that poll(2) found ready: no more than a pipe takes without making us wait, for signals go on
   * meanwhile. Whoever read it may have left: the container goes on, and what it writes is dropped.
   */
  private show(): void {
    try {
      this.toOutput = this.toOutput.subarray(sys.write(1, this.toOutput.subarray(0, PIPE_BUF)));
    } catch (error) {
      if (!isSysError(error) || (error.errno !== EPIPE && error.errno !== EIO && error.errno !== EAGAIN)) throw error;
      if (error.errno === EAGAIN) return;
      this.watched = false;
      this.toOutput = new Uint8Array(0);
    }
  }

  private copyIn(): void {
    this.toMaster = sys.read(0, CHUNK);
    if (this.toMaster.length > 0) return;
    this.input = false;
    // The end of a pipe is, to a program at a terminal, what Ctrl-D is (VEOF in termios(3)).
    this.toMaster = new Uint8Array([4]);
  }

  private push(): void {
    try {
      this.toMaster = this.toMaster.subarray(sys.write(this.master, this.toMaster));
    } catch (error) {
      if (!isSysError(error) || (error.errno !== EAGAIN && error.errno !== EIO)) throw error;
      if (error.errno === EIO) this.toMaster = new Uint8Array(0);
    }
  }
}
