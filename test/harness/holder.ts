// Namespaces for a container to join.
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'vitest';
import { until } from './wait.ts';

// A process that holds new namespaces for a container to join.
export async function holder(t: TestContext, ...flags: string[]): Promise<ChildProcess & { pid: number }> {
  const child = spawn('unshare', [...flags, 'sh', '-c', 'echo ready; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (data) => (said += data));
  await until('the namespaces are there', () => said.includes('ready'));
  return child as ChildProcess & { pid: number };
}
