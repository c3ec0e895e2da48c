// A store of images for one test, the commands that work on it, and an image to put into it.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext } from 'vitest';
import { scratch, stateRoot } from './container.ts';
import { withUserAttributes } from './devices.ts';
import { layout, tar } from './image.ts';
import { busybox } from './rootfs.ts';
import { runtime } from './runtime.ts';

let count = 0;

/** A directory for one test, with a store of its own. */
export function place(t: TestContext): string {
  const dir = join(scratch, `image-${(count += 1)}`);
  for (const path of [dir, stateRoot]) mkdirSync(path, { recursive: true });
  t.onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  withUserAttributes(t, dir);
  return dir;
}

export const argv = (dir: string, ...args: string[]): [string, ...string[]] => [
  ...runtime.command,
  '--root',
  stateRoot,
  '--store',
  join(dir, 'store'),
  ...args,
];

export function tsrun(dir: string, ...args: string[]) {
  const [command, ...rest] = argv(dir, ...args);
  // Files: a pipe would stay open as long as a detached container lives.
  const [out, err] = [join(dir, '.out'), join(dir, '.err')].map((path) => openSync(path, 'w')) as [number, number];
  const { status } = spawnSync(command, rest, { stdio: ['ignore', out, err], timeout: 60_000 });
  for (const fd of [out, err]) closeSync(fd);
  return { code: status, out: readFileSync(join(dir, '.out'), 'utf8'), err: readFileSync(join(dir, '.err'), 'utf8') };
}

export function sh(script: string, cwd: string): void {
  const { status, stderr, stdout } = spawnSync('sh', ['-ec', script], { cwd, encoding: 'utf8' });
  expect(status, `${script}\n${stdout}${stderr}`).toBe(0);
}

/** One layer with a shell. */
export function simpleImage(dir: string, config: object = {}): string {
  const shell = readFileSync(busybox);
  const applets = ['sh', 'cat', 'true', 'sleep', 'id', 'ls', 'rm', 'touch'];
  const links = applets.map((name) => ({ name: `bin/${name}`, type: '2', link: 'busybox' }));
  const content = tar([
    { name: 'bin/', type: '5' },
    { name: 'bin/busybox', mode: 0o755, data: shell },
    ...links,
    { name: 'etc/', type: '5' },
    { name: 'etc/os-release', data: 'NAME=simple\n' },
  ]);
  return layout(join(dir, 'layout'), [{ content }], { Cmd: ['cat', '/etc/os-release'], ...config });
}

/** What the layers of a bundle show together. */
export function merged<T>(bundle: string, look: (root: string) => T): T {
  const { lower } = JSON.parse(readFileSync(join(bundle, 'overlay.json'), 'utf8')) as { lower: string[] };
  const point = join(bundle, 'rootfs');
  const options = `ro,lowerdir=${lower.join(':')}:${point}-none`;
  mkdirSync(`${point}-none`);
  sh(`mount -t overlay overlay -o '${options}' '${point}'`, bundle);
  try {
    return look(point);
  } finally {
    sh(`umount '${point}'`, bundle);
    rmSync(`${point}-none`, { recursive: true });
  }
}

export const files = (dir: string): string[] =>
  existsSync(dir) ? readdirSync(dir, { recursive: true, encoding: 'latin1' }) : [];

/** Nothing but the store's own directories and its lock. */
export const emptyStore = ['blobs', 'blobs/sha256', 'bundles', 'images', 'layers', 'lock', 'tmp', 'users'];
