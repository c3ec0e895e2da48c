// scripts/engine-config: the blocks of docs/engines.md, as machines and tests take them.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const project = join(import.meta.dirname, '../..');
const page = readFileSync(join(project, 'docs/engines.md'), 'utf8');
const print = (...args: string[]) => spawnSync(join(project, 'scripts/engine-config'), args, { encoding: 'utf8' });
const files = [...page.matchAll(/^`([^`]+)`:\n\n```/gm)].map(([, file = '']) => file);

describe('a block of docs/engines.md', () => {
  test('stands below the name of its file, for each engine', () => {
    expect(files).toEqual([
      '/etc/containers/containers.conf.d/tsrun.conf',
      '/etc/docker/daemon.json',
      '/etc/containerd/config.toml',
      'runtime-class.yaml',
      '/etc/crio/crio.conf.d/tsrun.conf',
    ]);
  });

  test.each(files)('of %s is printed as it stands there', (file) => {
    const { status, stdout } = print(file);
    expect(status).toBe(0);
    expect(page).toContain(
      `\`${file}\`:\n\n\`\`\`${file.replace(/.*\./, '').replace('conf', 'toml')}\n${stdout}\`\`\``,
    );
  });

  test.each(files.filter((file) => file.startsWith('/')))('of %s is printed for another program', (file) => {
    const { stdout } = print(file, '/opt/bin/other');
    expect(stdout).toContain('"/opt/bin/other"');
    expect(stdout).not.toContain('/usr/local/bin');
  });

  test('for Kubernetes names the handler that containerd is told of', () => {
    expect(print('runtime-class.yaml').stdout).toMatch(/^handler: tsrun$/m);
    expect(print('/etc/containerd/config.toml').stdout).toContain('containerd.runtimes.tsrun]');
  });
});

test('a file that the page does not name is an error', () => {
  expect(print('/etc/other')).toMatchObject({ status: 1, stdout: '' });
  expect(print('/etc/other').stderr).toContain('/etc/other');
});
