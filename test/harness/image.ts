// Images for tests: tar archives made here, entry by entry, so that they can be as wrong as an attacker would make them.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';

export interface TarEntry {
  name: string;
  type?: string;
  data?: string | Buffer;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  major?: number;
  minor?: number;
  /** Records of a pax header before it. */
  pax?: Record<string, string>;
  /** The size that the header says, if it is to lie. */
  size?: number;
}

const octal = (value: number, size: number) => `${value.toString(8).padStart(size - 1, '0')}\0`;

export function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(entry.name, 0, 100, 'latin1');
  block.write(octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 8), 100);
  block.write(octal(entry.uid ?? 0, 8), 108);
  block.write(octal(entry.gid ?? 0, 8), 116);
  block.write(octal(entry.size ?? size, 12), 124);
  block.write(octal(entry.mtime ?? 1_600_000_000, 12), 136);
  block.write('        ', 148);
  block.write(entry.type ?? '0', 156);
  block.write(entry.link ?? '', 157, 100, 'latin1');
  block.write('ustar\0' + '00', 257);
  block.write(octal(entry.major ?? 0, 8), 329);
  block.write(octal(entry.minor ?? 0, 8), 337);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const padded = (data: Buffer) => Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);

export function paxRecords(records: Record<string, string>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.from(` ${key}=${value}\n`, 'utf8');
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return Buffer.concat(lines);
}

export function tar(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const data = Buffer.from(entry.data ?? '');
    const before: Buffer[] = [];
    if (entry.pax !== undefined) {
      const records = paxRecords(entry.pax);
      before.push(header({ name: 'pax', type: 'x' }, records.length), padded(records));
    }
    return [...before, header(entry, data.length), padded(data)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Of this machine, as images name it. */
export const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

const digestOf = (data: Buffer | string) => `sha256:${createHash('sha256').update(data).digest('hex')}`;

export interface LayerOfTest {
  content: Buffer;
  /** As it lies in the layout; gzip unless given. */
  blob?: Buffer;
  diffId?: string;
  digest?: string;
  mediaType?: string;
}

/** An image layout with one image, tagged `test`, for this machine or another one. */
export function layout(
  dir: string,
  layers: readonly LayerOfTest[],
  config: object = { Cmd: ['/bin/true'] },
  machine: string = architecture,
): string {
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
  const put = (data: Buffer | string, digest = digestOf(data)) => {
    writeFileSync(join(dir, 'blobs/sha256', digest.slice(7)), data);
    return { digest, size: Buffer.byteLength(data) };
  };
  const descriptors = layers.map(({ content, blob, digest, mediaType }) => ({
    mediaType: mediaType ?? 'application/vnd.oci.image.layer.v1.tar+gzip',
    ...put(blob ?? gzipSync(content, { level: 1 }), digest),
  }));
  const ids = layers.map(({ content, diffId }) => diffId ?? digestOf(content));
  const configText = JSON.stringify({
    os: 'linux',
    architecture: machine,
    config,
    rootfs: { type: 'layers', diff_ids: ids },
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...put(configText) },
    layers: descriptors,
  });
  const tag = { 'org.opencontainers.image.ref.name': 'test' };
  const index = {
    schemaVersion: 2,
    manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', ...put(manifest), annotations: tag }],
  };
  writeFileSync(join(dir, 'index.json'), JSON.stringify(index));
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return `oci:${dir}:test`;
}

/** Every entry of a tree with all that a layer can say of it, a line each; names as bytes, one a character. */
export function treeText(root: string): string[] {
  const lines: string[] = [];
  const attributes = attributesOf(root);
  const names = new Map<bigint, string>();
  const walk = (path: string) => {
    const full = Buffer.from(path === '' ? root : `${root}/${path}`, 'latin1');
    const info = lstatSync(full, { bigint: true });
    const content = info.isFile()
      ? digestOf(readFileSync(full))
      : info.isSymbolicLink()
        ? readlinkSync(full, 'latin1')
        : '';
    // Directories of an overlay have a link count of one; the first of a file's names stands for all of them.
    const first = info.isFile() ? (names.get(info.ino) ?? path) : path;
    names.set(info.ino, first);
    const counts = info.isDirectory() ? [] : [info.size, info.nlink];
    const { mode, uid, gid, mtimeNs, rdev } = info;
    lines.push(
      [path, mode.toString(8), uid, gid, mtimeNs, rdev, ...counts, first, content, attributes.get(path) ?? ''].join(
        ' | ',
      ),
    );
    if (!info.isDirectory()) return;
    for (const name of readdirSync(full, 'latin1').sort()) walk(path === '' ? name : `${path}/${name}`);
  };
  walk('');
  return lines;
}

/** The extended attributes of each entry of a tree by its path, but for those of overlayfs and the host's labels. */
function attributesOf(root: string): Map<string, string> {
  const args = ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', root];
  const { stdout } = spawnSync('getfattr', args, { encoding: 'latin1', maxBuffer: 64 << 20 });
  const blocks = stdout.split('\n\n').map((block) => block.split('\n'));
  return new Map(
    blocks.map(([head = '', ...lines]) => {
      // Control codes and backslashes are written in octal.
      const name = head
        .replace(/^# file: /, '')
        .replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8)));
      const kept = lines.filter((line) => line.includes('=') && !/overlay|selinux/.test(line));
      return [name.slice(root.length + 1), kept.sort().join(',')];
    }),
  );
}
