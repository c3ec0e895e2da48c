// TSRUN_TEST_RUNTIME in; the command to test, and the family that says which expectations apply to it, out.
// runc and crun are in the list to judge the tests: an expectation that no other runtime meets is suspect.
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

export type Family = 'tsrun' | 'runc' | 'crun';

export interface Runtime {
  name: string;
  family: Family;
  command: [string, ...string[]];
}

export const projectDir = resolve(import.meta.dirname, '../..');

function onPath(name: string): string {
  const found = (process.env['PATH'] ?? '').split(':').map((dir) => join(dir, name));
  return found.find((path) => existsSync(path)) ?? name;
}

function choose(name: string): Runtime {
  switch (name) {
    case 'tsrun':
      return { name, family: 'tsrun', command: [join(projectDir, 'dist/tsrun')] };
    case 'node':
      return { name, family: 'tsrun', command: [process.execPath, join(projectDir, 'dist/cli.js')] };
    case 'runc':
    case 'crun':
      return { name, family: name, command: [onPath(name)] };
    default: {
      const path = resolve(name);
      const family = (['runc', 'crun'] as const).find((peer) => basename(path).startsWith(peer));
      return { name: basename(path), family: family ?? 'tsrun', command: [path] };
    }
  }
}

export const runtime: Runtime = choose(process.env['TSRUN_TEST_RUNTIME'] || 'tsrun');

// The whole program as files on disk: what an escape by CVE-2019-5736 would overwrite.
export function programFiles(): string[] {
  const built = ['dist/tsrun', 'dist/tsrun-init', 'build/Release/tsrun.node', 'dist/tsrun.node'];
  const ours = runtime.family === 'tsrun' ? built.map((path) => join(projectDir, path)) : [];
  return [...new Set([...runtime.command, ...ours])].filter((path) => existsSync(path));
}
