// What the tests of engines share. They run in scripts/vm only: engines keep one state for the whole machine, and change
// its network. docs/engines.md says how they are told of the runtime; its blocks are taken as they stand there.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { arch } from 'node:process';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { makeRootfs } from '../harness/rootfs.ts';
import { slowness } from '../harness/wait.ts';
import { projectDir, type Result, runtime, scratch } from '../harness/index.ts';

/** The runtime under test as one file: engines are told a path. */
export const program = runtime.command[0];

export const image = 'localhost/tsrun-test:latest';

/** With all that is to be said to an engine's command, and its whole answer; a hanging one is ended. */
export function call(command: string, ...args: string[]): Result {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 60_000 * slowness,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error) throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`);
  return { code: status ?? (signal === null ? -1 : 128), out: stdout, err: stderr };
}

/** Where failure is none of the test's business: its output without the last line's end. */
export function must(command: string, ...args: string[]): string {
  const result = call(command, ...args);
  if (result.code !== 0)
    throw new Error(`${command} ${args.join(' ')}: exit ${result.code}\n${result.out}${result.err}`);
  return result.out.trimEnd();
}

/** Puts a configuration of docs/engines.md where the page says, and returns that path. */
export function configure(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${must(join(projectDir, 'scripts/engine-config'), path, program)}\n`);
  return path;
}

/** What engines store cannot lie on the machine's root, an overlay: another overlay's layers are none of its own. */
export function storage(path: string): void {
  mkdirSync(path, { recursive: true });
  must('mount', '-t', 'tmpfs', 'storage', path);
}

/** Until this test file ends. Its output is in the scratch directory, and in the error if it does not answer in time. */
export function daemon(name: string, args: string[], answers: () => boolean): void {
  mkdirSync(scratch, { recursive: true });
  const log = join(scratch, `${name}.log`);
  const output = openSync(log, 'w');
  const child = spawn(name, args, { stdio: ['ignore', output, output] });
  afterAll(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
  }, 30_000 * slowness);
  const deadline = Date.now() + 60_000 * slowness;
  while (!answers())
    if (Date.now() > deadline) throw new Error(`${name} does not answer:\n${readFileSync(log, 'utf8').slice(-4000)}`);
}

/** An image with the root file system of all tests, in the one form that podman, Docker and containerd can load. */
export function archive(reference = image, command: readonly string[] = ['sh']): string {
  const parts = ['image', 'image-root', 'image.tar'].map((part) => `${reference.replace(/\W/g, '-')}-${part}`);
  const [dir, rootfs, file] = parts.map((name) => join(scratch, name)) as [string, string, string];
  mkdirSync(dir, { recursive: true });
  makeRootfs(rootfs);
  writeFileSync(join(rootfs, 'etc/plain'), 'not a program\n', { mode: 0o644 });
  must('tar', '-C', rootfs, '-cf', join(dir, 'layer.tar'), '.');
  const layer = createHash('sha256')
    .update(readFileSync(join(dir, 'layer.tar')))
    .digest('hex');
  const config = {
    architecture: arch === 'x64' ? 'amd64' : arch,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: command },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
    history: [{ created_by: 'test' }],
  };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [reference], Layers: ['layer.tar'] }];
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify(manifest));
  must('tar', '-C', dir, '-cf', file, 'manifest.json', 'config.json', 'layer.tar');
  return file;
}

// A terminal of 30 rows and 100 columns, on which a shell is asked for its size before and after the window grows.
const terminal = `
import fcntl, os, pty, select, struct, sys, termios, time
def size(rows, columns): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 100, 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
seen, deadline = '', time.time() + float(sys.argv[1])
def until(text):
    global seen
    while text not in seen:
        if time.time() > deadline: sys.exit('no %r in %r' % (text, seen))
        if select.select([fd], [], [], 1)[0]:
            try: seen += os.read(fd, 4096).decode()
            except OSError: sys.exit('ended without %r: %r' % (text, seen))
def say(text): os.write(fd, (text + '\\r').encode())
# The size travels through the engine, some time after the shell has begun: asked for until it is there. Docker's client
# gives up soon on a machine under load, and tells it only when the window changes again.
def is_told(rows, columns):
    global seen
    while '%d %d' % (rows, columns) not in seen:
        say('stty size; echo as""ked'); until('asked'); seen = seen.replace('asked', '', 1)
        size(rows, columns + 1); size(rows, columns)
say('echo rea""dy'); until('ready')
is_told(30, 100)
is_told(40, 120)
say('exit 7')
while True:
    try:
        if not os.read(fd, 4096): break
    except OSError: break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** The exit status of a shell that is started so, has a terminal of the right size, and is told to end with 7. */
export function talk(command: string, ...args: string[]): Result {
  return call('python3', '-c', terminal, String(40 * slowness), command, ...args);
}
