// Processes by their parents.
import { readFileSync } from 'node:fs';
import { quietly } from './wait.ts';

/** Undefined where it is no more. */
export function parentOf(pid: number): number | undefined {
  const status = quietly(() => readFileSync(`/proc/${pid}/status`, 'utf8'));
  return status === undefined ? undefined : Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]);
}

/**
 * Those of which no other is the parent: workers of a shim are copies of it, by the same name, and live on for a moment
 * when it has answered.
 */
export function withoutCopies(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    const parent = parentOf(pid);
    return parent !== undefined && !pids.includes(parent);
  });
}
