// The foreground of `run`: signals go to the container's process, a terminal's bytes both ways, its end ends the wait.

import { POLLERR, POLLHUP, POLLIN, POLLOUT, WNOHANG } from '../linux/flags.ts';
import { signals } from '../linux/signals.ts';
import { isSysError, sys } from '../linux/sys.ts';

const { SIGCHLD = 17, SIGURG = 23, SIGWINCH = 28 } = signals;
const ECHILD = 10;
const EIO = 5;
const EAGAIN = 11;
const EPIPE = 32;
const CHUNK = 65536;

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
  for (;;) {
    // -1 is passed over by poll(2).
    const polled = [caught, POLLIN, pidfd, POLLIN, other?.fd ?? 0xffffffff, POLLIN, ...(terminal?.interest() ?? [])];
    const [signalled = 0, ended = 0, heard = 0, ...rest] = sys.poll(new Uint32Array(polled), -1);
    if (signalled !== 0) {
      for (const number of sys.read(caught, 256)) onSignal(number, pid, pidfd, terminal);
    }
    // What the process said last may have come with its end.
    if (heard !== 0 || ended !== 0) other?.onInput();
    terminal?.move(rest);
    if (ended === 0) continue;
    terminal?.drain();
    const status = sys.wait(pid, 0)[1] ?? 0;
    const signal = status & 0x7f;
    return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
  }
}

function onSignal(number: number, pid: number, pidfd: number, terminal: Terminal | undefined): void {
  if (number === SIGCHLD) reapOthers(pid);
  else if (number === SIGWINCH && terminal !== undefined) terminal.resize();
  else if (number !== SIGURG) {
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
  private open: boolean = true;
  /** Somebody still takes what the container writes. */
  private watched: boolean = true;

  constructor(master: number) {
    this.master = master;
    sys.setNonBlocking(master);
    this.saved = sys.isTerminal(0) === 1 ? sys.rawTerminal(0) : undefined;
    this.resize();
  }

  /** Pairs for poll(2): the master, then standard input; -1 is passed over by it. */
  interest(): number[] {
    const master = this.open ? this.master : 0xffffffff;
    const wantsInput = this.input && this.open && this.toMaster.length === 0;
    return [master, POLLIN | (this.toMaster.length > 0 ? POLLOUT : 0), wantsInput ? 0 : 0xffffffff, POLLIN];
  }

  move([master = 0, input = 0]: readonly number[]): void {
    if ((master & (POLLIN | POLLHUP | POLLERR)) !== 0) this.copyOut();
    if ((input & (POLLIN | POLLHUP | POLLERR)) !== 0) this.copyIn();
    if (this.toMaster.length > 0) this.push();
  }

  /** What the process wrote last is still in the terminal when it has ended. */
  drain(): void {
    while (this.open && this.copyOut()) {
      // until nothing is left
    }
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
    this.show(bytes);
    return bytes.length > 0;
  }

  /** Whoever read this output may have left: the container goes on, and what it writes is dropped. */
  private show(bytes: Uint8Array): void {
    for (let at = 0; this.watched && at < bytes.length; ) {
      try {
        at += sys.write(1, bytes.subarray(at));
      } catch (error) {
        if (!isSysError(error) || (error.errno !== EPIPE && error.errno !== EIO && error.errno !== EAGAIN)) throw error;
        // EAGAIN: the caller's end is non-blocking and its reader slow.
        if (error.errno === EAGAIN) sys.poll(new Uint32Array([1, POLLOUT]), -1);
        else this.watched = false;
      }
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
