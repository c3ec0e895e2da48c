// The gate from the host side: how `start` and the foreground let init go on, and hear of what then fails.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { decodeReport, type StepDone, type StepFailed } from './report.ts';

/** @throws {TsrunError} if nobody waits there: the container was started, or has ended, in between. */
export function connectGate(path: string): number {
  try {
    return sys.connect(path);
  } catch (error) {
    if (!isSysError(error)) throw error;
    if (error.errno === 2 || error.errno === 111) throw new TsrunError('cannot start an already running container');
    throw sysError('start', error);
  }
}

/** What init did after the gate. */
export interface AfterGate {
  readonly done: readonly StepDone[];
  readonly failed: StepFailed | undefined;
}

/** Reads until init closes the socket, by becoming the program or by giving up. */
export function readAfterGate(socket: number): AfterGate {
  const done: StepDone[] = [];
  let failed: StepFailed | undefined;
  for (;;) {
    const bytes = sys.read(socket, 65536);
    if (bytes.length === 0) return { done, failed };
    const report = decodeReport(bytes);
    done.push(...report.done);
    failed ??= report.failed;
  }
}
