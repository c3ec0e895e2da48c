// The cgroups of containers, and those that a test makes beside them.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import type { Container } from './container.ts';
import { quietly, sleepSync } from './wait.ts';

export const cgroupRoot = '/sys/fs/cgroup';

export function cgroupOf(box: Container): string {
  const line = readFileSync(`/proc/${box.state().pid}/cgroup`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith('0::'));
  return join(cgroupRoot, line?.slice(3) ?? '');
}

/** What a file of the container's cgroup says, without the newline at its end. */
export function cgroupFile(box: Container, name: string): string {
  return readFileSync(join(cgroupOf(box), name), 'utf8').trim();
}

/** The number behind a key of a file such as memory.events or cpu.stat. */
export function cgroupCount(box: Container, file: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(cgroupFile(box, file))?.[1]);
}

/** A cgroup of the test's own, below the root or another one; gone when the test is. */
export function makeCgroup(t: TestContext, name: string, files: Record<string, string> = {}): string {
  const path = join(cgroupRoot, name);
  mkdirSync(path);
  t.onTestFinished(() => removeCgroup(path));
  for (const [file, value] of Object.entries(files)) writeFileSync(join(path, file), value);
  return path;
}

function removeCgroup(path: string): void {
  quietly(() => writeFileSync(join(path, 'cgroup.kill'), '1')); // a threaded one cannot be killed
  // Busy until the last of the killed is reaped.
  for (let tries = 0; existsSync(path); tries += 1) {
    for (const below of cgroupsBelow(path)) quietly(() => rmdirSync(below));
    try {
      rmdirSync(path);
    } catch (error) {
      if (tries === 200) throw error;
      sleepSync(10);
    }
  }
}

/** Children come before their parents. */
function cgroupsBelow(path: string): string[] {
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.map((entry) => join(entry.parentPath, entry.name)).sort((a, b) => b.length - a.length);
}

/** Somebody else's process in a cgroup; it sleeps. */
export function settle(t: TestContext, cgroup: string): ChildProcess {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  t.onTestFinished(() => void child.kill('SIGKILL'));
  writeFileSync(join(cgroup, 'cgroup.procs'), String(child.pid));
  return child;
}
