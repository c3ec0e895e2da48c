// Signals (asm-generic/signal.h, signal(7)). The numbers are the same on x86_64 and aarch64.

/** Name without `SIG` to number. */
export const signals: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
};

/** What SIGRTMIN means to programs: the C libraries keep 32 and 33 for their threads. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/**
 * The number of a signal given as `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3` or `SIGRTMAX-2`.
 * Undefined for anything else, and for numbers outside of 1 to 64: 0 would only probe the process.
 */
export function parseSignal(text: string): number | undefined {
  if (/^[0-9]{1,3}$/.test(text)) return inRange(Number(text), 1);
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper.slice(3) : upper;
  if (Object.hasOwn(signals, name)) return signals[name];
  const realTime = /^(?:RTMIN(?:\+([0-9]{1,2}))?|RTMAX(?:-([0-9]{1,2}))?)$/.exec(name);
  if (realTime === null) return undefined;
  return name.startsWith('RTMIN')
    ? inRange(SIGRTMIN + Number(realTime[1] ?? 0), SIGRTMIN)
    : inRange(SIGRTMAX - Number(realTime[2] ?? 0), SIGRTMIN);
}

function inRange(number: number, least: number): number | undefined {
  return number >= least && number <= SIGRTMAX ? number : undefined;
}
