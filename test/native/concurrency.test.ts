// Commands that meet at one container: whoever deletes does not wait for those who make it, and hits no other.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, container, expect, processesOf, runtime, test, until } from '../harness/index.ts';

function hook(box: Container, name: string, script: string): void {
  const path = box.path(`${name}.sh`);
  writeFileSync(path, `#!/bin/sh\ntouch ${box.path('began')}\n${script}\n`);
  chmodSync(path, 0o755);
  box.config.hooks = { [name]: [{ path, env: [`PATH=${process.env['PATH']}`] }] };
}

function begin(box: Container, verb: string, ...rest: string[]) {
  const [command, ...args] = box.argv(verb, ...rest, box.id);
  const child = spawn(command, args, { stdio: 'ignore', env: box.env() });
  const ended = new Promise<number>((resolve) =>
    child.on('exit', (code, signal) => resolve(signal ? -1 : (code ?? -1))),
  );
  return { child, ended };
}

const hookBegins = (box: Container) => until('the hook runs', () => existsSync(box.path('began')));

async function quickly<T>(action: () => T | Promise<T>): Promise<T> {
  const start = Date.now();
  const result = await action();
  expect(Date.now() - start, 'milliseconds').toBeLessThan(5000);
  return result;
}

/** A line of proc_locks(5) with an arrow is of a process that waits. */
const waitsForLock = (pid: number | undefined): boolean =>
  new RegExp(`-> FLOCK +ADVISORY +\\w+ +${pid} `).test(readFileSync('/proc/locks', 'utf8'));

test('of two deletes, the second leaves a new container with the same id alone', {
  except: { runc: 'runc 1.1 does not lock', crun: 'it does not lock' },
}, async (t) => {
  const box = container(t);
  hook(box, 'poststop', 'exec sleep 2');
  await box.started();
  const deletes = [begin(box, 'delete', '--force'), begin(box, 'delete', '--force')];
  let oneIsThrough = false;
  for (const { ended } of deletes) void ended.then(() => (oneIsThrough = true));
  await hookBegins(box);
  // One that is slow to start would mean the new container, and rightly.
  await until(
    'the other waits for the lock',
    () => oneIsThrough || deletes.some(({ child }) => waitsForLock(child.pid)),
  );
  delete box.config.hooks;
  await box.started('sleep', '100');
  await Promise.all(deletes.map(({ ended }) => ended));
  expect(box.state().status).toBe('running');
});

test('a delete without --force of a container that another deletes meanwhile says that it does not exist', {
  only: ['tsrun'],
}, async (t) => {
  const box = container(t);
  hook(box, 'poststop', 'exec sleep 2');
  await box.started();
  const { ended } = begin(box, 'delete', '--force');
  await hookBegins(box);
  const second = await quickly(() => box.delete());
  expect(second.err).toContain('container does not exist');
  expect(await ended).toBe(0);
});

for (const [name, verb] of [
  ['createRuntime', 'create'],
  ['createContainer', 'create'],
  ['startContainer', 'start'],
  ['poststart', 'start'],
] as const) {
  test(`delete --force does not wait for the ${name} hook of a ${verb}`, { only: ['tsrun'] }, async (t) => {
    const box = container(t);
    hook(box, name, 'exec sleep 9');
    if (name === 'startContainer')
      box.config.hooks = { startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'touch /began; exec sleep 9'] }] };
    box.prepare(['sleep', '100']);
    if (verb === 'start') box.created('sleep', '100');
    const { child, ended } = verb === 'start' ? begin(box, 'start') : begin(box, 'create', '--bundle', box.bundle);
    t.onTestFinished(() => void child.kill('SIGKILL'));
    await (name === 'startContainer'
      ? until('the hook runs', () => existsSync(join(box.rootfs, 'began')))
      : hookBegins(box));
    expect(await quickly(() => box.delete('--force'))).toMatchObject({ code: 0, err: '' });
    if (verb === 'create') expect(await quickly(() => ended)).toBe(1);
    else child.kill('SIGTERM');
    await ended;
    expect(box.leaks()).toEqual([]);
  });
}

test('a hook may delete its own container', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  const [command, ...args] = box.argv('delete', '--force', box.id);
  hook(box, 'createRuntime', [command, ...args].map((word) => `'${word}'`).join(' '));
  box.prepare(['sleep', '100']);
  const { ended } = begin(box, 'create', '--bundle', box.bundle);
  expect(await quickly(() => ended)).toBe(1);
  expect(box.leaks()).toEqual([]);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`a create that is told to end by ${signal} ends its hook and leaves nothing`, { only: ['tsrun'] }, async (t) => {
    const box = container(t);
    hook(box, 'createRuntime', 'exec sleep 9');
    box.prepare(['sleep', '100']);
    const { child, ended } = begin(box, 'create', '--bundle', box.bundle);
    await hookBegins(box);
    child.kill(signal);
    // Another thread of Node may take the signal and end it at once: then the record is there to clean up after.
    if (runtime.name === 'node') {
      await quickly(() => ended);
      expect(box.leaksAfterForce().filter((leak) => !leak.includes('sleep 9'))).toEqual([]);
      for (const pid of processesOf(box.traces)) process.kill(pid, 'SIGKILL');
      return;
    }
    expect(await quickly(() => ended)).toBe(1);
    expect(box.leaks()).toEqual([]);
  });
}
