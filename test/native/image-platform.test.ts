// An image for more than one kind of machine: one index, a manifest for each.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { architecture, layout, tar } from '../harness/image.ts';
import { merged, place, tsrun } from '../harness/image-store.ts';
import { expect, test } from '../harness/index.ts';

const ours = { only: ['tsrun' as const] };
const other = architecture === 'amd64' ? 'arm64' : 'amd64';

/** The manifests of both stand behind one descriptor, as registries and their clients have it. */
function imageForBoth(dir: string): string {
  const program = { name: 'cat', mode: 0o755, data: readFileSync('/bin/busybox') };
  const manifests = [other, architecture].map((machine) => {
    const files = [{ name: 'machine', data: machine }, ...(machine === architecture ? [program] : [])];
    layout(dir, [{ content: tar(files) }], { Cmd: ['/cat', '/machine'] }, machine);
    const [manifest] = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')).manifests;
    return { ...manifest, annotations: undefined, platform: { os: 'linux', architecture: machine } };
  });
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const text = JSON.stringify({ schemaVersion: 2, mediaType, manifests });
  const hash = createHash('sha256').update(text).digest('hex');
  writeFileSync(join(dir, 'blobs/sha256', hash), text);
  const annotations = { 'org.opencontainers.image.ref.name': 'both' };
  const top = { mediaType, digest: `sha256:${hash}`, size: Buffer.byteLength(text), annotations };
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [top] }));
  return `oci:${dir}:both`;
}

test('of an index the image for this machine is run', ours, (t) => {
  const dir = place(t);
  expect(tsrun(dir, 'run', imageForBoth(join(dir, 'images')))).toEqual({ code: 0, out: architecture, err: '' });
});

test('--platform takes that for another machine, and an index without one is told by what it has', ours, (t) => {
  const dir = place(t);
  const image = imageForBoth(join(dir, 'images'));
  for (const machine of [architecture, other]) {
    const bundle = join(dir, machine);
    expect(tsrun(dir, 'unpack', '--platform', `linux/${machine}`, image, bundle)).toMatchObject({ code: 0 });
    expect(merged(bundle, (root) => readFileSync(join(root, 'machine'), 'utf8'))).toBe(machine);
  }
  const { code, err } = tsrun(dir, 'unpack', '--platform', 'linux/riscv64', image, join(dir, 'none'));
  expect(code).toBe(1);
  for (const word of ['linux/riscv64', 'linux/amd64', 'linux/arm64']) expect(err).toContain(word);
});
