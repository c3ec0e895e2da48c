// Containers of a user who is not root: a user namespace of their own, and no cgroup unless there is a right to one.
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Container, container, expect, type Result, test } from '../harness/index.ts';

const USER = 4242;
const through = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];

/** With the configuration that `spec --rootless` writes. */
function ofUser(t: Parameters<typeof container>[0]): { box: Container; call: (...args: string[]) => Result } {
  const box = container(t, {}, { owner: USER });
  const root = box.path('root');
  for (const dir of [root, box.bundle, box.dir]) {
    mkdirSync(dir, { recursive: true });
    chownSync(dir, USER, USER);
    chmodSync(dir, 0o755);
  }
  const call = (...args: string[]) =>
    box.call('--root', [root, ...args], { through, cwd: box.bundle, env: { XDG_RUNTIME_DIR: root } });
  expect(call('spec', '--rootless')).toMatchObject({ code: 0, err: '' });
  const config = JSON.parse(readFileSync(`${box.bundle}/config.json`, 'utf8'));
  config.process.terminal = false;
  Object.assign(box.config, config);
  return { box, call };
}

const ours = { only: ['tsrun' as const] };

test('what spec --rootless writes runs without root, with the own id as the only one', ours, (t) => {
  const { box, call } = ofUser(t);
  box.prepare(['sh', '-c', 'id -u; cat /proc/self/uid_map /proc/self/setgroups; cat /proc/self/cgroup; exit 3']);
  const { code, out } = call('run', box.id);
  expect(code).toBe(3);
  expect(out.replace(/ +/g, ' ')).toMatch(new RegExp(`^0\n 0 ${USER} 1\ndeny\n`));
  expect(call('list', '-q').out).toBe('');
});

test('without root the whole lifecycle works', ours, (t) => {
  const { box, call } = ofUser(t);
  box.prepare(['sleep', '100']);
  expect(call('create', box.id)).toMatchObject({ code: 0 });
  expect(call('start', box.id)).toMatchObject({ code: 0, err: '' });
  expect(call('exec', box.id, 'sh', '-c', 'id -u; exit 5')).toMatchObject({ code: 5, out: '0\n' });
  expect(JSON.parse(call('state', box.id).out)).toMatchObject({ status: 'running' });
  expect(call('pause', box.id)).toMatchObject({ code: 1, err: expect.stringContaining('has no cgroup') });
  expect(call('delete', '--force', box.id)).toMatchObject({ code: 0 });
  expect(call('list', '-q').out).toBe('');
});

test('process.user.additionalGids: without root they are refused', ours, (t) => {
  const { box, call } = ofUser(t);
  Object.assign(box.config.process.user, { additionalGids: [7] });
  box.prepare(['true']);
  const { code, err } = call('run', box.id);
  expect(code).toBe(1);
  expect(err).toContain('/process/user/additionalGids');
});

test('linux.uidMappings: without root more than the own id is refused, and nothing is left', ours, (t) => {
  const { box, call } = ofUser(t);
  box.config.linux.uidMappings = [{ containerID: 0, hostID: USER, size: 2 }];
  box.prepare(['true']);
  const { code, err } = call('run', box.id);
  expect(code).toBe(1);
  expect(err).toMatch(/uid_map.*\/linux\/uidMappings.*own id/);
  expect(call('list', '-q').out).toBe('');
});

test('linux.cgroupsPath: without root a cgroup of the host cannot be made, and a limit is not dropped', ours, (t) => {
  const { box, call } = ofUser(t);
  box.config.linux.cgroupsPath = `/tsrun-tt-${box.id}`;
  box.prepare(['true']);
  expect(call('run', box.id)).toMatchObject({ code: 1, err: expect.stringContaining('EACCES') });
  delete box.config.linux.cgroupsPath;
  box.config.linux.resources = { unified: { 'cgroup.max.depth': '3' } };
  writeFileSync(`${box.bundle}/config.json`, JSON.stringify(box.config));
  expect(call('run', box.id)).toMatchObject({ code: 1, err: expect.stringContaining('EACCES') });
});
