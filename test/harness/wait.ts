// Waiting for what another process does: always for a condition, never for a while.
import { setTimeout as delay } from 'node:timers/promises';

export function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

export async function until(what: string, holds: () => unknown, seconds = 5): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain until ${what}`);
    await delay(3);
  }
}
