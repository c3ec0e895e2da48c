// Images: what is unpacked is what umoci unpacks, once for all, and gone when nobody uses it.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { architecture, layout, tar, treeText } from '../harness/image.ts';
import { argv, emptyStore, files, merged, place, sh, simpleImage, tsrun } from '../harness/image-store.ts';
import { busybox } from '../harness/rootfs.ts';
import { expect, quietly, test, until } from '../harness/index.ts';

/** Three layers by umoci: whiteouts, file capabilities, hard links, and all that a file can have. */
function buildImage(dir: string): string {
  const root = join(dir, 'work/rootfs');
  const edit = (change: () => void) => {
    sh('umoci unpack --image layout:test work', dir);
    change();
    sh('umoci repack --image layout:test work && rm -rf work', dir);
  };
  sh('umoci init --layout layout && umoci new --image layout:test', dir);
  edit(() => {
    for (const name of ['bin', 'etc', 'gone', 'kept', 'opaque', 'deep/er/still', 'tmp'])
      mkdirSync(join(root, name), { recursive: true });
    copyFileSync(busybox, join(root, 'bin/busybox'));
    for (const name of ['sh', 'cat', 'ls', 'id', 'sleep', 'true', 'stat', 'touch', 'pwd', 'echo', 'rm'])
      symlinkSync('busybox', join(root, 'bin', name));
    writeFileSync(join(root, 'etc/os-release'), 'NAME=three-layers\n');
    writeFileSync(join(root, 'etc/passwd'), 'joe:x:1000:1001::/:/bin/sh\n');
    writeFileSync(join(root, 'etc/group'), 'joe:x:1001:\naudio:x:63:other,joe\n');
    for (const name of ['gone/file', 'kept/file', 'kept/removed', 'opaque/old', 'deep/er/still/file'])
      writeFileSync(join(root, name), name);
    linkSync(join(root, 'kept/file'), join(root, 'kept/second'));
    linkSync(join(root, 'kept/file'), join(root, 'kept/third'));
    symlinkSync('/etc/os-release', join(root, 'absolute'));
    symlinkSync('nowhere', join(root, 'dangling'));
    sh('mkfifo work/rootfs/fifo && mknod work/rootfs/device c 1 3 && mknod work/rootfs/block b 7 200', dir);
    writeFileSync(join(root, 'setuid'), '');
    chownSync(join(root, 'setuid'), 4_000_000, 70_000);
    chmodSync(join(root, 'setuid'), 0o6711);
    chmodSync(join(root, 'tmp'), 0o1777);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/latin-`), Buffer.from([0xe9, 0xff])]), 'bytes');
    writeFileSync(join(root, 'ünïcode-名'), 'text');
    const long = 'l'.repeat(200);
    mkdirSync(join(root, long, long), { recursive: true });
    writeFileSync(join(root, long, long, 'file'), 'long');
    symlinkSync('t'.repeat(300), join(root, 'long-link'));
    sh('setfattr -n user.note -v "a b" work/rootfs/kept/file && setfattr -n user.empty work/rootfs/etc', dir);
    utimesSync(join(root, 'kept/file'), 1_500_000_000.123456, 1_500_000_000.123456);
    lutimesSync(join(root, 'dangling'), 1_400_000_000, 1_400_000_000);
  });
  edit(() => {
    rmSync(join(root, 'gone'), { recursive: true });
    rmSync(join(root, 'kept/removed'));
    copyFileSync(busybox, join(root, 'bin/capable'));
    sh('setcap cap_net_raw+ep work/rootfs/bin/capable', dir);
    rmSync(join(root, 'absolute'));
    mkdirSync(join(root, 'absolute'));
    writeFileSync(join(root, 'absolute/inside'), 'a directory now');
  });
  edit(() => {
    rmSync(join(root, 'opaque'), { recursive: true });
    mkdirSync(join(root, 'opaque'));
    writeFileSync(join(root, 'opaque/new'), 'new');
    writeFileSync(join(root, 'deep/er/still/file'), 'changed');
    chmodSync(join(root, 'deep'), 0o700);
  });
  sh(
    'umoci config --image layout:test --config.cmd /bin/cat --config.cmd /etc/os-release --config.user joe' +
      ' --config.workingdir /kept --config.env A=b --config.label some.label=value --config.stopsignal SIGUSR1' +
      ' --config.exposedports 80/tcp --config.volume /data',
    dir,
  );
  return `oci:${join(dir, 'layout')}:test`;
}

const only = {
  only: ['tsrun' as const],
  needs: ['program:umoci' as const, 'program:getfattr' as const],
  timeout: 120_000,
};
const quick = { only: ['tsrun' as const] };

test('an image of three layers is unpacked as umoci unpacks it, entry by entry', only, (t) => {
  const dir = place(t);
  const image = buildImage(dir);
  expect(tsrun(dir, 'unpack', image, join(dir, 'bundle'))).toMatchObject({ code: 0 });
  sh('umoci unpack --image layout:test theirs', dir);
  const ours = merged(join(dir, 'bundle'), treeText);
  expect(ours.length).toBeGreaterThan(30);
  expect(ours).toEqual(treeText(join(dir, 'theirs/rootfs')));
});

test('run IMAGE runs its command as its user, in its directory, with its environment', only, (t) => {
  const dir = place(t);
  const image = buildImage(dir);
  expect(tsrun(dir, 'run', image)).toEqual({ code: 0, out: 'NAME=three-layers\n', err: '' });
  expect(tsrun(dir, 'run', image, '--', 'sh', '-c', 'id; pwd; echo $A')).toMatchObject({
    code: 0,
    out: 'uid=1000(joe) gid=1001(joe) groups=63(audio)\n/kept\nb\n',
  });
  expect(tsrun(dir, 'run', image, '--', 'sh', '-c', 'echo x > /data/file && cat /data/file')).toMatchObject({
    code: 0,
    out: 'x\n',
  });
  expect(files(join(dir, 'store/bundles'))).toEqual([]);
  expect(files(join(dir, 'store/users'))).toEqual([]);
});

test('a layer of umoci insert runs, which names the root "/" and does not fill the last block', quick, (t) => {
  const dir = place(t);
  mkdirSync(join(dir, 'root/bin'), { recursive: true });
  copyFileSync(busybox, join(dir, 'root/bin/cat'));
  mkdirSync(join(dir, 'root/etc'));
  writeFileSync(join(dir, 'root/etc/os-release'), 'NAME=inserted\n');
  sh('umoci init --layout layout && umoci new --image layout:1 && umoci insert --image layout:1 root /', dir);
  expect(tsrun(dir, 'run', `oci:${dir}/layout:1`, '--', '/bin/cat', '/etc/os-release')).toEqual({
    code: 0,
    out: 'NAME=inserted\n',
    err: '',
  });
});

test('what a container writes stays its own', only, (t) => {
  const dir = place(t);
  const image = simpleImage(dir);
  expect(tsrun(dir, 'run', image, '--', 'sh', '-c', 'echo written > /file; cat /file')).toMatchObject({
    out: 'written\n',
  });
  expect(tsrun(dir, 'run', image, '--', 'sh', '-c', 'cat /file')).toMatchObject({ code: 1 });
});

test('a bundle that was unpacked runs, and keeps what its container wrote', quick, (t) => {
  const dir = place(t);
  const bundle = join(dir, 'bundle');
  expect(tsrun(dir, 'unpack', simpleImage(dir, { Cmd: ['touch', '/made'] }), bundle)).toMatchObject({ code: 0 });
  expect(tsrun(dir, 'run', '-b', bundle, `unpacked${process.pid}`)).toEqual({ code: 0, out: '', err: '' });
  expect(readdirSync(join(bundle, 'upper'))).toEqual(expect.arrayContaining(['made']));
  expect(readdirSync(join(bundle, 'rootfs'))).toEqual([]);
  expect(tsrun(dir, 'image', 'prune').out).toBe('removed 0 images and 0 layers\n');
  rmSync(bundle, { recursive: true });
  expect(tsrun(dir, 'image', 'prune').out).toBe('removed 1 images and 1 layers\n');
  expect(files(join(dir, 'store')).sort()).toEqual(emptyStore);
});

test('a created container of an image keeps its bundle until it is deleted', quick, async (t) => {
  const dir = place(t);
  const image = simpleImage(dir, { Cmd: ['sleep', '100'] });
  const id = `image${process.pid}`;
  t.onTestFinished(() => void tsrun(dir, 'delete', '--force', id));
  expect(tsrun(dir, 'run', '-d', '--id', id, image)).toEqual({ code: 0, out: '', err: '' });
  expect(tsrun(dir, 'image', 'prune').out).toBe('removed 0 images and 0 layers\n');
  expect(tsrun(dir, 'image', 'rm', image)).toMatchObject({ code: 1 });
  expect(tsrun(dir, 'delete', '--force', id)).toEqual({ code: 0, out: '', err: '' });
  expect(files(join(dir, 'store/bundles'))).toEqual([]);
  expect(tsrun(dir, 'image', 'rm', image).out).toBe('removed 1 images and 1 layers\n');
  expect(files(join(dir, 'store')).sort()).toEqual(emptyStore);
});

test(
  'ten runs of the same image at once on an empty store unpack it once, and prune leaves nothing',
  only,
  async (t) => {
    const dir = place(t);
    const image = simpleImage(dir);
    const runs = Array.from({ length: 10 }, () => {
      const [command, ...rest] = argv(dir, '--debug', 'run', image);
      const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
      return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
        let [out, err] = ['', ''];
        child.stdout.on('data', (data) => (out += data));
        child.stderr.on('data', (data) => (err += data));
        child.on('close', (code) => resolve({ code, out, err }));
      });
    });
    const results = await Promise.all(runs);
    for (const { code, out, err } of results) expect({ code, out }, err).toEqual({ code: 0, out: 'NAME=simple\n' });
    expect(results.filter(({ err }) => err.includes('unpacked layer'))).toHaveLength(1);
    expect(readdirSync(join(dir, 'store/layers')).filter((name) => !name.endsWith('.lock'))).toHaveLength(1);
    expect(tsrun(dir, 'image', 'prune').out).toBe('removed 1 images and 1 layers\n');
    expect(files(join(dir, 'store')).sort()).toEqual(emptyStore);
  },
);

test('unpacking that is killed at any point leaves nothing in sight, and the next one goes on', only, async (t) => {
  const dir = place(t);
  const large = Array.from({ length: 1200 }, (_, i) => ({ name: `dir-${i % 50}/file-${i}`, data: 'x'.repeat(i) }));
  const image = layout(join(dir, 'layout'), [
    { content: tar(large) },
    { content: tar([{ name: 'dir-1/.wh.file-1' }]) },
  ]);
  for (const [turn, delay] of [2, 10, 20, 40, 60, 90, 130].entries()) {
    const [command, ...rest] = argv(dir, 'unpack', image, join(dir, `killed-${turn}`));
    const child = spawn(command, rest, { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    await new Promise((resolve) => setTimeout(resolve, delay));
    child.kill('SIGKILL');
    await ended;
    for (const name of quietly(() => readdirSync(join(dir, 'store/layers'))) ?? [])
      if (!name.endsWith('.lock')) expect(readdirSync(join(dir, 'store/layers', name))).toContain('layer.json');
  }
  expect(tsrun(dir, 'unpack', image, join(dir, 'bundle'))).toMatchObject({ code: 0 });
  expect(merged(join(dir, 'bundle'), (root) => files(root)).length).toBe(50 + 1200 - 1);
  for (const name of readdirSync(dir)) if (name !== 'store') rmSync(join(dir, name), { recursive: true });
  expect(tsrun(dir, 'image', 'prune').code).toBe(0);
  expect(files(join(dir, 'store')).sort()).toEqual(emptyStore);
});

test('a runtime that is killed leaves a container that delete --force takes away with its bundle', quick, async (t) => {
  const dir = place(t);
  const id = `killed${process.pid}`;
  const image = simpleImage(dir, { Cmd: ['sleep', '100'] });
  t.onTestFinished(() => void tsrun(dir, 'delete', '--force', id));
  const [command, ...rest] = argv(dir, 'run', '--id', id, image);
  const child = spawn(command, rest, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  await until('it runs', () => tsrun(dir, 'state', id).out.includes('"running"'));
  child.kill('SIGKILL');
  await ended;
  expect(tsrun(dir, 'image', 'prune').out).toBe('removed 0 images and 0 layers\n');
  expect(tsrun(dir, 'delete', '--force', id)).toMatchObject({ code: 0 });
  expect(files(join(dir, 'store/bundles'))).toEqual([]);
});

test('an image with more layers than a page of mount options holds runs', { ...quick, needs: ['kernel:6.7'] }, (t) => {
  const dir = place(t);
  const base = simpleImage(dir);
  const { manifests } = JSON.parse(readFileSync(join(dir, 'layout/index.json'), 'utf8')) as {
    manifests: { digest: string }[];
  };
  const manifest = JSON.parse(
    readFileSync(join(dir, 'layout/blobs/sha256', manifests[0]?.digest.slice(7) ?? ''), 'utf8'),
  ) as { layers: { digest: string }[] };
  const gzipped = readFileSync(join(dir, 'layout/blobs/sha256', manifest.layers[0]?.digest.slice(7) ?? ''));
  expect(base).toContain('oci:');
  const content = spawnSync('gzip', ['-dc'], { input: gzipped, maxBuffer: 64 << 20 }).stdout;
  const more = Array.from({ length: 99 }, (_, i) => ({ content: tar([{ name: `layer-${i}`, data: String(i) }]) }));
  const image = layout(join(dir, 'many'), [{ content }, ...more]);
  expect(tsrun(dir, 'run', image, '--', 'cat', '/layer-0', '/layer-98')).toEqual({ code: 0, out: '098', err: '' });
});

test('zstd and plain layers, and archives of both kinds, give the same root', only, (t) => {
  const dir = place(t);
  const content = tar([{ name: 'file', data: 'same' }]);
  const zstd = spawnSync('zstd', ['-c'], { input: content }).stdout;
  const forms = {
    gzip: layout(join(dir, 'gzip'), [{ content }]),
    zstd: layout(join(dir, 'zstd'), [
      { content, blob: zstd, mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' },
    ]),
    plain: layout(join(dir, 'plain'), [
      { content, blob: content, mediaType: 'application/vnd.oci.image.layer.v1.tar' },
    ]),
    archive: `oci-archive:${join(dir, 'image.tar')}:test`,
    docker: `docker-archive:${join(dir, 'docker.tar')}`,
  };
  sh('tar -C gzip -cf image.tar .', dir);
  const config = JSON.stringify({
    os: 'linux',
    architecture,
    config: { Cmd: ['x'] },
    rootfs: { diff_ids: [`sha256:${createHash('sha256').update(content).digest('hex')}`] },
  });
  mkdirSync(join(dir, 'docker/layer'), { recursive: true });
  writeFileSync(join(dir, 'docker/layer/layer.tar'), content);
  writeFileSync(join(dir, 'docker/config.json'), config);
  const list = [{ Config: 'config.json', RepoTags: ['some:tag'], Layers: ['layer/layer.tar'] }];
  writeFileSync(join(dir, 'docker/manifest.json'), JSON.stringify(list));
  sh('tar -C docker -cf docker.tar manifest.json config.json layer', dir);
  for (const [name, image] of Object.entries(forms)) {
    rmSync(join(dir, 'store'), { recursive: true, force: true });
    expect(tsrun(dir, 'unpack', image, join(dir, `bundle-${name}`)), name).toMatchObject({ code: 0 });
    expect(merged(join(dir, `bundle-${name}`), (root) => readFileSync(join(root, 'file'), 'utf8'))).toBe('same');
    // No layer names the root directory: umoci and tsrun give it the same time.
    expect(merged(join(dir, `bundle-${name}`), (root) => statSync(root).mtimeMs)).toBe(0);
  }
});

test('what skopeo makes of an image, as an archive or with zstd, gives the tree of the layout', {
  ...only,
  needs: [...only.needs, 'program:skopeo'],
}, (t) => {
  const dir = place(t);
  const image = buildImage(dir);
  const tree = (reference: string, name: string) => {
    const { code, err } = tsrun(dir, 'unpack', reference, join(dir, name));
    expect(code, err).toBe(0);
    return merged(join(dir, name), treeText);
  };
  const expected = tree(image, 'bundle');
  const copies = {
    'oci-archive': `oci-archive:${dir}/archive.tar:tag`,
    'docker-archive': `docker-archive:${dir}/docker.tar:some/name:tag`,
    zstd: `--dest-compress-format zstd --dest-compress oci:${dir}/zstd:tag`,
  };
  for (const [name, target] of Object.entries(copies)) {
    sh(`skopeo copy --quiet --insecure-policy oci:layout:test ${target}`, dir);
    rmSync(join(dir, 'store'), { recursive: true });
    expect(tree(target.replace(/^.* /, ''), `bundle-${name}`), name).toEqual(expected);
  }
});

test('a file with holes keeps them, in every form that GNU tar writes', only, (t) => {
  const dir = place(t);
  mkdirSync(join(dir, 'src'));
  sh('truncate -s 64M src/holes && printf begin | dd of=src/holes conv=notrunc status=none', dir);
  sh('printf middle | dd of=src/holes conv=notrunc bs=1M seek=30 status=none', dir);
  for (const form of [
    '--format=gnu',
    '--format=pax --sparse-version=0.0',
    '--format=pax --sparse-version=0.1',
    '--format=pax --sparse-version=1.0',
  ]) {
    sh(`rm -rf store layout bundle; tar -C src -S ${form} -cf holes.tar holes`, dir);
    const image = layout(join(dir, 'layout'), [{ content: readFileSync(join(dir, 'holes.tar')) }], { Cmd: ['x'] });
    expect(tsrun(dir, 'unpack', image, join(dir, 'bundle')), form).toMatchObject({ code: 0 });
    const { lower } = JSON.parse(readFileSync(join(dir, 'bundle/overlay.json'), 'utf8')) as { lower: string[] };
    sh(`cmp src/holes ${lower[0]}/holes && test $(du -k ${lower[0]}/holes | cut -f1) -lt 1024`, dir);
  }
});

test('commit adds what a container wrote as a layer, as umoci reads it', only, (t) => {
  const dir = place(t);
  const image = simpleImage(dir);
  const id = `commit${process.pid}`;
  t.onTestFinished(() => void tsrun(dir, 'delete', '--force', id));
  const change = [
    'rm /bin/touch',
    'rm -r /etc; mkdir /etc',
    'echo new > /etc/new',
    'mkdir -p /deep/er; echo x > /deep/er/file; ln /deep/er/file /deep/second; ln -s /nowhere /link',
    'chmod 4755 /deep/er/file; chown 70000:3000000 /deep/second',
    `echo long > /${'n'.repeat(150)}`,
  ];
  const applets = ['mkdir', 'ln', 'chmod', 'chown'].map((name) => `/bin/busybox ln -s busybox /bin/${name}`);
  const result = tsrun(dir, 'run', '--keep', '--id', id, image, '--', 'sh', '-ec', [...applets, ...change].join('; '));
  expect(result).toEqual({ code: 0, out: '', err: '' });
  for (const target of [join(dir, 'layout'), join(dir, 'other')]) {
    const committed = `oci:${target}:second`;
    expect(tsrun(dir, 'commit', id, committed)).toMatchObject({ code: 0, err: '' });
    expect(tsrun(dir, 'run', committed, '--', 'cat', '/etc/new')).toEqual({ code: 0, out: 'new\n', err: '' });
    rmSync(join(dir, 'bundle'), { recursive: true, force: true });
    rmSync(join(dir, 'theirs'), { recursive: true, force: true });
    expect(tsrun(dir, 'unpack', committed, join(dir, 'bundle'))).toMatchObject({ code: 0 });
    sh(`umoci unpack --image ${target}:second theirs`, dir);
    const ours = merged(join(dir, 'bundle'), treeText);
    expect(ours).toEqual(treeText(join(dir, 'theirs/rootfs')));
    expect(ours.some((line) => line.startsWith('etc/os-release'))).toBe(false);
    expect(ours.some((line) => line.startsWith('bin/touch'))).toBe(false);
  }
  expect(tsrun(dir, 'unpack', image, join(dir, 'first'))).toMatchObject({ code: 0 });
});
