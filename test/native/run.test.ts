// `run`: foreground and detached, exit codes, signals on their way in, and the flags of its own.
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { container, expect, runtime, stateRoot, test, until } from '../harness/index.ts';

test('run ends with the exit code of the program', (t) => {
  expect(container(t).run('sh', '-c', 'exit 7')).toEqual({ code: 7, out: '', err: '' });
});

for (const code of [0, 1, 2, 126, 127, 128, 254, 255]) {
  test(`exit code ${code} arrives unchanged`, (t) => {
    expect(container(t).run('probe', 'exit', String(code)).code).toBe(code);
  });
}

for (const [name, number] of [
  ['KILL', 9],
  ['TERM', 15],
  ['ABRT', 6],
] as const) {
  test(`a program that dies of SIG${name} ends run with ${128 + number}`, { timeout: 10_000 }, async (t) => {
    // Pid 1 of a namespace cannot be ended by its own default-action signals, so this one has the host's namespace.
    const box = container(t, { linux: { namespaces: [{ type: 'mount' }, { type: 'ipc' }, { type: 'uts' }] } });
    expect(box.run('probe', 'raise', String(number)).code).toBe(128 + number);
  });
}

test('killed from outside with KILL, run ends with 137 and leaves nothing', async (t) => {
  const box = container(t);
  const { done } = box.spawnRun(['probe', 'sleep']);
  await box.says('ready');
  expect(box.kill('KILL').code).toBe(0);
  expect((await done).code).toBe(137);
  expect(box.list('-q').out).toBe('');
  expect(box.leaks()).toEqual([]);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGALRM'] as const) {
  test(`${signal} to a foreground run reaches pid 1`, async (t) => {
    const box = container(t);
    const { child, done } = box.spawnRun(['probe', 'catch', '12']);
    await box.says('ready');
    child.kill(signal);
    if (signal !== 'SIGUSR2') {
      await until(`${signal} arrives`, () => /got \d+/.test(box.output()));
      child.kill('SIGUSR2');
    }
    expect((await done).code).toBe(0);
    expect(box.output()).toContain(`got ${constants.signals[signal]}\n`);
  });
}

test('signals that are sent at once all arrive, in a foreground run', async (t) => {
  const box = container(t);
  const { child, done } = box.spawnRun(['probe', 'catch', '15']);
  await box.says('ready');
  for (const signal of ['SIGUSR1', 'SIGHUP', 'SIGINT'] as const) child.kill(signal);
  for (const number of [10, 1, 2]) await box.says(`got ${number}\n`);
  child.kill('SIGTERM');
  expect((await done).code).toBe(0);
});

test('run --detach returns while the program runs', async (t) => {
  const box = container(t);
  const result = box.runWith(['--detach'], 'probe', 'sleep');
  expect(result).toMatchObject({ code: 0, err: '' });
  expect(box.state().status).toBe('running');
  await box.says('ready');
});

test('run --detach keeps a container that has ended until it is deleted', async (t) => {
  const box = container(t);
  box.runWith(['--detach'], 'true');
  await box.reaches('stopped');
  expect(box.delete().code).toBe(0);
});

test('run --keep keeps the state after the end', { except: { crun: 'crun 1.8 deletes all the same' } }, (t) => {
  const box = container(t);
  expect(box.runWith(['--keep'], 'sh', '-c', 'exit 3').code).toBe(3);
  expect(box.state().status).toBe('stopped');
  expect(box.delete().code).toBe(0);
});

test('run --pid-file writes the pid', async (t) => {
  const box = container(t);
  box.runWith(['--detach', '--pid-file', box.path('pid')], 'sleep', '100');
  expect(readFileSync(box.path('pid'), 'utf8')).toBe(String(box.state().pid));
});

test('run finds the bundle in the working directory when no --bundle is given', (t) => {
  const box = container(t);
  box.prepare(['echo', 'here']);
  expect(box.call('run', [box.id], { cwd: box.bundle })).toMatchObject({ code: 0, out: 'here\n' });
});

test('run with a bundle directory in place of an id names the container after it', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'echo ready; exec sleep 100']);
  const result = box.call('run', ['--detach', `${box.bundle}/`]);
  expect(result.code).toBe(0);
  const id = box.list('-q').out.trim();
  t.onTestFinished(() => void box.call('delete', ['--force', id]));
  expect(id.startsWith(basename(box.bundle))).toBe(true);
  expect(box.call('delete', ['--force', id]).code).toBe(0);
});

test('run with a bundle directory ends with the exit code of the program', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['sh', '-c', 'exit 9']);
  expect(box.call('run', [box.bundle]).code).toBe(9);
  expect(box.list('-q').out).toBe('');
});

test('ps inside shows the program as pid 1 and nothing of the host', (t) => {
  const { out } = container(t).run('sh', '-c', 'ps -o pid,args; true');
  const lines = out
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  expect(lines[0]).toMatch(/^1 sh -c/);
  expect(lines).toHaveLength(2);
});

test('two containers of one file tree run at the same time', async (t) => {
  const [one, two] = [container(t), container(t)];
  const runs = [one, two].map((box) => box.spawnRun(['sh', '-c', 'probe sleep']));
  await Promise.all([one.says('ready'), two.says('ready')]);
  expect(one.list('-q').out.trim().split('\n').sort()).toEqual([one.id, two.id].sort());
  for (const box of [one, two]) box.kill('KILL');
  expect(await Promise.all(runs.map(async ({ done }) => (await done).code))).toEqual([137, 137]);
});

test('a foreground run removes its container when a child keeps the pipe open', async (t) => {
  const box = container(t);
  const { done, child } = box.spawnRun(['sh', '-c', 'sleep 100 & echo over'], ['ignore', 'pipe', 'pipe']);
  await new Promise((resolve) => child.on('exit', resolve));
  expect(existsSync(join(stateRoot, box.id))).toBe(false);
  expect((await done).out).toBe('over\n');
});

test('--version begins as engines parse it', { only: ['tsrun', 'runc'] }, (t) => {
  const box = container(t);
  const { code, out } = box.call('--version');
  expect(code).toBe(0);
  expect(out).toMatch(runtime.family === 'runc' ? /^runc version \S+\n/ : /^(runc|tsrun) version \S+/);
  expect(out).toMatch(/^commit: \S+/m);
  expect(out).toMatch(/^spec: 1\.\d+\.\d+/m);
  if (runtime.family === 'tsrun') expect(out).toMatch(/^architecture: (x86_64|aarch64)$/m);
});

test('spec writes a config that runs, and refuses to overwrite it', (t) => {
  const box = container(t);
  expect(box.call('spec', ['--bundle', box.bundle]).code).toBe(0);
  const config = JSON.parse(readFileSync(join(box.bundle, 'config.json'), 'utf8'));
  expect(config.process.terminal).toBe(true);
  expect(config.root).toMatchObject({ path: 'rootfs', readonly: true });
  expect(box.call('spec', ['--bundle', box.bundle]).code).toBe(1);
  Object.assign(config.process, { terminal: false, args: ['echo', 'from spec'], env: ['PATH=/bin'] });
  // Debian 12's crun cannot raise RLIMIT_MEMLOCK for the device program of this section here.
  delete config.linux.resources;
  box.write(config);
  expect(box.call('run', ['--bundle', box.bundle, box.id])).toMatchObject({ code: 0, out: 'from spec\n' });
});

test('spec gives no inheritable capabilities (CVE-2022-29162)', (t) => {
  const box = container(t);
  box.call('spec', ['--bundle', box.bundle]);
  const { capabilities } = JSON.parse(readFileSync(join(box.bundle, 'config.json'), 'utf8')).process;
  expect(capabilities.inheritable ?? []).toEqual([]);
  expect(capabilities.bounding.length).toBeGreaterThan(0);
});

test('spec --rootless maps the caller and asks for no network', {
  except: { crun: 'crun 1.8 keeps the network namespace' },
}, (t) => {
  const box = container(t);
  expect(box.call('spec', ['--bundle', box.bundle, '--rootless']).code).toBe(0);
  const { linux } = JSON.parse(readFileSync(join(box.bundle, 'config.json'), 'utf8'));
  const types = linux.namespaces.map(({ type }: { type: string }) => type);
  expect(types).toContain('user');
  expect(types).not.toContain('network');
  expect(linux.uidMappings).toEqual([{ containerID: 0, hostID: process.getuid?.(), size: 1 }]);
});
