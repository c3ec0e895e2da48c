// Layers of an attacker: each is refused with one clear error, nothing outside of the layer is touched, nothing is left.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { TestContext } from 'vitest';
import { header, layout, type LayerOfTest, tar, type TarEntry, treeText } from '../harness/image.ts';
import { expect, runtime, scratch, test } from '../harness/index.ts';

let count = 0;

interface Attack {
  /** One layer, or several from the lowest up. */
  entries?: TarEntry[];
  layers?: LayerOfTest[];
  flags?: string[];
  /** In the error. */
  says: RegExp;
}

const digits = (letter: string) => `sha256:${letter.repeat(64)}`;
const file: TarEntry = { name: 'file', data: 'data' };
const layerOf = (...entries: TarEntry[]): LayerOfTest => ({ content: tar(entries) });

/** Base-256, as GNU tar writes what does not fit into octal digits. */
const withHugeSize = (): Buffer => {
  const block = header({ name: 'huge' }, 0);
  block[124] = 0x80;
  for (let i = 125; i < 136; i++) block[i] = 0xff;
  block.write('        ', 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, Buffer.alloc(1024)]);
};

const attacks: Record<string, Attack> = {
  '".." in a path': { entries: [{ name: '../canary/file', data: 'x' }], says: /"\.\.\/canary\/file" has "\.\."/ },
  '".." deep in a path': { entries: [{ name: 'a/b/../../../canary/file', data: 'x' }], says: /has "\.\."/ },
  'an absolute path': { entries: [{ name: '/etc/canary', data: 'x' }], says: /absolute path/ },
  'a file behind a symbolic link': {
    entries: [
      { name: 'out', type: '2', link: '../../../../canary' },
      { name: 'out/file', data: 'x' },
    ],
    says: /"out\/file" lies behind a symbolic link/,
  },
  'a directory behind an absolute link': {
    entries: [
      { name: 'out', type: '2', link: '/tmp' },
      { name: 'out/dir/', type: '5' },
    ],
    says: /behind a symbolic link/,
  },
  'a file behind a link two levels deep': {
    entries: [
      { name: 'a/', type: '5' },
      { name: 'a/b', type: '2', link: '..' },
      { name: 'a/b/a/b/file', data: 'x' },
    ],
    says: /behind a symbolic link/,
  },
  'a hard link behind a symbolic link': {
    entries: [
      { name: 'out', type: '2', link: '/etc' },
      { name: 'shadow', type: '1', link: 'out/shadow' },
    ],
    says: /symbolic link/,
  },
  'a link that is replaced by a file of the same name': {
    entries: [
      { name: 'out', type: '2', link: '/tmp/canary' },
      { name: 'out', data: 'x' },
    ],
    says: /"out" is there twice/,
  },
  'a hard link to ".."': { entries: [{ name: 'x', type: '1', link: '../../../etc/passwd' }], says: /leads out/ },
  'a hard link to an absolute path': { entries: [{ name: 'x', type: '1', link: '/etc/passwd' }], says: /leads out/ },
  'a hard link to nothing': { entries: [{ name: 'x', type: '1', link: 'missing' }], says: /is not there/ },
  'a hard link to itself': { entries: [{ name: 'x', type: '1', link: './x' }], says: /to itself/ },
  'a hard link to a directory': {
    entries: [
      { name: 'd/', type: '5' },
      { name: 'x', type: '1', link: 'd' },
    ],
    says: /hard link to a directory/,
  },
  'a link of a lower layer on the way': {
    layers: [layerOf({ name: 'out', type: '2', link: '/tmp' }), layerOf({ name: 'out/file', data: 'x' })],
    says: /layer 2 .*"out", which is a symbolic link in a layer below/,
  },
  'a hard link to a symbolic link of a lower layer': {
    layers: [layerOf({ name: 'out', type: '2', link: '/etc/shadow' }), layerOf({ name: 'x', type: '1', link: 'out' })],
    says: /not a file of this layer/,
  },
  'the character device that overlayfs takes for a whiteout': {
    entries: [{ name: 'hidden', type: '3', major: 0, minor: 0 }],
    says: /character device 0:0/,
  },
  'a device with an impossible number': { entries: [{ name: 'd', type: '4', major: 99999 }], says: /device number/ },
  'a whiteout of ".."': { entries: [{ name: 'a/.wh...' }], says: /whiteout of a directory above/ },
  'a whiteout of "."': { entries: [{ name: 'a/.wh..' }], says: /whiteout of a directory above/ },
  'a whiteout of nothing': { entries: [{ name: 'a/.wh.' }], says: /whiteout of a directory above/ },
  'a whiteout behind ".."': { entries: [{ name: 'a/../../.wh.canary' }], says: /has "\.\."/ },
  'a whiteout behind a symbolic link': {
    entries: [{ name: 'out', type: '2', link: '/tmp' }, { name: 'out/.wh.canary' }],
    says: /symbolic link|no directory|File exists|file exists/,
  },
  'a file below a whiteout': { entries: [{ name: '.wh.a/file', data: 'x' }], says: /below a whiteout/ },
  'a file that is there twice': { entries: [file, file], says: /"file" is there twice/ },
  'a file in place of a directory': {
    entries: [
      { name: 'd/', type: '5' },
      { name: 'd', data: 'x' },
    ],
    says: /is there twice/,
  },
  'a file below a file': { entries: [file, { name: 'file/below', data: 'x' }], says: /below something that is no dir/ },
  'an attribute of overlayfs': {
    entries: [{ name: 'd/', type: '5', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } }],
    says: /trusted\.overlay\.redirect/,
  },
  'an attribute of overlayfs without root': {
    entries: [{ name: 'd/', type: '5', pax: { 'SCHILY.xattr.user.overlay.opaque': 'y' } }],
    says: /user\.overlay\.opaque/,
  },
  'a name with a NUL, by pax': { entries: [{ ...file, pax: { path: 'a\0b' } }], says: /NUL/ },
  'a long name that leads out, by pax': { entries: [{ ...file, pax: { path: '../canary/x' } }], says: /has "\.\."/ },
  'an unknown type': { entries: [{ name: 'x', type: 'Z' }], says: /has the type "Z"/ },
  'a negative owner': { entries: [{ ...file, pax: { uid: '-1' } }], says: /id -1/ },
  'an owner beyond all ids': { entries: [{ ...file, pax: { gid: '4294967295' } }], says: /id 4294967295/ },
  'a size beyond all bounds': { layers: [{ content: withHugeSize() }], says: /number beyond all bounds/ },
  'a malformed pax header': {
    layers: [
      {
        content: Buffer.concat([
          header({ name: 'pax', type: 'x' }, 20),
          Buffer.concat([Buffer.from('99 path=far too long'), Buffer.alloc(492)]),
          tar([file]),
        ]),
      },
    ],
    says: /malformed record/,
  },
  'a pax header of gigabytes': {
    layers: [{ content: Buffer.concat([header({ name: 'pax', type: 'x', size: 2 ** 31 }, 0), Buffer.alloc(1024)]) }],
    says: /extended header of 2147483648 bytes/,
  },
  'a gzip bomb': {
    layers: [layerOf({ name: 'zeros', data: Buffer.alloc(32 << 20) })],
    flags: ['--max-size', '16m'],
    says: /more than 16777216 bytes; --max-size allows more/,
  },
  'a bomb of holes': {
    entries: [
      { name: 'holes', pax: { 'GNU.sparse.size': String(2 ** 45), 'GNU.sparse.map': '0,0', 'GNU.sparse.name': 'x' } },
    ],
    says: /with its holes; --max-size allows more/,
  },
  'more entries than allowed': {
    entries: Array.from({ length: 101 }, (_, i) => ({ name: `f${i}` })),
    flags: ['--max-entries', '100'],
    says: /more than 100 entries/,
  },
  'a blob that is cut off': {
    layers: [{ content: tar([file]), blob: gzipSync(tar([file])).subarray(0, 60) }],
    says: /is cut off/,
  },
  'a tar archive that is cut off': {
    layers: [{ content: tar([{ name: 'big', data: Buffer.alloc(9000) }]).subarray(0, 5000) }],
    says: /is cut off/,
  },
  'garbage behind the gzip stream': {
    layers: [{ content: tar([file]), blob: Buffer.concat([gzipSync(tar([file])), Buffer.from('garbage')]) }],
    says: /inflate cannot read it/,
  },
  'bytes that are no gzip': {
    layers: [{ content: tar([file]), blob: Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(100, 7)]) }],
    says: /inflate cannot read it/,
  },
  'bytes that are no zstd': {
    layers: [{ content: tar([file]), blob: Buffer.concat([Buffer.from('28b52ffd', 'hex'), Buffer.alloc(100, 7)]) }],
    says: /zstd cannot read it/,
  },
  'a zstd window of 128 MB': {
    // A frame header alone: no content size, and the window descriptor of 2^27 bytes (RFC 8878, 3.1.1.1.2).
    layers: [{ content: tar([file]), blob: Buffer.concat([Buffer.from('28b52ffd0088', 'hex'), Buffer.alloc(20)]) }],
    says: /window of more than 32 MB/,
  },
  'bytes that are no tar': { layers: [{ content: Buffer.alloc(2048, 'x') }], says: /no tar header/ },
  'a wrong blob digest': {
    layers: [{ content: tar([file]), digest: digits('a') }],
    says: /digest of its blob is sha256:/,
  },
  'a wrong diff id': { layers: [{ content: tar([file]), diffId: digits('b') }], says: /diff id is sha256:/ },
};

function tsrun(dir: string, ...args: string[]) {
  const [command, ...rest] = [...runtime.command, '--store', join(dir, 'store'), ...args];
  const { status, stdout, stderr } = spawnSync(command ?? '', rest, { encoding: 'utf8', timeout: 60_000 });
  return { code: status, out: stdout, err: stderr };
}

function place(t: TestContext): string {
  const dir = join(scratch, `hostile-${(count += 1)}`);
  mkdirSync(join(dir, 'canary'), { recursive: true });
  writeFileSync(join(dir, 'canary/bird'), 'alive');
  t.onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

for (const [name, { entries, layers, flags = [], says }] of Object.entries(attacks)) {
  test(`a layer with ${name} is refused`, { only: ['tsrun'] }, (t) => {
    const dir = place(t);
    const image = layout(join(dir, 'layout'), layers ?? [layerOf(...(entries ?? []))]);
    const before = treeText(join(dir, 'canary'));
    const result = tsrun(dir, 'unpack', ...flags, image, join(dir, 'bundle'));
    expect(result).toMatchObject({ code: 1, out: '' });
    // Layers below the bad one may have been unpacked, and that is told; of the error there is one line.
    const told = result.err.split('\n').filter((line) => line !== '' && !line.startsWith('unpacked layer'));
    expect(told).toEqual([expect.stringMatching(says)]);
    expect(told[0]).toMatch(/^tsrun: oci:.*: layer \d/);
    expect(treeText(join(dir, 'canary'))).toEqual(before);
    expect(readdirSync(dir).sort()).toEqual(['canary', 'layout', 'store']);
    expect(readdirSync(join(dir, 'store/tmp'))).toEqual([]);
    expect(readdirSync(join(dir, 'store/images'))).toEqual([]);
    expect(readdirSync(join(dir, 'store/users'))).toEqual([]);
    expect(tsrun(dir, 'image', 'prune').code).toBe(0);
    expect(readdirSync(join(dir, 'store/layers'))).toEqual([]);
  });
}

test('documents of an image that lie are refused, by file and field', { only: ['tsrun'] }, (t) => {
  const dir = place(t);
  const image = layout(join(dir, 'layout'), [layerOf(file)]);
  const index = JSON.parse(readFileSync(join(dir, 'layout/index.json'), 'utf8')) as {
    manifests: { digest: string; size: number }[];
  };
  const digest = index.manifests[0]?.digest ?? '';
  const manifest = join(dir, 'layout/blobs/sha256', digest.slice(7));
  const good = readFileSync(manifest, 'utf8');
  const refused = (says: RegExp) => {
    const result = tsrun(dir, 'unpack', image, join(dir, 'bundle'));
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toMatch(says);
  };
  writeFileSync(manifest, good.replace('"size":', '"size": '));
  refused(/blob sha256:[a-f0-9]{64} is damaged: its digest is sha256:/);
  writeFileSync(manifest, good);
  writeFileSync(join(dir, 'layout/index.json'), JSON.stringify({ manifests: [{ digest: '../../etc/passwd' }] }));
  refused(/index\.json: \/manifests\/0\/mediaType: expected a text/);
  writeFileSync(
    join(dir, 'layout/index.json'),
    JSON.stringify({ manifests: [{ mediaType: 'x', size: 1, digest: 'sha256:../../../../etc/passwd' }] }),
  );
  refused(/index\.json: \/manifests\/0\/digest: expected "sha256:"/);
  rmSync(join(dir, 'layout/index.json'));
  spawnSync('mkfifo', [join(dir, 'layout/index.json')]);
  refused(/index\.json is not a regular file/);
  rmSync(join(dir, 'layout'), { recursive: true });
  refused(/no such file or directory/);
});

test('the store can be entered by nobody else', { only: ['tsrun'] }, (t) => {
  const dir = place(t);
  const image = layout(join(dir, 'layout'), [layerOf({ ...file, mode: 0o4755 })]);
  expect(tsrun(dir, 'unpack', image, join(dir, 'bundle'))).toMatchObject({ code: 0 });
  expect(statSync(join(dir, 'store')).mode & 0o777).toBe(0o700);
});
