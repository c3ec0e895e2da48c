// Where tsrun itself stands: in a chroot, in a root with nothing in it, on a host whose mounts are shared, in a library.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { container, expect, projectDir, test } from '../harness/index.ts';

const executable = join(projectDir, 'dist/tsrun');

/** The bundle of a container, and tsrun, alone in an otherwise empty root. */
function emptyRoot(box: ReturnType<typeof container>): string {
  box.config.process.args = ['sh', '-c', 'echo greeting; exit 5'];
  box.write();
  const root = box.path('root');
  mkdirSync(join(root, 'bundle'), { recursive: true });
  cpSync(box.bundle, join(root, 'bundle'), { recursive: true, verbatimSymlinks: true });
  copyFileSync(executable, join(root, 'tsrun'));
  return root;
}

test('alone in an empty root, without /proc and /dev, it runs a bundle and leaves nothing', {
  only: ['tsrun'],
}, (t) => {
  const root = emptyRoot(container(t));
  const result = spawnSync('chroot', [root, '/tsrun', 'run', '/bundle'], { encoding: 'utf8' });
  expect(result).toMatchObject({ status: 5, stdout: 'greeting\n', stderr: '' });
  expect(readdirSync(join(root, 'run/tsrun'))).toEqual([]);
});

test('a container that was made in a chroot cannot leave it through its own mount namespace', {
  only: ['tsrun'],
}, (t) => {
  const box = container(t);
  box.config.process.args = ['true'];
  const root = emptyRoot(box);
  const config = join(root, 'bundle/config.json');
  const spec = JSON.parse(readFileSync(config, 'utf8'));
  // setns(2) leads to the root of the mount namespace: it must be the container's own.
  spec.process.args = ['probe', 'nsroot'];
  spec.process.capabilities = Object.fromEntries(
    ['bounding', 'effective', 'permitted'].map((set) => [set, ['CAP_SYS_ADMIN', 'CAP_SYS_CHROOT']]),
  );
  spawnSync('sh', ['-c', `cat > ${config}`], { input: JSON.stringify(spec) });
  const result = spawnSync('chroot', [root, '/tsrun', 'run', '/bundle'], { encoding: 'utf8' });
  expect(result).toMatchObject({ status: 0, stdout: 'same\n' });
});

for (const [name, changes] of [
  ['a plain container', {}],
  ['rootfsPropagation shared', { linux: { rootfsPropagation: 'shared' } }],
  ['rootfsPropagation rshared', { linux: { rootfsPropagation: 'rshared' } }],
] as const) {
  test(`on a host with shared mounts, ${name} adds no mount to the host`, { only: ['tsrun'] }, (t) => {
    const box = container(t, { ...changes, process: { args: ['true'] } });
    box.write();
    const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
    const quoted = [command, ...args].map((word) => `'${word}'`).join(' ');
    const script = `mount --make-rshared /; cat /proc/self/mountinfo | wc -l; ${quoted}; echo $?; cat /proc/self/mountinfo | wc -l`;
    const result = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8', env: box.env() });
    const [before, code, after] = result.stdout.trim().split('\n');
    expect(result.stderr).toBe('');
    expect({ code, after }).toEqual({ code: '0', after: before });
  });
}

test('a user namespace on a host with shared mounts adds no mount to the host', { only: ['tsrun'] }, (t) => {
  const mappings = [{ containerID: 0, hostID: 0, size: 65536 }];
  const box = container(t, { process: { args: ['true'] } });
  box.config.linux.namespaces.push({ type: 'user' });
  box.config.linux.uidMappings = mappings;
  box.config.linux.gidMappings = mappings;
  box.write();
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  const quoted = [command, ...args].map((word) => `'${word}'`).join(' ');
  const script = `mount --make-rshared /; cat /proc/self/mountinfo | wc -l; ${quoted}; echo $?; cat /proc/self/mountinfo | wc -l`;
  const result = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8', env: box.env() });
  const [before, code, after] = result.stdout.trim().split('\n');
  expect({ code, after }).toEqual({ code: '0', after: before });
});

test('the library runs a container in the process of its caller', { only: ['tsrun'] }, (t) => {
  const box = container(t, { process: { args: ['sh', '-c', 'exit 9'] } });
  box.write();
  const program = `
    import { Runtime } from '${projectDir}/dist/index.js';
    const runtime = new Runtime({ root: '${box.path('library')}', cgroupManager: 'cgroupfs', warn: console.error, error: console.error });
    const options = { bundle: '${box.bundle}', config: 'config.json', noPivot: false, noNewKeyring: false, preserveFds: 0, env: [],
      pidFile: undefined, consoleSocket: undefined, pidfdSocket: undefined, observe: undefined };
    const code = await runtime.run('${box.id}', { ...options, detach: false, keep: false, subreaper: true });
    console.log(code, runtime.list().length);`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(result).toMatchObject({ status: 0, stdout: '9 0\n' });
  expect(existsSync(box.path(`library/${box.id}`))).toBe(false);
});

test('the executable is static, below 5 MB, and needs no library', { only: ['tsrun'] }, () => {
  const ldd = spawnSync('ldd', [executable], { encoding: 'utf8' });
  expect(`${ldd.stdout}${ldd.stderr}`).toContain('not a dynamic executable');
  expect(readFileSync(executable).length).toBeLessThan(5 << 20);
});
