// What goes in and comes out of containers under containerd-shim-tsrun-v2.
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import type { TestContext } from 'vitest';
import { expect, test as anyTest, until } from '../harness/index.ts';
import { slowness } from '../harness/wait.ts';
import { type Shim, shim } from '../harness/shim.ts';

const test = (name: string, body: (t: TestContext) => Promise<void>): void => anyTest(name, { only: ['tsrun'] }, body);

function prepared(t: TestContext, args: string[], terminal = false): Shim {
  const s = shim(t, { process: { args, terminal } });
  s.write();
  return s;
}

interface Running {
  end: Promise<number>;
}

/** A promise in a promise would be waited for as one. */
async function started(s: Shim, names: Parameters<Shim['create']>[0]): Promise<Running> {
  await s.create(names);
  const end = s.client.call('Wait', { id: s.id }).then(({ exitStatus }) => exitStatus);
  end.catch(() => {});
  await s.client.call('Start', { id: s.id });
  return { end };
}

test('the input of a client that leaves goes on until CloseIO', async (t) => {
  const s = prepared(t, ['cat']);
  const streams = s.streams();
  const { end } = await started(s, streams.names);
  writeFileSync(streams.names.stdin, 'one ');
  writeFileSync(streams.names.stdin, 'two');
  await s.client.call('CloseIO', { id: s.id, stdin: true });
  expect(await end).toBe(0);
  expect(await streams.out()).toBe('one two');
});

test('a reader that leaves breaks nothing, and another finds what was written meanwhile', async (t) => {
  const s = prepared(t, ['sh', '-c', 'echo first; read line; echo second; exit 5']);
  const streams = s.streams();
  const { end } = await started(s, streams.names);
  await until('something has come out', () => streams.texts[0] === 'first\n');
  streams.readers[0]?.kill('SIGKILL');
  await streams.out();
  writeFileSync(streams.names.stdin, '\n');
  expect(await end).toBe(5);
  const again = openSync(streams.names.stdout, constants.O_RDONLY | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(100);
  expect(bytes.toString('utf8', 0, readSync(again, bytes))).toBe('second\n');
  closeSync(again);
  await s.client.call('Delete', { id: s.id });
});

// A client of containerd that still opens the FIFO when it hears of the end gives up, and what was written is lost.
for (const terminal of [false, true])
  test(`the end is told when what was written ${terminal ? 'to a terminal ' : ''}has been read, or half a second later`, async (t) => {
    const s = prepared(t, ['echo', 'text'], terminal);
    const streams = s.streams(terminal);
    for (const reader of streams.readers) reader.kill('SIGKILL');
    await Promise.all([streams.out(), streams.err()]);
    const readers = [streams.names.stdout, streams.names.stderr]
      .filter((path) => path !== '')
      .map((path) => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    const { end } = await started(s, streams.names);
    const { pid } = await s.client.call('State', { id: s.id });
    const begun = performance.now();
    const told = end.then(() => performance.now());
    await until('it has ended', () => !existsSync(`/proc/${pid}`));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const read = performance.now();
    const bytes = Buffer.alloc(100);
    expect(bytes.toString('utf8', 0, readSync(readers[0] ?? -1, bytes))).toBe(terminal ? 'text\r\n' : 'text\n');
    expect((await told) >= read || (await told) - begun >= 500).toBe(true);
    expect((await told) - read).toBeLessThan(400 * slowness);
    for (const reader of readers) closeSync(reader);
    await s.client.call('Delete', { id: s.id });
  });

test('50 MB come through as they are', async (t) => {
  const s = prepared(t, ['sh', '-c', 'dd if=/dev/zero bs=1M count=50 2>/dev/null | tr "\\0" x']);
  const streams = s.streams();
  const sum = spawn('sh', ['-c', `sha256sum < ${streams.names.stderr}`], { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  sum.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const ended = new Promise((resolve) => sum.once('close', resolve));
  // Of two readers of a FIFO each would get a part.
  streams.readers[1]?.kill('SIGKILL');
  await streams.err();
  await (await started(s, { ...streams.names, stdout: streams.names.stderr, stderr: '' })).end;
  await ended;
  const expected = spawnSync('sh', ['-c', 'dd if=/dev/zero bs=1M count=50 2>/dev/null | tr "\\0" x | sha256sum']);
  expect(said).toBe(expected.stdout.toString());
});

test('a terminal: its size, both ways, and the end of its output', async (t) => {
  const s = prepared(t, ['sh', '-c', 'tty; stty -echo; read line; stty size; echo "got $line"; exit 3'], true);
  const streams = s.streams(true);
  const { end } = await started(s, streams.names);
  await s.client.call('ResizePty', { id: s.id, width: 120, height: 40 });
  writeFileSync(streams.names.stdin, 'text\n');
  expect(await end).toBe(3);
  // Until the shell has turned the echo off, what is typed is seen too.
  expect((await streams.out()).replace(/^text\r\n/m, '')).toBe('/dev/pts/0\r\n40 120\r\ngot text\r\n');
  expect((await s.client.call('State', { id: s.id })).terminal).toBe(true);
  await s.client.call('Delete', { id: s.id });
});

test('an exec with a terminal', async (t) => {
  const s = prepared(t, ['sleep', '1000']);
  await started(s, {});
  const streams = s.streams(true);
  await s.exec('tty', ['sh', '-c', 'tty; exit 4'], streams.names);
  await s.client.call('Start', { id: s.id, execId: 'tty' });
  expect((await s.client.call('Wait', { id: s.id, execId: 'tty' })).exitStatus).toBe(4);
  expect(await streams.out()).toMatch(/^\/dev\/pts\/\d+\r\n$/);
  await s.client.call('Delete', { id: s.id, execId: 'tty' });
});

test('a terminal whose output nobody reads holds up its own container only, and not the end of that', async (t) => {
  const s = prepared(t, ['sh', '-c', 'while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done'], true);
  const streams = s.streams(true);
  await s.create(streams.names);
  streams.readers[0]?.kill('SIGSTOP');
  await s.client.call('Start', { id: s.id });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await s.client.call('State', { id: s.id }, 1000)).status).toBe(2);
  await s.client.call('Kill', { id: s.id, signal: 9 });
  expect((await s.client.call('Wait', { id: s.id })).exitStatus).toBe(137);
  streams.readers[0]?.kill('SIGCONT');
  expect((await streams.out()).length).toBeGreaterThan(4096);
  await s.client.call('Delete', { id: s.id });
});

test('file:// takes both outputs, behind what is there', async (t) => {
  const s = prepared(t, ['sh', '-c', 'echo out; echo err >&2']);
  const file = s.box.path('logs/of/it.log');
  await (await started(s, { stdout: `file://${file}`, stderr: `file://${file}` })).end;
  await s.client.call('Delete', { id: s.id });
  expect(readFileSync(file, 'utf8')).toBe('out\nerr\n');
});

test('binary:// starts a program that is told whose output it gets, and that ends with it', async (t) => {
  const s = prepared(t, ['sh', '-c', 'echo out; echo err >&2']);
  const [program, file] = [s.box.path('logger'), s.box.path('logged')];
  const script = `#!/bin/sh\nexec 5>&-\n{ echo "$@ $CONTAINER_ID $CONTAINER_NAMESPACE"; cat <&3; cat <&4; } > ${file}\n`;
  writeFileSync(program, script, { mode: 0o755 });
  await (await started(s, { stdout: `binary://${program}?key=some%20value`, stderr: '' })).end;
  await until('all is logged', () => readFileSync(file, 'utf8').includes('err'));
  await s.client.call('Delete', { id: s.id });
  expect(readFileSync(file, 'utf8')).toBe(`key some value ${s.id} test\nout\nerr\n`);
});

test('a scheme that is not known is an error that names it', async (t) => {
  const s = prepared(t, ['true']);
  await expect(s.create({ stdout: 'other:///x' })).rejects.toThrow(/unknown STDIO scheme "other"/);
});

test('input that is already there when the process starts is read', async (t) => {
  const s = prepared(t, ['sh', '-c', 'head -n 1']);
  const streams = s.streams();
  const writer = openSync(streams.names.stdin, constants.O_RDWR);
  writeSync(writer, 'early\n');
  await (await started(s, streams.names)).end;
  closeSync(writer);
  expect(await streams.out()).toBe('early\n');
});
