// process.terminal where the master goes to a socket, and terminals whose other side behaves badly.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, container, expect, mountAt, test, until } from '../harness/index.ts';

// Node cannot receive descriptors. This listens, takes one with its text, says what it got, and copies what comes out.
const receiver = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
connection, _ = server.accept()
text, fds, _, _ = socket.recv_fds(connection, 1024, 1)
out = open(sys.argv[2], 'w', buffering=1)
out.write('%d %s %s\\n' % (len(fds), os.isatty(fds[0]), text.decode()))
while True:
    try:
        data = os.read(fds[0], 4096)
    except OSError:
        break
    if not data:
        break
    out.write(data.decode().replace('\\r', ''))
out.write('end\\n')
`;

async function consoleSocket(t: Parameters<typeof container>[0], box: Container): Promise<() => string> {
  writeFileSync(box.path('receiver.py'), receiver);
  const [socket, output] = [box.path('console.sock'), box.path('console.out')];
  const child = spawn('python3', [box.path('receiver.py'), socket, output], { stdio: 'ignore' });
  t.onTestFinished(() => void child.kill());
  await until('the receiver listens', () => existsSync(socket), 15);
  return () => (existsSync(output) ? readFileSync(output, 'utf8') : '');
}

test('--console-socket gets the master of the terminal', async (t) => {
  const box = container(t, { process: { terminal: true } });
  const output = await consoleSocket(t, box);
  box.prepare(['sh', '-c', 'tty; echo to the terminal; exec sleep 0.2']);
  const flags = ['--bundle', box.bundle, '--console-socket', box.path('console.sock'), box.id];
  expect(box.call('create', flags)).toMatchObject({ code: 0 });
  expect(box.start()).toMatchObject({ code: 0 });
  await until('the terminal is closed', () => output().includes('end\n'));
  expect(output()).toMatch(/^1 True .*\n\/dev\/(pts\/0|console)\nto the terminal\nend\n$/);
});

test('exec --tty --console-socket gets the master of a terminal of the container', async (t) => {
  const box = await container(t).started();
  const output = await consoleSocket(t, box);
  const flags = ['--tty', '--detach', '--console-socket', box.path('console.sock')];
  const script = 'tty; echo to the terminal; exec sleep 0.2';
  expect(box.exec(flags, 'sh', '-c', script)).toMatchObject({ code: 0, out: '' });
  await until('the terminal is closed', () => output().includes('end\n'));
  expect(output()).toMatch(/^1 True .*\n\/dev\/pts\/0\nto the terminal\nend\n$/);
});

test('exec --tty in the foreground is a terminal, and ends with the exit status', { only: ['tsrun'] }, async (t) => {
  const box = await container(t, { process: { user: { uid: 1000, gid: 1000 } } }).started();
  const result = box.exec(['--tty'], 'sh', '-c', 'tty; stat -c %u $(tty); echo $(ps -o tty= | wc -l) >&2; exit 9');
  expect(result.code).toBe(9);
  expect(result.out.replaceAll('\r', '')).toMatch(/^\/dev\/pts\/0\n1000\n/);
});

test('exec has no terminal unless asked for one, whatever the container has', async (t) => {
  const box = container(t, { process: { terminal: true } });
  await consoleSocket(t, box);
  box.prepare(['sleep', '100']);
  const flags = ['--bundle', box.bundle, '--console-socket', box.path('console.sock'), box.id];
  expect(box.call('create', flags)).toMatchObject({ code: 0 });
  expect(box.exec([], 'tty').out).toBe('not a tty\n');
});

test('exec --detach --tty without --console-socket is refused', {
  except: { crun: '1.8.1 goes on' },
}, async (t) => {
  const box = await container(t).started();
  const result = box.exec(['--tty', '--detach'], 'true');
  expect(result.code).not.toBe(0);
  expect(result.err).toMatch(/console/);
});

test('--console-socket may be a symbolic link', { except: { crun: 'crun 1.8 does not follow it' } }, async (t) => {
  const box = container(t, { process: { terminal: true } });
  const output = await consoleSocket(t, box);
  symlinkSync('console.sock', box.path('link.sock'));
  box.prepare(['true']);
  const flags = ['--bundle', box.bundle, '--console-socket', box.path('link.sock'), box.id];
  expect(box.call('create', flags)).toMatchObject({ code: 0 });
  await until('the terminal has come', () => output().startsWith('1 True'));
});

test('a created container with a terminal holds no descriptor of the host', { only: ['tsrun'] }, async (t) => {
  const box = container(t, { process: { terminal: true } });
  await consoleSocket(t, box);
  box.prepare(['sleep', '100']);
  const flags = ['--bundle', box.bundle, '--console-socket', box.path('console.sock'), box.id];
  expect(box.call('create', flags)).toMatchObject({ code: 0 });
  const { pid } = box.state();
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const expected = /^(\/dev\/pts\/\d+|socket:\[\d+\]|anon_inode:\[signalfd\])$/;
  expect(targets.filter((target) => !expected.test(target))).toEqual([]);
});

test('a terminal whose reader leaves does not end the container', { only: ['tsrun'] }, (t) => {
  const box = container(t, { process: { terminal: true } });
  box.prepare(['sh', '-c', 'i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; exit 6']);
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  const words = [command, ...args].map((word) => `'${word}'`).join(' ');
  const script = `${words} </dev/null | head -n 1; echo \${PIPESTATUS[0]}`;
  const result = spawnSync('bash', ['-c', script], { encoding: 'utf8', env: box.env() });
  expect(result.stdout.replaceAll('\r', '')).toBe('line 0\n6\n');
});

test('a slow reader of a terminal loses nothing', { only: ['tsrun'] }, (t) => {
  const box = container(t, { process: { terminal: true } });
  box.prepare(['sh', '-c', 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done']);
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  const words = [command, ...args].map((word) => `'${word}'`).join(' ');
  const result = spawnSync('bash', ['-c', `${words} </dev/null | (sleep 0.3; wc -l)`], {
    encoding: 'utf8',
    env: box.env(),
  });
  expect(result.stdout.trim()).toBe('20000');
});

test("SIGPIPE of the reader that left is not the program's", { only: ['tsrun'] }, (t) => {
  const box = container(t, { process: { terminal: true } });
  box.prepare([
    'sh',
    '-c',
    'trap "exit 99" PIPE; i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; exit 6',
  ]);
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  const words = [command, ...args].map((word) => `'${word}'`).join(' ');
  const script = `${words} </dev/null | head -n 1; echo \${PIPESTATUS[0]}`;
  const result = spawnSync('bash', ['-c', script], { encoding: 'utf8', env: box.env() });
  expect(result.stdout.replaceAll('\r', '')).toBe('line 0\n6\n');
});

test('a reader of a terminal that takes nothing keeps no signal from the program', { only: ['tsrun'] }, async (t) => {
  const box = container(t, { process: { terminal: true } });
  box.prepare([
    'sh',
    '-c',
    'trap "touch /caught; exit 7" TERM; x=xxxxxxxx; x=$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x; (while :; do echo $x$x$x$x; touch /wrote; done) & wait',
  ]);
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  // The shell itself does not write, so that its trap can run; Node does not read a pipe to which nobody listens.
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'], env: box.env() });
  t.onTestFinished(() => void child.kill('SIGKILL'));
  const written = () => statSync(join(box.rootfs, 'wrote'), { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  await until('nothing is written any more', () => Date.now() - written() > 300);
  child.kill('SIGTERM');
  await until('the program has caught it', () => existsSync(join(box.rootfs, 'caught')));
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.stdout.resume();
  expect(await ended).toBe(7);
});

test('closed standard descriptors are /dev/null inside, and nothing of the host', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'probe fd-targets >/out']);
  const [command, ...args] = box.argv('run', '--bundle', box.bundle, box.id);
  const words = [command, ...args].map((word) => `'${word}'`).join(' ');
  const result = spawnSync('sh', ['-c', `${words} <&- >&- 2>&-; echo $? >${box.path('code')}`], { env: box.env() });
  expect(result.status).toBe(0);
  expect(readFileSync(box.path('code'), 'utf8')).toBe('0\n');
  expect(readFileSync(`${box.rootfs}/out`, 'utf8')).toBe('0 /dev/null\n1 /out\n2 /dev/null\n');
});

test('iversion keeps the other flags of the mount', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  const options = ['nosuid', 'nodev', 'noexec', 'iversion'];
  box.config.mounts.push({ destination: '/data', type: 'tmpfs', source: 'tmpfs', options });
  const flags = mountAt(box.run('cat', '/proc/self/mountinfo').out, '/data').options;
  expect(flags).toEqual(expect.arrayContaining(['nosuid', 'nodev', 'noexec']));
});
