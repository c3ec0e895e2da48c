// Images without root: all files are the caller's, who is root in a user namespace.
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { layout, tar } from '../harness/image.ts';
import { emptyStore, files } from '../harness/image-store.ts';
import { container, expect, type Result, test, withUserAttributes } from '../harness/index.ts';
import { busybox } from '../harness/rootfs.ts';

const USER = 4242;
const through = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];

/** A directory of the user's, and tsrun as he calls it; the store is where XDG_DATA_HOME says. */
function ofUser(t: Parameters<typeof container>[0]): { dir: string; call: (...args: string[]) => Result } {
  const box = container(t, {}, { owner: USER });
  const root = box.path('root');
  for (const path of [root, box.dir]) {
    mkdirSync(path, { recursive: true });
    chownSync(path, USER, USER);
    chmodSync(path, 0o755);
  }
  withUserAttributes(t, root);
  chownSync(root, USER, USER);
  const env = { XDG_RUNTIME_DIR: root, XDG_DATA_HOME: root };
  return { dir: root, call: (...args) => box.call('--root', [root, ...args], { through, cwd: root, env }) };
}

const applets = ['sh', 'cat', 'id', 'ls', 'touch', 'rm', 'mv', 'stat', 'mkdir'];

/** With what only root could keep: owners, devices, file capabilities, directories closed to their owner. */
function twoLayers(dir: string, config: object = {}): string {
  const lower = tar([
    { name: 'bin/', type: '5', mode: 0o555 },
    { name: 'bin/busybox', mode: 0o755, data: readFileSync(busybox) },
    ...applets.map((name) => ({ name: `bin/${name}`, type: '2', link: 'busybox' })),
    { name: 'shadow', mode: 0o640, uid: 0, gid: 42, data: 'secret' },
    { name: 'closed/', type: '5', mode: 0, uid: 1000, gid: 1000 },
    { name: 'closed/file', mode: 0, uid: 1000, data: 'inside' },
    { name: 'device', type: '3', major: 1, minor: 3 },
    { name: 'capable', data: 'x', pax: { 'SCHILY.xattr.security.capability': 'x', 'SCHILY.xattr.user.note': 'kept' } },
    { name: 'gone', data: 'x' },
    { name: 'opaque/old', data: 'x' },
  ]);
  const upper = tar([{ name: '.wh.gone' }, { name: 'opaque/.wh..wh..opq' }, { name: 'opaque/new', data: 'new' }]);
  return layout(join(dir, 'layout'), [{ content: lower }, { content: upper }], { Cmd: ['ls', '/opaque'], ...config });
}

const ours = { only: ['tsrun' as const] };

test('without root an image runs, shares its layers, and leaves nothing', ours, (t) => {
  const { dir, call } = ofUser(t);
  const image = twoLayers(dir);
  expect(call('run', image)).toEqual({ code: 0, out: 'new\n', err: '' });
  const script =
    'id -u; cat /shadow /closed/file; ls /gone; stat -c "%a %u:%g %F" /closed /device; rm -r /closed; mv /opaque /o; cat /o/new';
  const { code, out } = call('run', image, '--', 'sh', '-c', script);
  expect({ code, out }).toEqual({
    code: 0,
    out: '0\nsecretinside0 0:0 directory\n644 0:0 regular empty file\nnew',
  });
  expect(call('run', image, '--', 'cat', '/closed/file')).toMatchObject({ out: 'inside' });
  expect(call('images').out.split('\n')).toHaveLength(3);
  expect(readdirSync(join(dir, 'tsrun/bundles'))).toEqual([]);
  expect(call('image', 'prune').out).toBe('removed 1 images and 2 layers\n');
  expect(files(join(dir, 'tsrun')).sort()).toEqual(emptyStore);
});

test('without root what a container wrote is committed as that of root', ours, (t) => {
  const { dir, call } = ofUser(t);
  const image = twoLayers(dir);
  chownSync(join(dir, 'layout'), USER, USER);
  for (const name of files(join(dir, 'layout'))) chownSync(join(dir, 'layout', name), USER, USER);
  expect(
    call('run', '--keep', '--id', 'kept', image, '--', 'sh', '-c', 'rm -r /opaque /shadow; touch /made'),
  ).toMatchObject({
    code: 0,
  });
  const committed = `oci:${join(dir, 'layout')}:second`;
  expect(call('commit', 'kept', committed)).toMatchObject({ code: 0, err: '' });
  expect(call('delete', 'kept')).toMatchObject({ code: 0 });
  expect(call('run', committed, '--', 'sh', '-c', 'stat -c %u /made; ls -d /opaque')).toMatchObject({
    code: 1,
    out: '0\n',
  });
});

test('without root an image of another user is refused, as his id does not exist inside', ours, (t) => {
  const { dir, call } = ofUser(t);
  const { code, err } = call('run', twoLayers(dir, { User: '1000' }));
  expect(code).toBe(1);
  expect(err).toMatch(/the image's user is 1000:0: without root/);
  expect(readdirSync(join(dir, 'tsrun/bundles'))).toEqual([]);
});
