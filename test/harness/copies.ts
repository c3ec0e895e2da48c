// Shims among processes: their workers are copies of them, by the same name.
import { readFileSync } from 'node:fs';
import { quietly } from './wait.ts';

/** Those of which no other is the parent. A worker lives on for a moment when the shim has answered. */
export function withoutCopies(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    const status = quietly(() => readFileSync(`/proc/${pid}/status`, 'utf8'));
    return status !== undefined && !pids.includes(Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]));
  });
}
