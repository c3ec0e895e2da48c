// What a filter answers: SECCOMP_RET_* of linux/seccomp.h, the action in the upper 16 bits and its data in the lower.

import { errnoName } from '../linux/errno.ts';
import type { LinuxSeccompAction } from '../spec/types.ts';

export const RET_KILL_THREAD = 0;
const RET_ERRNO = 0x00050000;

const RET_DATA = 0xffff;
const EPERM = 1;
const ENOSYS = 38;

/** What a system call gets that is newer than the profile. */
export const NOT_IMPLEMENTED = RET_ERRNO | ENOSYS;

interface Action {
  readonly verdict: number;
  /** Takes an errno, or for a tracer a message (config-linux.md#seccomp, errnoRet). */
  readonly takesData?: true;
}

const actions: Readonly<Record<LinuxSeccompAction, Action>> = {
  SCMP_ACT_KILL: { verdict: RET_KILL_THREAD },
  SCMP_ACT_KILL_PROCESS: { verdict: 0x80000000 },
  SCMP_ACT_KILL_THREAD: { verdict: RET_KILL_THREAD },
  SCMP_ACT_TRAP: { verdict: 0x00030000 },
  SCMP_ACT_ERRNO: { verdict: RET_ERRNO, takesData: true },
  SCMP_ACT_TRACE: { verdict: 0x7ff00000, takesData: true },
  SCMP_ACT_ALLOW: { verdict: 0x7fff0000 },
  SCMP_ACT_LOG: { verdict: 0x7ffc0000 },
  SCMP_ACT_NOTIFY: { verdict: 0x7fc00000 },
};

/** Every action that can be asked for. */
export const knownActions = Object.keys(actions) as LinuxSeccompAction[];

/** What the filter returns for an action; `data` is errnoRet, EPERM unless given. */
export function verdictOf(action: LinuxSeccompAction, data: number | undefined): number {
  const { verdict, takesData } = actions[action];
  return takesData === true ? (verdict | ((data ?? EPERM) & RET_DATA)) >>> 0 : verdict;
}

/** True where the default lets calls through, so that newer ones need no answer of their own; a tracer answers itself. */
export const isPermissive = (action: LinuxSeccompAction): boolean =>
  action === 'SCMP_ACT_ALLOW' || action === 'SCMP_ACT_LOG' || action === 'SCMP_ACT_TRACE';

/** A verdict as a person reads it: `ERRNO(EPERM)`. Verdicts without a name are shown as a number. */
export function wordVerdict(verdict: number): string {
  const data = verdict & RET_DATA;
  const action = (verdict & ~RET_DATA) >>> 0;
  if (action === RET_ERRNO) return `ERRNO(${errnoName(data)})`;
  for (const [name, known] of Object.entries(actions)) {
    if (known.verdict !== action || name === 'SCMP_ACT_KILL') continue;
    return name.slice('SCMP_ACT_'.length) + (data === 0 ? '' : `(${data})`);
  }
  return `0x${verdict.toString(16)}`;
}
