// Descriptors that go into a container, come out of it, or must do neither; and what it says of itself (sd_notify(3)).
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { container, expect, namespaces, stateRoot, test, until } from '../harness/index.ts';

type Context = Parameters<typeof container>[0];

/** Starts a program of Python, which can do with sockets what Node cannot; what it prints can be read. */
async function python(t: Context, program: string, socket: string): Promise<() => string> {
  const [file, output] = [`${socket}.py`, `${socket}.out`];
  writeFileSync(file, program);
  const child = spawn('sh', ['-c', `exec python3 -u ${file} ${socket} >${output} 2>&1`], { stdio: 'ignore' });
  t.onTestFinished(() => void child.kill('SIGKILL'));
  await until('the socket is there', () => existsSync(socket));
  return () => readFileSync(output, 'utf8');
}

const descriptorReceiver = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
connection, _ = server.accept()
text, fds, _, _ = socket.recv_fds(connection, 1024, 1)
pid = [line.split()[1] for line in open('/proc/self/fdinfo/%d' % fds[0]) if line.startswith('Pid:')]
print(text.decode(), pid)
`;

for (const [verb, word] of [
  ['run', 'standard'],
  ['exec', 'setns'],
] as const) {
  test(`--pidfd-socket of ${verb} gets a pidfd of the process`, { only: ['tsrun'] }, async (t) => {
    const box = container(t);
    const output = await python(t, descriptorReceiver, box.path('pidfd.sock'));
    const flags = ['--detach', '--pid-file', box.path('pid'), '--pidfd-socket', box.path('pidfd.sock')];
    if (verb === 'run') {
      expect(box.runWith(flags, 'sleep', '100').code).toBe(0);
    } else {
      await box.started();
      expect(box.exec(flags, 'sleep', '100').code).toBe(0);
    }
    await until('it came', () => output().includes('\n'));
    expect(output()).toBe(`${word} ['${readFileSync(box.path('pid'), 'utf8')}']\n`);
  });
}

// Descriptors of all kinds, up to high numbers, none of them closed on exec.
const leaky = [
  'bash',
  '-c',
  'exec 3</ 4</etc/passwd 5<>/dev/null 6</dev/zero 20</proc 77</sys 200</tmp; exec "$@"',
  'bash',
];

test('no descriptor of the caller reaches the container of run, create or exec', async (t) => {
  const inside = (text: string) => text.split('\n').filter((line) => /^\d/.test(line) && !/^[012] /.test(line));
  const box = container(t);
  box.prepare(['probe', 'fd-targets']);
  const ran = box.call('run', ['--bundle', box.bundle, box.id], { through: leaky });
  expect(ran.code).toBe(0);
  expect(inside(ran.out)).toEqual([]);

  const other = container(t);
  other.prepare(['sh', '-c', 'probe fd-targets; echo ready; sleep 100']);
  expect(other.call('create', ['--bundle', other.bundle, other.id], { through: leaky }).code).toBe(0);
  other.start();
  await other.says('ready');
  expect(inside(other.output())).toEqual([]);

  const third = other.call('exec', [other.id, 'probe', 'fd-targets'], { through: leaky });
  expect(third.code).toBe(0);
  expect(inside(third.out)).toEqual([]);
});

const activate = (pid: string, more = '') => [
  'sh',
  '-c',
  `exec 3</etc/passwd 4</etc/group 5</etc/hostname; LISTEN_FDS=2 LISTEN_PID=${pid} ${more} exec "$@"`,
  'sh',
];

test('sockets that the caller was started with go on to the container, which is process 1', {
  except: { crun: '1.8.1 looks at other variables' },
}, (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'echo $LISTEN_FDS $LISTEN_PID; probe fds']);
  const { code, out } = box.call('run', ['--bundle', box.bundle, box.id], { through: activate('$$') });
  expect(code).toBe(0);
  const [variables, ...fds] = out.split('\n');
  expect(variables).toBe('2 1');
  expect(
    fds
      .join(' ')
      .split(/\s+/)
      .filter((word) => /^\d+$/.test(word)),
  ).toEqual(['0', '1', '2', '3', '4']);
});

test('sockets for another process stay outside', { except: { crun: '1.8.1 does not look at LISTEN_PID' } }, (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'echo "[$LISTEN_FDS$LISTEN_PID]"; probe fd-targets']);
  const { out } = box.call('run', ['--bundle', box.bundle, box.id], { through: activate('1') });
  expect(out).toContain('[]\n');
  expect(out).not.toMatch(/^3 /m);
});

test('names of the sockets go with them, and --preserve-fds counts from behind them', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'echo $LISTEN_FDNAMES; probe fds']);
  const { code, out } = box.call('run', ['--bundle', box.bundle, '--preserve-fds', '1', box.id], {
    through: activate('$$', 'LISTEN_FDNAMES=web:admin'),
  });
  expect(code).toBe(0);
  expect(out.split('\n')[0]).toBe('web:admin');
  expect(out).toMatch(/\b5\b/);
});

const manager = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
while True:
    text, fds, _, _ = socket.recv_fds(server, 4096, 4)
    print(text.decode().replace('\\n', '|'), len(fds))
    for fd in fds:
        os.close(fd)
`;

test('NOTIFY_SOCKET: run --detach returns when the container is ready, and names its process', {
  except: { crun: '1.8.1 sends no MAINPID', runc: '1.1.5 sends no BARRIER' },
}, async (t) => {
  const box = container(t);
  const said = await python(t, manager, box.path('manager.sock'));
  box.prepare(['sh', '-c', 'sleep 0.3; probe notify READY=1; exec sleep 100']);
  const env = { NOTIFY_SOCKET: box.path('manager.sock') };
  expect(box.call('run', ['--detach', '--bundle', box.bundle, box.id], { env }).code).toBe(0);
  await until('the manager heard it', () => said().includes('BARRIER'));
  expect(
    said()
      .split('\n')
      .map((line) => line.replace('|', '')),
  ).toEqual(['READY=1 0', `MAINPID=${box.state().pid} 0`, 'BARRIER=1 1', '']);
});

test('NOTIFY_SOCKET: a container of a user namespace reaches it too', { only: ['tsrun'] }, async (t) => {
  const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const box = container(
    t,
    { linux: { ...namespaces({ add: ['user'] }).linux, uidMappings: mapping, gidMappings: mapping } },
    { owner: 100_000 },
  );
  const said = await python(t, manager, box.path('manager.sock'));
  box.prepare(['probe', 'notify', 'READY=1']);
  const env = { NOTIFY_SOCKET: box.path('manager.sock') };
  expect(box.call('run', ['--bundle', box.bundle, box.id], { env })).toMatchObject({ code: 0, err: '' });
  expect(said()).toContain('READY=1');
});

test('NOTIFY_SOCKET: start returns when the container is ready', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  const said = await python(t, manager, box.path('manager.sock'));
  box.prepare(['sh', '-c', 'sleep 0.3; probe notify READY=1; exec sleep 100']);
  const env = { NOTIFY_SOCKET: box.path('manager.sock') };
  expect(box.call('create', ['--bundle', box.bundle, box.id], { env }).code).toBe(0);
  expect(statSync(`${stateRoot}/${box.id}`).mode & 0o777).toBe(0o700);
  expect(box.call('start', [box.id], { env }).code).toBe(0);
  expect(said()).toContain('READY=1');
  expect(said()).toContain(`MAINPID=${box.state().pid}`);
});

test('NOTIFY_SOCKET: in the foreground what may be said goes on, and nothing else', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  const said = await python(t, manager, box.path('manager.sock'));
  const messages = ['STATUS=half way\nMAINPID=1', 'FDSTORE=1', 'READY=1', 'RELOADING=1', 'STOPPING=1'];
  box.prepare(['sh', '-c', messages.map((text) => `probe notify '${text}'`).join('; ')]);
  const env = { NOTIFY_SOCKET: box.path('manager.sock') };
  expect(box.call('run', ['--bundle', box.bundle, box.id], { env })).toMatchObject({ code: 0, out: '' });
  await until('the last one came', () => said().includes('STOPPING'));
  expect(said()).toBe('STATUS=half way 0\nREADY=1 0\nRELOADING=1 0\nSTOPPING=1 0\n');
});

test('NOTIFY_SOCKET: a container that ends without a word ends the wait', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  await python(t, manager, box.path('manager.sock'));
  box.prepare(['sh', '-c', 'sleep 0.2']);
  const env = { NOTIFY_SOCKET: box.path('manager.sock') };
  expect(box.call('run', ['--detach', '--bundle', box.bundle, box.id], { env }).code).toBe(0);
});

test('NOTIFY_SOCKET: a manager that is not there is an error, and nothing is left', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['true']);
  const env = { NOTIFY_SOCKET: box.path('nobody.sock') };
  const result = box.call('run', ['--bundle', box.bundle, box.id], { env });
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/NOTIFY_SOCKET.*no such file or directory/);
  expect(box.leaks()).toEqual([]);
});

test('the container can neither add to the directory of its socket nor take from it', {
  only: ['tsrun'],
}, async (t) => {
  const box = container(t);
  await python(t, manager, box.path('manager.sock'));
  box.prepare(['sh', '-c', 'touch /run/notify/x; rm -f /run/notify/notify.sock; ls /run/notify']);
  const env = { NOTIFY_SOCKET: box.path('manager.sock') };
  expect(box.call('run', ['--bundle', box.bundle, box.id], { env }).out).toBe('notify.sock\n');
});
