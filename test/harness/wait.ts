// Waiting for what another process does, always for a condition, never for a while; and not minding that it went away.
import { setTimeout as delay } from 'node:timers/promises';

/** How many times longer than usual everything may take: scripts/vm sets it where the machine is emulated. */
export const slowness = Number(process.env['TSRUN_TEST_SLOWNESS'] ?? 1);

export function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

export async function until(what: string, holds: () => unknown, seconds = 5): Promise<void> {
  const deadline = Date.now() + seconds * slowness * 1000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds * slowness} s in vain until ${what}`);
    await delay(3);
  }
}

export function quietly<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
