// Debian's busybox and our probes in; a root filesystem for one container out. Each container gets copies: tests let
// hostile containers write, and an inode shared with the next container would carry the damage on.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { projectDir } from './runtime.ts';

const cacheDir = join(projectDir, '.cache/test');
const programs = ['probe', 'load'];
export const probe = join(cacheDir, 'probe');
export const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path)) ?? '/bin/busybox';

const applets = [
  ...[
    '[',
    'cat',
    'chmod',
    'cp',
    'dd',
    'echo',
    'env',
    'false',
    'find',
    'grep',
    'head',
    'hostname',
    'id',
    'ip',
    'kill',
    'ln',
    'ls',
  ],
  ...[
    'mkdir',
    'mount',
    'mv',
    'printf',
    'ps',
    'pwd',
    'readlink',
    'rm',
    'sh',
    'sleep',
    'sort',
    'stat',
    'stty',
    'test',
    'touch',
  ],
  ...['tr', 'true', 'tty', 'umount', 'wc'],
];

function newer(path: string, than: string): boolean {
  return existsSync(path) && statSync(path).mtimeMs >= statSync(than).mtimeMs;
}

export function buildProbes(): void {
  mkdirSync(cacheDir, { recursive: true });
  for (const name of programs) compile(join(projectDir, 'test/probe', `${name}.c`), join(cacheDir, name));
}

function compile(source: string, program: string): void {
  if (newer(program, source)) return;
  const unfinished = `${program}.${process.pid}`;
  const compiled = spawnSync('gcc', ['-static', '-O2', '-Wall', '-Wextra', '-o', unfinished, source], {
    encoding: 'utf8',
  });
  if (compiled.status !== 0) throw new Error(`cannot compile ${source}\n${compiled.stderr ?? compiled.error?.message}`);
  renameSync(unfinished, program);
}

export function makeRootfs(rootfs: string): void {
  for (const dir of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) mkdirSync(join(rootfs, dir), { recursive: true });
  chmodSync(join(rootfs, 'tmp'), 0o1777);
  copyFileSync(busybox, join(rootfs, 'bin/busybox'));
  for (const name of programs) copyFileSync(join(cacheDir, name), join(rootfs, 'bin', name));
  for (const applet of applets) symlinkSync('busybox', join(rootfs, 'bin', applet));
  writeFileSync(
    join(rootfs, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n',
  );
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\nuser:x:1000:\n');
}
