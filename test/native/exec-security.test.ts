// What others inside a container see of a process that exec brings in, and what they can do to it.
import { writeFileSync } from 'node:fs';
import {
  capabilities,
  capabilityNames,
  capabilitySet,
  type Container,
  container,
  expect,
  probe,
  test,
  until,
} from '../harness/index.ts';

const many = capabilities(...capabilityNames.filter((name) => name !== 'CAP_SYS_RESOURCE'));

/** A process.json with one capability, and a storm of them. */
async function storm(box: Container, count: number): Promise<void> {
  const few = { args: ['true'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } };
  writeFileSync(box.path('process.json'), JSON.stringify({ ...few, capabilities: capabilities('CAP_KILL') }));
  for (let round = 0; round < count; round += 8) {
    const all = Array.from(
      { length: 8 },
      (_, index) => box.spawnVerb('exec', ['--process', box.path('process.json'), box.id], `storm${index}`).done,
    );
    for (const { code } of await Promise.all(all)) expect(code).toBe(0);
  }
}

const linesOf = (box: Container, word: string): string[] => [
  ...new Set(
    box
      .output()
      .split('\n')
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1)),
  ),
];

test('CVE-2016-9962: who may trace a process before it is the program finds no rights but its own', {
  only: ['tsrun'],
  timeout: 60_000,
}, async (t) => {
  const box = container(t, { process: { capabilities: many, noNewPrivileges: false } });
  await box.started('probe', 'spy', 'look');
  await box.says('ready');
  await storm(box, 160);
  const rights = linesOf(box, 'caps');
  expect(rights.length, 'the spy saw one').toBeGreaterThan(0);
  for (const mask of rights) expect(capabilitySet(mask)).toEqual(['CAP_KILL']);
  // Standard output and error are the test's files; the socket leads to the runtime and nowhere else,
  // and passwd is the container's, read for HOME.
  const own =
    /^(\/dev\/null|\/etc\/passwd|pipe:\[\d+\]|socket:\[\d+\]|anon_inode:\[signalfd\]|.*\/storm\d\.(out|err))$/;
  expect(linesOf(box, 'fd').filter((target) => !own.test(target))).toEqual([]);
});

test('CVE-2016-9962: without CAP_SYS_PTRACE nobody inside sees the descriptors of init', {
  only: ['tsrun'],
  timeout: 60_000,
}, async (t) => {
  const box = container(t);
  await box.started('probe', 'spy', 'look');
  await box.says('ready');
  await storm(box, 160);
  expect(linesOf(box, 'caps').length, 'the spy saw one').toBeGreaterThan(0);
  // The others are what the program itself has a moment later; the socket ends with init.
  expect(linesOf(box, 'fd').filter((target) => target.startsWith('socket:'))).toEqual([]);
});

test('who stops it holds up neither state nor delete', { only: ['tsrun'], timeout: 60_000 }, async (t) => {
  const box = container(t, { process: { capabilities: capabilities('CAP_KILL') } });
  await box.started('probe', 'spy', 'stop');
  await box.says('ready');
  const pending: ReturnType<Container['spawnVerb']>[] = [];
  for (let index = 0; index < 200 && !box.output().includes('stopped'); index += 1) {
    pending.push(box.spawnVerb('exec', [box.id, 'true'], `stopped${index}`));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await box.says('stopped');
  expect(box.state().status).toBe('running');
  expect(box.delete('--force')).toMatchObject({ code: 0 });
  await until('all commands end', () => pending.every(({ child }) => child.exitCode !== null));
});

for (const target of ['/proc/self/fd', '/proc/self/fd/3/../../..', '/proc/1/cwd/../..']) {
  test(`CVE-2024-21626: --cwd ${target} leads nowhere but into the container`, {
    except: { crun: '1.8.1 is vulnerable' },
  }, async (t) => {
    const box = await container(t).started();
    const through = ['sh', '-c', 'exec 3</ 4</sys 5</etc; exec "$@"', 'sh'];
    const result = box.call('exec', ['--cwd', target, box.id, 'sh', '-c', 'ls ../../../../../../bin'], { through });
    if (result.code === 0) expect(result.out).toContain('probe');
    else expect(result.out).toBe('');
  });
}

for (let fd = 3; fd < 16; fd += 1) {
  test(`CVE-2024-21626: descriptor ${fd} of the caller is no way out, as directory or as program`, {
    except: { crun: '1.8.1 is vulnerable' },
  }, async (t) => {
    const box = await container(t).started();
    const through = ['sh', '-c', `exec ${fd > 9 ? 9 : fd}</; exec "$@"`, 'sh'];
    for (const words of [
      ['--cwd', `/proc/self/fd/${fd}`, box.id, 'ls', '/'],
      [box.id, `/proc/self/fd/${fd}${probe}`, 'exit', '0'],
    ]) {
      expect(box.call('exec', words, { through })).toMatchObject({ code: expect.not.stringMatching(/^0$/), out: '' });
    }
  });
}
