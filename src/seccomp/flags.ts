// SECCOMP_FILTER_FLAG_* of linux/seccomp.h: how seccomp(2) loads a filter.

import type { LinuxSeccompFlag } from '../spec/types.ts';

const NEW_LISTENER = 1 << 3;
const TSYNC_ESRCH = 1 << 4;
const WAIT_KILLABLE_RECV = 1 << 5;
const bits: Readonly<Record<LinuxSeccompFlag, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1 << 0,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 1 << 2,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: WAIT_KILLABLE_RECV,
};

/** Every flag that can be asked for. */
export const knownFlags = Object.keys(bits) as LinuxSeccompFlag[];

/** @param listens An action asks an agent: the kernel makes a listener for it, and only then WAIT_KILLABLE_RECV means anything. */
export function flagsOf(flags: readonly LinuxSeccompFlag[], listens: boolean): number {
  const sum = flags.reduce((all, flag) => all | bits[flag], 0);
  if (!listens) return sum & ~WAIT_KILLABLE_RECV;
  // TSYNC and a listener both are answered with a number, so the kernel takes them together only if a failing TSYNC is
  // answered with an errno.
  return sum | NEW_LISTENER | ((sum & bits.SECCOMP_FILTER_FLAG_TSYNC) === 0 ? 0 : TSYNC_ESRCH);
}

/** The names of flags, without what they have in common. */
export const flagNames = (flags: number): string[] =>
  ['TSYNC', 'LOG', 'SPEC_ALLOW', 'NEW_LISTENER', 'TSYNC_ESRCH', 'WAIT_KILLABLE_RECV'].filter(
    (_, bit) => ((flags >> bit) & 1) === 1,
  );
