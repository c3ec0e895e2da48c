// containerd with its own client, as people use them: containers, tasks, and what is left of them.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { talk } from '../engines/engine.ts';
import { controllers, projectDir, until } from '../harness/index.ts';
import {
  ctr,
  image,
  mustCtr,
  namespace,
  nothingLeftOf,
  pidOf,
  remove,
  run,
  runArguments,
  serve,
  shims,
  socket,
  start,
  status,
  test,
  watchEvents,
} from './daemon.ts';

serve();

test('run gives output and exit status, and leaves nothing', async () => {
  expect(run('plain', [], 'sh', '-c', 'echo ok; echo bad >&2; exit 3')).toMatchObject({
    code: 3,
    out: 'ok\n',
    err: expect.stringContaining('bad\n') as string,
  });
  await nothingLeftOf('plain');
});

test('a signal that ends the process is 128 and its number', async () => {
  const client = spawn('ctr', runArguments('killed', [], 'sleep', '1000'), { stdio: 'inherit' });
  const ended = new Promise((resolve) => client.once('close', resolve));
  await until('it runs', () => status('killed') === 'RUNNING', 20);
  mustCtr('task', 'kill', '--signal=SIGKILL', 'killed');
  expect(await ended).toBe(137);
  await nothingLeftOf('killed');
});

test('a program that is not there is an error that says which, and leaves nothing', async () => {
  const { code, err } = run('missing', [], 'no-such-program');
  expect(code).toBe(1);
  expect(err).toMatch(/OCI runtime create failed.*"?no-such-program"?: executable file not found in \$PATH/);
  ctr('container', 'rm', 'missing');
  await nothingLeftOf('missing');
});

test('stdin reaches the container up to its end', async () => {
  const client = spawn('ctr', runArguments('reads', [], 'sh', '-c', 'cat; echo end'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let out = '';
  client.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  client.stdin.write('one\n');
  await until('the first line came back', () => out === 'one\n', 20);
  client.stdin.end('two\n');
  const code = await new Promise((resolve) => client.once('close', resolve));
  expect([code, out]).toEqual([0, 'one\ntwo\nend\n']);
  await nothingLeftOf('reads');
});

test('run -t is a terminal that follows its window', async () => {
  expect(talk('ctr', ...runArguments('terminal', ['--tty'], 'sh'))).toMatchObject({ code: 7 });
  await nothingLeftOf('terminal');
});

test('options of the container take effect', async () => {
  const look = 'touch /etc/x || echo read-only; pwd; grep -E "Seccomp:|CapBnd" /proc/self/status; echo $A';
  const options = ['--read-only', '--seccomp', '--cap-drop=CAP_KILL', '--env=A=b', '--cwd=/tmp'];
  expect(run('options', options, 'sh', '-c', look).out).toMatch(
    /^read-only\n\/tmp\nCapBnd:\t[0-9a-f]{16}\nSeccomp:\t2\nb\n$/,
  );
  await nothingLeftOf('options');
});

test(
  'a task that goes on: exec, terminal, processes, metrics, pause, kill, delete',
  async () => {
    start('life', [], 'sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.1; done');
    expect(shims('life').length).toBe(1);
    expect(status('life')).toBe('RUNNING');
    expect(readFileSync(`/proc/${pidOf('life')}/cgroup`, 'utf8')).toContain('life');

    const exec = (...args: string[]) => ctr('task', 'exec', '--exec-id=more', 'life', ...args);
    expect(exec('sh', '-c', 'echo inside; echo aside >&2; exit 33')).toMatchObject({
      code: 33,
      out: 'inside\n',
      err: expect.stringContaining('aside\n') as string,
    });
    const failed = exec('no-such-program');
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/OCI runtime exec failed.*executable file not found/);
    expect(
      talk('ctr', ...runArguments('', []).slice(0, 4), 'task', 'exec', '-t', '--exec-id=tty', 'life', 'sh').code,
    ).toBe(7);

    const processes = mustCtr('task', 'ps', 'life').split('\n');
    expect(processes.some((line) => line.startsWith(`${pidOf('life')} `))).toBe(true);
    const metrics = mustCtr('task', 'metrics', 'life');
    expect(metrics).toMatch(/cpu\.usage_usec|cpu\.usage/);
    // Counted though there is no limit.
    if (controllers().includes('memory')) expect(metrics).toMatch(/^memory\.usage +[1-9]/m);

    mustCtr('task', 'pause', 'life');
    expect(status('life')).toBe('PAUSED');
    expect(ctr('task', 'exec', '--exec-id=cold', 'life', 'true').code).not.toBe(0);
    expect(ctr('task', 'pause', 'life').code).not.toBe(0);
    mustCtr('task', 'resume', 'life');
    expect(status('life')).toBe('RUNNING');

    expect(ctr('task', 'rm', 'life').err).toMatch(/must be stopped|running/);
    mustCtr('task', 'kill', 'life');
    await until('it has stopped', () => status('life') === 'STOPPED', 15);
    expect(ctr('task', 'kill', 'life').err).toMatch(/not found/);
    expect(ctr('task', 'exec', '--exec-id=late', 'life', 'true').code).not.toBe(0);
    expect(ctr('task', 'rm', 'life').err).toMatch(/5|^$/);
    mustCtr('container', 'rm', 'life');
    await nothingLeftOf('life');
  },
  { timeout: 180_000 },
);

test('kill reaches what it is told: the first process, all of them, or one exec', async () => {
  start('targets', [], 'sh', '-c', 'trap "" TERM; sleep 1000 & wait; sleep 1000');
  const client = spawn('ctr', [
    ...runArguments('', []).slice(0, 4),
    ...['task', 'exec', '--exec-id=one', 'targets', 'sleep', '1000'],
  ]);
  const ended = new Promise((resolve) => client.once('close', resolve));
  await until('the exec runs', () => mustCtr('task', 'ps', 'targets').split('\n').length >= 4, 20);
  mustCtr('task', 'kill', '--exec-id=one', '--signal=SIGTERM', 'targets');
  expect(await ended).toBe(143);
  mustCtr('task', 'kill', '--all', '--signal=SIGKILL', 'targets');
  await until('it has stopped', () => status('targets') === 'STOPPED', 15);
  remove('targets');
  await nothingLeftOf('targets');
});

test('what runs on in a container without a pid namespace ends with its first process', async () => {
  start('shares', [`--with-ns=pid:/proc/${process.pid}/ns/pid`], 'sh', '-c', 'sleep 4321 & sleep 1000');
  const pid = pidOf('shares');
  await until('there are two', () => mustCtr('task', 'ps', 'shares').split('\n').length >= 3, 20);
  process.kill(pid, 'SIGKILL');
  await until('it has stopped', () => status('shares') === 'STOPPED', 15);
  remove('shares');
  await nothingLeftOf('shares');
});

test('events come in the order that clients rely on', async () => {
  const events = await watchEvents();
  start('tells', [], 'sleep', '1000');
  ctr('task', 'exec', '--exec-id=e1', 'tells', 'sh', '-c', 'exit 4');
  mustCtr('task', 'pause', 'tells');
  mustCtr('task', 'resume', 'tells');
  mustCtr('task', 'kill', '--signal=9', 'tells');
  await until('it has stopped', () => status('tells') === 'STOPPED', 15);
  mustCtr('task', 'rm', 'tells');
  await until('the last event came', () => events.seen().includes('/tasks/delete'), 15);
  events.end();
  mustCtr('container', 'rm', 'tells');
  const topics = [...events.seen().matchAll(/ (\/tasks\/\S+) (\{.*\})/g)].map(([, topic, text]) => {
    const { id, exec_id: exec, exit_status: code } = JSON.parse(text as string) as Record<string, string | number>;
    return [topic, exec ?? id, code].filter((part) => part !== undefined && part !== '').join(' ');
  });
  expect(topics).toEqual([
    '/tasks/create',
    '/tasks/start',
    '/tasks/exec-added e1',
    '/tasks/exec-started e1',
    '/tasks/exit e1 4',
    '/tasks/paused',
    '/tasks/resumed',
    '/tasks/exit tells 137',
    '/tasks/delete 137',
  ]);
  await nothingLeftOf('tells');
});

test(
  'a user namespace: root inside is nobody outside, and files are those of the ids inside',
  async () => {
    const maps = ['--uidmap=0:100000:65536', '--gidmap=0:100000:65536'];
    start('mapped', maps, 'sleep', '1000');
    expect(readFileSync(`/proc/${pidOf('mapped')}/status`, 'utf8')).toMatch(/^Uid:\t100000\t/m);
    const look = 'cat /proc/self/uid_map; stat -c %u /bin/busybox; echo x >/tmp/x; stat -c %u /tmp/x';
    const { code, out } = ctr('task', 'exec', '--exec-id=look', 'mapped', 'sh', '-c', look);
    expect([code, out.replace(/ +/g, ' ')]).toEqual([0, ' 0 100000 65536\n0\n0\n']);
    remove('mapped');
    await nothingLeftOf('mapped');
  },
  { needs: ['user namespaces'] },
);

test(
  'the commands of docs/containerd.md work as they stand there',
  async () => {
    mustCtr('image', 'tag', image, 'docker.io/library/alpine:latest');
    const page = readFileSync(join(projectDir, 'docs/containerd.md'), 'utf8');
    const section = page.slice(page.indexOf('## ctr and nerdctl'), page.indexOf('## Kubernetes'));
    const commands = [...section.matchAll(/^ {4}(ctr .*)$/gm)]
      .map(([, command = '']) => command)
      .filter((command) => !command.startsWith('ctr image pull'));
    const results = commands.map((command) => {
      // What a host without CPU shares needs; the page says so below.
      const told = controllers().includes('cpu') ? command : command.replace('ctr run ', 'ctr run --cpu-shares 0 ');
      const result = spawnSync('sh', ['-c', told], {
        encoding: 'utf8',
        env: { ...process.env, CONTAINERD_ADDRESS: socket, CONTAINERD_NAMESPACE: namespace },
      });
      return `${command}: ${result.status} ${result.stdout}`;
    });
    expect(commands.length).toBe(11);
    expect(results[0]).toMatch(/: 3 ok\n$/);
    expect(results.slice(1, -2).filter((result) => !/: 0 /.test(result))).toEqual([]);
    expect(results.at(3)).toMatch(/: 0 inside\n$/);
    // Deleting the task tells of its status, 137, by a failure of its own; the container goes only if the task has gone.
    expect(results.at(-1)).toMatch(/: 0 /);
    await nothingLeftOf('box');
  },
  { only: ['tsrun'], timeout: 120_000 },
);
