// The store of images, and the bundles in it: what is refused, what is left behind, what a person sees.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layout, tar } from '../harness/image.ts';
import { argv, emptyStore, files, place, sh, simpleImage, tsrun } from '../harness/image-store.ts';
import { expect, test } from '../harness/index.ts';

const ours = { only: ['tsrun' as const] };

test('a run whose id is taken leaves no bundle, and that of the other container alone', ours, (t) => {
  const dir = place(t);
  const image = simpleImage(dir, { Cmd: ['sleep', '100'] });
  const id = `taken${process.pid}`;
  t.onTestFinished(() => void tsrun(dir, 'delete', '--force', id));
  expect(tsrun(dir, 'run', '-d', '--id', id, image)).toMatchObject({ code: 0 });
  const before = files(join(dir, 'store/bundles')).length;
  expect(tsrun(dir, 'run', '--id', id, image)).toMatchObject({ code: 1, err: expect.stringContaining('exist') });
  expect(readdirSync(join(dir, 'store/bundles'))).toEqual([id]);
  expect(files(join(dir, 'store/bundles'))).toHaveLength(before);
  expect(readdirSync(join(dir, 'store/users'))).toHaveLength(1);
});

test('a bundle is removed however deep its container nested directories, and whatever stands in the way', ours, (t) => {
  const dir = place(t);
  const nest =
    'mkdir /.deep-0 && touch /.deep-0/x /.deep-1; i=0; while [ $i -lt 300 ]; do mkdir d && cd d; i=$((i+1)); done';
  const command = ['/bin/busybox', 'sh', '-c', nest.replaceAll(/mkdir|touch/g, '/bin/busybox $&')];
  expect(tsrun(dir, 'run', simpleImage(dir), '--', ...command)).toEqual({ code: 0, out: '', err: '' });
  expect(files(join(dir, 'store/bundles'))).toEqual([]);
  expect(tsrun(dir, 'image', 'prune').code).toBe(0);
  expect(files(join(dir, 'store')).sort()).toEqual(emptyStore);
});

test('runs and prunes at once do not get in the way of each other', ours, async (t) => {
  const dir = place(t);
  const image = simpleImage(dir);
  const start = (...args: string[]) => {
    const [command, ...rest] = argv(dir, ...args);
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    return new Promise<{ code: number | null; err: string }>((resolve) => {
      let err = '';
      child.stderr.on('data', (data) => (err += data));
      child.on('close', (code) => resolve({ code, err }));
    });
  };
  const all = Array.from({ length: 40 }, (_, i) => (i % 5 === 4 ? start('image', 'prune') : start('run', image)));
  for (const result of await Promise.all(all)) expect(result).toEqual({ code: 0, err: '' });
  expect(tsrun(dir, 'image', 'prune').code).toBe(0);
  expect(files(join(dir, 'store')).sort()).toEqual(emptyStore);
});

test('a store that others may write to is refused', ours, (t) => {
  const dir = place(t);
  const image = simpleImage(dir);
  mkdirSync(join(dir, 'store'));
  chmodSync(join(dir, 'store'), 0o777);
  expect(tsrun(dir, 'run', image)).toMatchObject({ code: 1, err: expect.stringContaining('others may write there') });
  expect(readdirSync(join(dir, 'store'))).toEqual([]);
});

test('a store may have a name in which overlayfs and mount(2) see more than a name', ours, (t) => {
  const dir = join(place(t), 'a:b,c\\d "e"');
  mkdirSync(dir);
  const layers = Array.from({ length: 5 }, (_, i) => ({ content: tar([{ name: `layer-${i}`, data: String(i) }]) }));
  const base = tar([{ name: 'cat', mode: 0o755, data: readFileSync('/bin/busybox') }]);
  const image = layout(join(dir, '..', 'images'), [{ content: base }, ...layers]);
  const out = tsrun(dir, 'run', image, '--', '/cat', '/layer-0', '/layer-4');
  expect(out).toEqual({ code: 0, out: '04', err: '' });
});

test('an image that cannot run here is refused: another machine, no layers, a volume that is no place', ours, (t) => {
  const dir = place(t);
  const layer = { content: tar([{ name: 'file', data: 'x' }]) };
  const refused = (image: string, says: RegExp, ...flags: string[]) => {
    const { code, err } = tsrun(dir, 'unpack', ...flags, image, join(dir, 'bundle'));
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(says) });
    expect(readdirSync(dir)).not.toContain('bundle');
  };
  const image = layout(join(dir, 'layout'), [layer]);
  refused(
    image,
    /the image is for linux\/\w+, not linux\/s390x; --platform linux\/\w+ takes it/,
    '--platform',
    's390x',
  );
  refused(layout(join(dir, 'none'), []), /has no layers/);
  for (const volume of ['/', 'data', '/a/../..'])
    refused(layout(join(dir, `volume-${volume.length}`), [layer], { Cmd: ['x'], Volumes: { [volume]: {} } }), /volume/);
});

test('a terminal shows a bar that goes away, and a log a line for each layer', ours, (t) => {
  const dir = place(t);
  const image = simpleImage(dir);
  const line = argv(dir, 'unpack', image, join(dir, 'bundle'));
  const { stdout } = spawnSync('script', ['-qefc', line.join(' '), '/dev/null'], { encoding: 'utf8' });
  const shown = stdout.replaceAll('\x1b[K', '<end>');
  expect(shown).toMatch(/^\runpacking \[[#.]{24}\] 0 of 1 layers, \d+\.\d s<end>/);
  expect(shown.endsWith('\r<end>')).toBe(true);
  rmSync(join(dir, 'store'), { recursive: true });
  expect(tsrun(dir, 'unpack', image, join(dir, 'other')).err).toMatch(
    /^unpacked layer 1 of 1: sha256:\w{12} \(\d+ bytes\)\n$/,
  );
});

test('extended attributes whose names are not ASCII go in and out', {
  ...ours,
  needs: ['program:getfattr' as const],
}, (t) => {
  const dir = place(t);
  const id = `names${process.pid}`;
  t.onTestFinished(() => void tsrun(dir, 'delete', '--force', id));
  const content = tar([
    { name: 'bin/', type: '5' },
    { name: 'bin/true', mode: 0o755, data: readFileSync('/bin/busybox') },
    { name: 'file', data: 'x', pax: { 'SCHILY.xattr.user.größe': 'in' } },
  ]);
  const image = layout(join(dir, 'layout'), [{ content }], { Cmd: ['/bin/true'] });
  expect(tsrun(dir, 'run', '--keep', '--id', id, image)).toMatchObject({ code: 0 });
  const upper = join(dir, 'store/bundles', id, 'upper');
  writeFileSync(join(upper, 'new'), 'x');
  sh(`setfattr -n user.naïve -v out '${upper}/new'`, dir);
  expect(tsrun(dir, 'commit', id, `oci:${dir}/second:tag`)).toMatchObject({ code: 0, err: '' });
  rmSync(join(dir, 'store'), { recursive: true });
  expect(tsrun(dir, 'unpack', `oci:${dir}/second:tag`, join(dir, 'bundle'))).toMatchObject({ code: 0 });
  const { lower } = JSON.parse(readFileSync(join(dir, 'bundle/overlay.json'), 'utf8')) as { lower: string[] };
  sh(`test "$(getfattr --only-values -n user.größe ${lower[1]}/file)" = in`, dir);
  sh(`test "$(getfattr --only-values -n user.naïve ${lower[0]}/new)" = out`, dir);
});
