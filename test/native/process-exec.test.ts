// process.args, env, cwd and stdio: which program starts, with what, and where its bytes go.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { container, expect, facts, inside, probe, stateRoot, test } from '../harness/index.ts';

// Proves: process.args
test('args reach the program as they are', (t) => {
  const args = ['', ' ', 'a b', '"', "'", '$HOME', '\\', 'ümlaut', '-x', '\n'];
  expect(inside(t, {}, 'printf', '[%s]', ...args)).toBe(args.map((arg) => `[${arg}]`).join(''));
});

test('args[0] is looked up in the PATH of the container, in order', (t) => {
  const box = container(t, { process: { env: ['PATH=/nowhere:/first:/second:/bin'] } });
  for (const dir of ['first', 'second']) {
    mkdirSync(join(box.rootfs, dir));
    writeFileSync(join(box.rootfs, dir, 'hello'), `#!/bin/sh\necho ${dir}\n`, { mode: 0o755 });
  }
  expect(box.run('hello')).toMatchObject({ code: 0, out: 'first\n' });
});

test('a file in PATH that cannot be executed is passed over', (t) => {
  const box = container(t, { process: { env: ['PATH=/first:/bin'] } });
  mkdirSync(join(box.rootfs, 'first'));
  writeFileSync(join(box.rootfs, 'first/echo'), '', { mode: 0o644 });
  expect(box.run('echo', 'found')).toMatchObject({ code: 0, out: 'found\n' });
});

test('an absolute args[0] needs no PATH', (t) => {
  expect(inside(t, { process: { env: [] } }, '/bin/busybox', 'echo', 'absolute')).toBe('absolute\n');
});

test('a relative args[0] with a slash is relative to cwd', (t) => {
  expect(inside(t, { process: { cwd: '/bin' } }, './busybox', 'echo', 'relative')).toBe('relative\n');
});

test('the PATH of the caller plays no part', (t) => {
  const box = container(t, { process: { env: ['PATH=/nowhere'] } });
  expect(box.run('sh').code).toBe(1);
});

const missing = [
  ['a name that is nowhere in PATH', 'no-such-program', /executable file not found in \$PATH/],
  ['an absolute path that does not exist', '/no/such/program', /no such file or directory/i],
  ['a file without the execute bit', '/etc/passwd', /permission denied/i],
  ['a directory', '/etc', /is a directory|permission denied/i],
] as const;

for (const [what, program, words] of missing) {
  for (const verb of ['create', 'run'] as const) {
    test(`${verb} of ${what} fails in the words that engines look for`, {
      except: program === '/no/such/program' ? {} : { crun: 'it words it differently, or at start only' },
    }, (t) => {
      const box = container(t);
      const result = box[verb](program);
      expect(result).toMatchObject({ code: 1, out: '' });
      expect(result.err).toMatch(words);
      expect(result.err).toContain(program);
      expect(box.leaks()).toEqual([]);
    });
  }
}

test('a program whose interpreter is missing fails as no such file', (t) => {
  const box = container(t);
  writeFileSync(join(box.rootfs, 'bin/script'), '#!/no/interpreter\n', { mode: 0o755 });
  const result = box.run('script');
  expect(result.code).toBeGreaterThan(0);
  expect(result.err).toMatch(/no such file or directory/i);
});

test('a program of an unknown format fails as an exec format error', (t) => {
  const box = container(t);
  writeFileSync(join(box.rootfs, 'bin/garbage'), 'garbage', { mode: 0o755 });
  const result = box.run('garbage');
  expect(result.code).toBeGreaterThan(0);
  expect(result.err).toMatch(/exec format error/i);
});

// Proves: process.env
test('env is exactly what the config says, plus HOME', (t) => {
  const env = ['PATH=/bin', 'A=1', 'B=two words', 'EMPTY=', 'EQ=a=b'];
  const lines = inside(t, { process: { env } }, 'env').trim().split('\n');
  expect(lines.filter((line) => !line.startsWith('HOME=')).sort()).toEqual([...env].sort());
});

test('of a variable that is given twice the last one counts', (t) => {
  const lines = inside(t, { process: { env: ['PATH=/bin', 'A=1', 'A=2'] } }, 'env')
    .trim()
    .split('\n');
  expect(lines.filter((line) => line.startsWith('A='))).toEqual(['A=2']);
});

test('HOME comes from the passwd file of the container', (t) => {
  expect(inside(t, { process: { user: { uid: 1000, gid: 1000 } } }, 'sh', '-c', 'echo $HOME')).toBe('/home/user\n');
});

test('a HOME in env is left alone', (t) => {
  expect(inside(t, { process: { env: ['PATH=/bin', 'HOME=/tmp'] } }, 'sh', '-c', 'echo $HOME')).toBe('/tmp\n');
});

// Proves: process.cwd
test('cwd is where the program starts', (t) => {
  expect(inside(t, { process: { cwd: '/tmp' } }, 'pwd')).toBe('/tmp\n');
});

test('a cwd that is missing is created', (t) => {
  expect(inside(t, { process: { cwd: '/made/for/me' } }, 'pwd')).toBe('/made/for/me\n');
});

test('a cwd that is a file is refused', (t) => {
  const box = container(t, { process: { cwd: '/etc/passwd' } });
  const result = box.run('pwd');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toMatch(/not a directory/i);
});

test('a cwd that only the user may enter works for that user', (t) => {
  const box = container(t, { process: { cwd: '/home/user', user: { uid: 1000, gid: 1000 } } });
  mkdirSync(join(box.rootfs, 'home/user'), { recursive: true });
  box.giveTo(1000);
  chmodSync(join(box.rootfs, 'home/user'), 0o700);
  expect(box.run('pwd')).toMatchObject({ code: 0, out: '/home/user\n' });
});

test('a cwd through a symlink stays in the container', (t) => {
  const box = container(t, { process: { cwd: '/link/sub' } });
  symlinkSync('/../../../tmp', join(box.rootfs, 'link'));
  expect(box.run('sh', '-c', 'echo > here; ls /tmp/sub')).toMatchObject({ code: 0, out: 'here\n' });
});

test('binary data passes through stdin and stdout pipes untouched', (t) => {
  const box = container(t);
  box.prepare(['cat']);
  const input = randomBytes(3_000_000);
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  const { status, stdout, stderr } = spawnSync(command, args, { input, maxBuffer: 1e8, env: box.env() });
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
  expect(stdout.equals(input)).toBe(true);
});

test('stdout and stderr stay apart', (t) => {
  const result = container(t).run('sh', '-c', 'echo one; echo two >&2');
  expect(result).toEqual({ code: 0, out: 'one\n', err: 'two\n' });
});

test('stdin from a file is read by the program', (t) => {
  const box = container(t);
  box.prepare(['cat']);
  writeFileSync(box.path('input'), 'from a file');
  expect(box.call('run', ['--bundle', box.bundle, box.id], { input: box.path('input') })).toMatchObject({
    code: 0,
    out: 'from a file',
  });
});

test('with stdin closed the program still runs', { except: { crun: 'crun 1.8 fails' } }, (t) => {
  const box = container(t);
  box.prepare(['echo', 'fine']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['sh', '-c', 'exec "$@" <&-', 'sh'] });
  expect(result).toMatchObject({ code: 0, out: 'fine\n' });
});

test('with all of stdio closed no file of the runtime takes its place', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'probe fd-targets > /result']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh'],
  });
  expect(result.code).toBe(0);
  const targets = facts(readFileSync(join(box.rootfs, 'result'), 'utf8'));
  for (const fd of ['0', '2']) expect(targets[fd] ?? '/dev/null').toBe('/dev/null');
});

test('the program has the descriptors 0, 1 and 2 and no other', (t) => {
  expect(inside(t, {}, 'probe', 'fds').trim()).toBe('0 1 2');
});

test('fifty descriptors that the caller leaks are not seen inside', (t) => {
  const box = container(t);
  box.prepare(['probe', 'fds']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: [probe, 'leak-fds', '50', '/'] });
  expect(result).toMatchObject({ code: 0, out: '0 1 2 \n' });
});

test('--preserve-fds hands on exactly that many', (t) => {
  const box = container(t);
  box.prepare(['probe', 'fds']);
  const result = box.call('run', ['--bundle', box.bundle, '--preserve-fds', '2', box.id], {
    through: [probe, 'leak-fds', '5', '/'],
  });
  expect(result).toMatchObject({ code: 0, out: '0 1 2 3 4 \n' });
});

test('--preserve-fds with more descriptors than the limit of the program still starts', (t) => {
  const box = container(t);
  box.config.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 100 }];
  box.prepare(['true']);
  const through = ['bash', '-c', 'for i in {3..202}; do eval "exec $i</dev/null"; done; exec "$@"', 'bash'];
  expect(box.call('create', ['--bundle', box.bundle, '--preserve-fds', '200', box.id], { through }).code).toBe(0);
  expect(box.call('start', [box.id], { timeout: 5000 })).toMatchObject({ code: 0 });
});

test('ignored and blocked signals of the caller do not reach the program', {
  except: { runc: 'Go restores what it found' },
}, (t) => {
  const box = container(t);
  box.prepare(['probe', 'signals']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: [probe, 'bad-signals'] });
  expect(result).toMatchObject({ code: 0, out: 'ignored\nblocked\n' });
});

test('the runtime itself ignores no signal on behalf of the program', (t) => {
  expect(inside(t, {}, 'probe', 'signals')).toBe('ignored\nblocked\n');
});

test('a created container holds no descriptor of the host but its stdio', (t) => {
  const box = container(t).created('sleep', '100');
  const links = spawnSync('ls', ['-l', `/proc/${box.state().pid}/fd`], { encoding: 'utf8' }).stdout;
  const outside = links
    .split('\n')
    .map((line) => line.split(' -> ')[1] ?? '')
    .filter((target) => target.startsWith('/') && !target.startsWith(stateRoot));
  expect(
    outside.filter((target) => !target.startsWith(box.dir) && target !== '/dev/null' && !target.startsWith('/proc')),
  ).toEqual([]);
});
