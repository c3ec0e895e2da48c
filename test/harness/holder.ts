// Namespaces for a container to join.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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

// One that holds a user namespace, in which 0 is 100000 of the host, and what else is asked for inside of it.
export async function userHolder(t: TestContext, ...flags: string[]): Promise<{ pid: number }> {
  const { pid } = await holder(t, '--user', ...flags);
  for (const file of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${file}`, '0 100000 65536\n');
  return { pid };
}
