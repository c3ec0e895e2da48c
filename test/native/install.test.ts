// scripts/install: what packages and people get the program by.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, projectDir, scratch, test } from '../harness/index.ts';

const install = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(join(projectDir, 'scripts/install'), args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
  });

function directory(name: string): string {
  mkdirSync(join(scratch, name), { recursive: true });
  return join(scratch, name);
}

test('the program is installed below a prefix, over an older one, and runs there', { only: ['tsrun'] }, () => {
  const prefix = directory('prefix');
  install([prefix]);
  expect(install([prefix])).toMatchObject({ status: 0, stdout: `${prefix}/bin/tsrun\n`, stderr: '' });
  expect(readdirSync(join(prefix, 'bin')).sort()).toEqual(['containerd-shim-tsrun-v2', 'tsrun']);
  expect(statSync(join(prefix, 'bin/tsrun')).mode & 0o777).toBe(0o755);
  const say = (name: string, flag: string): string =>
    spawnSync(join(prefix, 'bin', name), [flag], { encoding: 'utf8' }).stdout;
  expect(say('tsrun', '--version')).toMatch(/^tsrun version /);
  expect(say('containerd-shim-tsrun-v2', '-v')).toMatch(/^containerd-shim-tsrun-v2:/);
  expect(statSync(join(prefix, 'bin/tsrun')).ino).toBe(statSync(join(prefix, 'bin/containerd-shim-tsrun-v2')).ino);
});

test('DESTDIR is the root of a package, and the path that is told is the one without it', { only: ['tsrun'] }, () => {
  const root = directory('package');
  expect(install(['/usr'], { DESTDIR: root }).stdout).toBe('/usr/bin/tsrun\n');
  expect(readdirSync(join(root, 'usr/bin')).sort()).toEqual(['containerd-shim-tsrun-v2', 'tsrun']);
});

test('a flag is refused, and nothing is made', { only: ['tsrun'] }, () => {
  expect(install(['--help'])).toMatchObject({ status: 2, stdout: '' });
});
