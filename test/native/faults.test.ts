// The engine is killed at various moments; whatever it left, `delete --force` removes it, and the id can be used again.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Container, container, expect, runtime, stateRoot, test } from '../harness/index.ts';
import { sleepSync } from '../harness/wait.ts';

// A peer has no promise to keep here; it shows that the tests can fail.
const promised = { only: ['tsrun' as const], timeout: 60_000 };

async function killedAfter(
  box: Container,
  verb: 'create' | 'run',
  milliseconds: number,
  manager = 'cgroupfs',
): Promise<void> {
  box.prepare(['sleep', '1000']);
  const [command, ...args] = box.argv(`--cgroup-manager=${manager}`, verb, '--bundle', box.bundle, box.id);
  const out = openSync(box.path('out'), 'w');
  const child = spawn(command, args, { stdio: ['ignore', out, out], env: box.env() });
  closeSync(out);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  // 0.25 ms steps: the timer of the event loop counts in whole ones.
  const end = performance.now() + milliseconds;
  await delay(Math.max(0, Math.floor(milliseconds) - 1));
  while (performance.now() < end) continue;
  child.kill('SIGKILL');
  await ended;
}

// The steps below fit an engine that is done after 10 ms; slower ones are met at the same points of their way.
const slowness = runtime.name === 'node' ? 12 : runtime.family === 'runc' ? 5 : 1;

for (const verb of ['create', 'run'] as const) {
  for (const first of [0, 2, 4, 6, 8]) {
    test(
      `${verb} killed after ${first} to ${first + 2} ms, in steps of 0.25 ms, leaves nothing that delete --force cannot remove`,
      promised,
      async (t) => {
        for (let step = 0; step < 8; step += 1) {
          const box = container(t);
          await killedAfter(box, verb, (first + step / 4) * slowness);
          expect(box.leaksAfterForce(), `killed after ${first + step / 4} ms`).toEqual([]);
        }
      },
    );
  }
}

for (const verb of ['create', 'run'] as const) {
  // No cgroup names the processes here: init must end by itself, or the record must name it.
  test(
    `without cgroups, ${verb} killed at any moment leaves nothing that delete --force cannot remove`,
    promised,
    async (t) => {
      for (let step = 0; step < 40; step += 1) {
        const box = container(t);
        await killedAfter(box, verb, (step / 4) * slowness, 'disabled');
        expect(box.leaksAfterForce(), `killed after ${step / 4} ms`).toEqual([]);
      }
    },
  );
}

test('a create that was killed can be repeated with the same id after delete --force', promised, async (t) => {
  for (const milliseconds of [1, 2, 3, 4, 5, 6]) {
    const box = container(t);
    await killedAfter(box, 'create', milliseconds * slowness);
    expect(box.delete('--force').code).toBe(0);
    expect(box.run('echo', 'again')).toMatchObject({ code: 0, out: 'again\n' });
  }
});

test('list and state still answer when a create was killed half way', promised, async (t) => {
  for (const milliseconds of [1, 2, 3, 4, 5]) {
    const box = container(t);
    await killedAfter(box, 'create', milliseconds * slowness);
    expect(box.list('-q').code).toBe(0);
    expect([0, 1]).toContain(box.call('state', [box.id]).code);
    box.delete('--force');
  }
});

test('a foreground run that is killed leaves a container that delete --force ends', async (t) => {
  const box = container(t);
  const { child } = box.spawnRun(['probe', 'sleep']);
  await box.says('ready');
  // Not the end of its pipes: those are the container's too.
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  expect(box.leaksAfterForce()).toEqual([]);
});

test('init that is killed while created leaves a container that delete removes', async (t) => {
  const box = container(t).created('sleep', '100');
  process.kill(box.state().pid, 'SIGKILL');
  await box.reaches('stopped');
  expect(box.delete('--force').code).toBe(0);
  expect(box.leaks()).toEqual([]);
});

test('two deletes at the same time both end, and nothing is left', async (t) => {
  const box = await container(t).started();
  const [command, ...args] = box.argv('delete', '--force', box.id);
  const codes = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<number | null>((resolve) =>
          spawn(command, args, { stdio: 'ignore', env: box.env() }).on('exit', resolve),
        ),
    ),
  );
  expect(codes).toContain(0);
  expect(box.leaks()).toEqual([]);
});

test('of two creates with one id at the same time exactly one succeeds', {
  except: { runc: 'runc 1.1 does not lock', crun: 'it does not lock' },
}, async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const box = container(t);
    box.prepare(['sleep', '100']);
    const [command, ...args] = box.argv('create', '--bundle', box.bundle, box.id);
    const codes = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise<number | null>((resolve) =>
            spawn(command, args, { stdio: 'ignore', env: box.env() }).on('exit', resolve),
          ),
      ),
    );
    expect(codes.toSorted((a, b) => Number(a) - Number(b))).toEqual([0, 1, 1]);
    expect(box.state().status).toBe('created');
  }
});

test('start and delete --force at the same time leave nothing', { timeout: 30_000 }, async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const box = container(t).created('sleep', '100');
    const run = (verb: string, ...flags: string[]) => {
      const [command, ...args] = box.argv(verb, ...flags, box.id);
      return new Promise((resolve) => spawn(command, args, { stdio: 'ignore', env: box.env() }).on('exit', resolve));
    };
    await Promise.all([run('start'), run('delete', '--force')]);
    expect(box.leaksAfterForce()).toEqual([]);
  }
});

test('a state file that is not JSON stops no other container, and delete --force says which file it is', {
  only: ['tsrun'],
}, (t) => {
  const [good, bad] = [container(t).created('sleep', '100'), container(t).created('sleep', '100')];
  const file = join(stateRoot, bad.id, 'state.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, '{');
  expect(good.list('-q').out).toContain(good.id);
  const refused = bad.delete('--force');
  writeFileSync(file, text);
  // Removing the file would lose sight of processes and a cgroup that are still there.
  expect(refused.code).toBe(1);
  expect(refused.err).toContain(file);
});

test('a pid that now belongs to somebody else is not killed', { only: ['tsrun'] }, (t) => {
  const box = container(t).created('sleep', '100');
  const { pid } = box.state();
  // The kernel tells a process's birth in hundredths of a second. Nobody can get another's pid in the one of its birth.
  sleepSync(20);
  const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' });
  t.onTestFinished(() => void bystander.kill('SIGKILL'));
  for (const name of readdirSync(join(stateRoot, box.id))) {
    const file = join(stateRoot, box.id, name);
    if (name.endsWith('.json'))
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll(String(pid), String(bystander.pid)));
  }
  process.kill(pid, 'SIGKILL');
  expect(box.state().status).toBe('stopped');
  box.kill('KILL');
  box.delete('--force');
  expect(bystander.exitCode ?? bystander.signalCode).toBe(null);
});
