// What a build for this architecture consists of, on a machine of this architecture.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { container, expect, projectDir, runtime, scratch, stateRoot, test } from '../harness/index.ts';

const built = join(projectDir, 'build');

// There is no program, and no bytecode, where libquickjs is missing.
const isProgram = runtime.name === 'tsrun';

if (isProgram) {
  test('bytecode that is compiled here is the bytecode that the build has put into the program', {
    only: ['tsrun'],
    timeout: 60_000,
  }, () => {
    const [compiler, bundle] = [join(built, 'Release/tsrun-compile'), join(built, 'bundle')];
    const size = (name: string) => statSync(join(bundle, name)).size;
    // The largest ones are most of the program; there are a hundred, and emulated each takes a second.
    const names = readdirSync(bundle).filter((name) => name.endsWith('.js'));
    const modules = names.sort((a, b) => size(b) - size(a)).slice(0, 24);
    mkdirSync(scratch, { recursive: true });
    expect(modules).toContain('tsrun.js');
    for (const name of modules) {
      const [from, to] = [join(bundle, name), join(scratch, `${name}.qbc`)];
      expect(spawnSync(compiler, [name, from, to], { encoding: 'utf8' }), name).toMatchObject({
        status: 0,
        stderr: '',
      });
      expect(readFileSync(to).equals(readFileSync(`${from}.qbc`)), name).toBe(true);
    }
  });
}

test('bundles/hello greets', { only: ['tsrun'] }, () => {
  const [command, ...args] = [...runtime.command, '--root', stateRoot, 'run', join(projectDir, 'bundles/hello')];
  const { status, stdout, stderr } = spawnSync(command ?? '', args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^hello from tsrun\n/);
});

test('the form for Node runs here', { only: ['tsrun'] }, () => {
  const machine = spawnSync('uname', ['-m'], { encoding: 'utf8' }).stdout.trim();
  const { stdout } = spawnSync(process.execPath, [join(projectDir, 'dist/cli.js'), '--version'], { encoding: 'utf8' });
  expect(stdout).toContain(`architecture: ${machine}\n`);
});

/** Alignments of the loadable segments (elf(5), 64 bits, little-endian). */
function segments(path: string): { align: number; offset: number; address: number }[] {
  const file = readFileSync(path);
  const start = Number(file.readBigUInt64LE(32));
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => start + index * file.readUInt16LE(54))
    .filter((at) => file.readUInt32LE(at) === 1)
    .map((at) => ({
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      align: Number(file.readBigUInt64LE(at + 48)),
    }));
}

// A kernel with pages of 64 KiB maps no segment that is aligned for less.
const largestPage = process.arch === 'arm64' ? 65536 : 4096;
for (const name of [...(isProgram ? ['dist/tsrun'] : []), 'build/Release/tsrun-init', 'dist/tsrun.node']) {
  const path = join(projectDir, name);
  test(`${name} can be mapped whatever the size of a page is`, { only: ['tsrun'] }, () => {
    expect(existsSync(path)).toBe(true);
    for (const { align, offset, address } of segments(path)) {
      expect(align % largestPage).toBe(0);
      expect(address % largestPage).toBe(offset % largestPage);
    }
  });
}

test('a limit of memory is told in bytes, whatever the size of a page is', {
  needs: ['controller:memory'],
}, async (t) => {
  const box = container(t, { linux: { resources: { memory: { limit: 64 << 20 } } } });
  await box.started();
  const limit = box.ask([], 'cat', '/sys/fs/cgroup/memory.max');
  expect(limit).toBe(`${64 << 20}\n`);
});
