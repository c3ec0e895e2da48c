// The part of scripts/bench.mjs about images: a Debian root file system, unpacked by tsrun and by umoci in turns. Each turn
// has a directory of its own and nothing is removed until the end: ext4 is slow to give out inodes that were just freed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const rounds = 3;
const media = 'application/vnd.oci.image';
const packers = { gzip: ['gzip', '-6'], zstd: ['zstd', '-q', '-3', '-T1'] };

/**
 * A layout with the tags `gzip` and `zstd`, made once and kept in `cache`; undefined, and why, where it cannot be made.
 * @returns {{ layout: string, bytes: number } | { missing: string }}
 */
function debianLayout(cache, find) {
  const layout = join(cache, 'debian');
  const root = join(cache, 'debian.root');
  const tarball = join(cache, 'debian.tar');
  if (!existsSync(join(layout, 'index.json'))) {
    const lacking = ['debootstrap', 'gzip', 'zstd', 'tar'].find((name) => find(name) === undefined);
    if (lacking !== undefined) return { missing: `${lacking} is not installed` };
    const [, suite = 'stable'] = /^VERSION_CODENAME=(.+)$/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? [];
    console.log(`note: debootstrap of ${suite} for the rows of images, kept in ${cache}`);
    rmSync(root, { recursive: true, force: true });
    mkdirSync(cache, { recursive: true });
    const made = spawnSync('debootstrap', ['--variant=minbase', suite, root], { encoding: 'utf8' });
    if (made.status !== 0) return { missing: `debootstrap failed: ${made.stdout?.trim().split('\n').at(-1)}` };
    run('tar', '-C', root, '-cf', tarball, '.');
    rmSync(root, { recursive: true });
    writeLayout(`${layout}.new`, tarball);
    renameSync(`${layout}.new`, layout);
    rmSync(tarball);
  }
  return { layout, bytes: Number(readFileSync(join(layout, 'bytes'), 'utf8')) };
}

function run(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

const digestOf = (data) => `sha256:${createHash('sha256').update(data).digest('hex')}`;

function writeLayout(dir, tarball) {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
  const put = (mediaType, data) => {
    const digest = digestOf(data);
    writeFileSync(join(dir, 'blobs/sha256', digest.slice('sha256:'.length)), data);
    return { mediaType, digest, size: data.length };
  };
  const config = put(
    `${media}.config.v1+json`,
    Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        config: { Cmd: ['/bin/true'] },
        rootfs: { type: 'layers', diff_ids: [digestOf(readFileSync(tarball))] },
      }),
    ),
  );
  const manifests = Object.entries(packers).map(([name, [command, ...args]]) => {
    const { stdout } = spawnSync(command, [...args, '-c', tarball], { maxBuffer: 1 << 30 });
    const layers = [put(`${media}.layer.v1.tar+${name}`, stdout)];
    const text = JSON.stringify({ schemaVersion: 2, mediaType: `${media}.manifest.v1+json`, config, layers });
    const annotations = { 'org.opencontainers.image.ref.name': name };
    return { ...put(`${media}.manifest.v1+json`, Buffer.from(text)), annotations };
  });
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(dir, 'bytes'), `${statSync(tarball).size}`);
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}

/**
 * Measures in `scratch`; `once` runs a lane and gives its time in ms and its largest RSS in MB, `find` looks in $PATH.
 * @returns what to print, and what to check; undefined where it cannot be measured, which is told.
 */
export function measureImages({ tsrun, scratch, cache, find, once, median }) {
  const umoci = find('umoci');
  const image = umoci === undefined ? { missing: 'umoci is not installed' } : debianLayout(cache, find);
  if (image.missing !== undefined) {
    console.log(`\nnote: ${image.missing}: the unpacking of images is not measured`);
    return undefined;
  }
  const at = (name) => join(scratch, 'images', name);
  mkdirSync(at(''), { recursive: true });
  const ours = (tag, round) => [tsrun, '--root', at('state'), '--store', at(`store-${tag}-${round}`)];
  const lanes = {
    gzip: (round) => [...ours('gzip', round), 'unpack', `oci:${image.layout}:gzip`, at(`gzip-${round}`)],
    umoci: (round) => [umoci, 'unpack', '--image', `${image.layout}:gzip`, at(`umoci-${round}`)],
    zstd: (round) => [...ours('zstd', round), 'unpack', `oci:${image.layout}:zstd`, at(`zstd-${round}`)],
    again: (round) => [...ours('zstd', round), 'run', `oci:${image.layout}:zstd`],
  };
  const taken = Object.fromEntries(Object.keys(lanes).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const [name, laneOf] of Object.entries(lanes)) taken[name].push(once(laneOf(round)));
  rmSync(at(''), { recursive: true });
  const of = (name, what) => median(taken[name].map((each) => each[what]));
  return { bytes: image.bytes, rounds, time: (name) => of(name, 'ms'), rss: (name) => of(name, 'rssMb') };
}
