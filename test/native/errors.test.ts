// What the caller is told when it does not work: exit code 1, one message, where engines look for it, and nothing left.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  baseConfig,
  type Changes,
  type Container,
  container,
  expect,
  type Result,
  stateRoot,
  test,
} from '../harness/index.ts';

const tsrunOnly = { only: ['tsrun' as const] };

function expectRefusal(box: Container, result: Result): void {
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err.trim()).not.toBe('');
  expect(box.leaks()).toEqual([]);
}

const texts = {
  'that is not JSON': '{"ociVersion": "1.0.2",',
  'that is empty': '',
  'that is a list': '[]',
  'that is only a word': 'hello',
};

for (const [what, text] of Object.entries(texts)) {
  test(`a config.json ${what} is refused`, (t) => {
    const box = container(t);
    box.write(text);
    expectRefusal(box, box.call('run', ['--bundle', box.bundle, box.id]));
  });
}

test('malformed JSON is told with its line and column', tsrunOnly, (t) => {
  const box = container(t);
  box.write('{\n  "ociVersion": "1.0.2",\n  oops\n}');
  const { err } = box.call('run', ['--bundle', box.bundle, box.id]);
  expect(err).toContain('config.json');
  expect(err).toMatch(/line 3|:3\b/);
});

test('a bundle without config.json is told by its path', (t) => {
  const box = container(t);
  const result = box.call('run', ['--bundle', box.bundle, box.id]);
  expectRefusal(box, result);
  expect(result.err).toContain('config.json');
});

test('a bundle that does not exist is told by its path', (t) => {
  const box = container(t);
  const result = box.call('run', ['--bundle', box.path('nowhere'), box.id]);
  expectRefusal(box, result);
  expect(result.err).toMatch(/nowhere|config\.json/);
});

test('a missing rootfs is told by its path', (t) => {
  const box = container(t, { root: { path: 'no-such-rootfs' } });
  const result = box.run('true');
  expectRefusal(box, result);
  expect(result.err).toContain('no-such-rootfs');
});

test('a rootfs that is a file is refused', (t) => {
  const box = container(t, { root: { path: 'config.json' } });
  expectRefusal(box, box.run('true'));
});

test('two problems are reported in one run, each with its pointer (Shows 6)', tsrunOnly, (t) => {
  const box = container(t);
  const config = baseConfig() as unknown as {
    mounts: { destination: unknown }[];
    linux: { namespaces: { type: string }[] };
  };
  config.mounts[2] = { destination: 5 };
  config.linux.namespaces[1] = { type: 'nett' };
  box.write(config);
  const result = box.call('run', ['--bundle', box.bundle, box.id]);
  expectRefusal(box, result);
  expect(result.err).toContain('/mounts/2/destination');
  expect(result.err).toContain('/linux/namespaces/1/type');
  expect(result.err).toContain('nett');
});

const wrong: [string, Changes, string][] = [
  ['process.args empty', { process: { args: [] } }, '/process/args'],
  ['process.cwd relative', { process: { cwd: 'relative' } }, '/process/cwd'],
  ['process.env without =', { process: { env: ['NOEQUALS'] } }, '/process/env/0'],
  ['a negative uid', { process: { user: { uid: -1 } } }, '/process/user/uid'],
  ['a uid that is too large', { process: { user: { uid: 2 ** 32 } } }, '/process/user/uid'],
  ['oomScoreAdj out of range', { process: { oomScoreAdj: 5000 } }, '/process/oomScoreAdj'],
  [
    'a namespace path that is relative',
    { linux: { namespaces: [{ type: 'mount' }, { type: 'network', path: 'relative' }] } },
    '/linux/namespaces/1/path',
  ],
  ['a masked path that is relative', { linux: { maskedPaths: ['relative'] } }, '/linux/maskedPaths/0'],
  [
    'an unknown capability',
    { process: { capabilities: { bounding: ['CAP_NOPE'] } } },
    '/process/capabilities/bounding/0',
  ],
  ['an unknown rlimit', { process: { rlimits: [{ type: 'RLIMIT_X', soft: 1, hard: 1 }] } }, '/process/rlimits/0/type'],
  ['an unknown device type', { linux: { devices: [{ path: '/dev/x', type: 'q' }] } }, '/linux/devices/0/type'],
  ['a hook path that is relative', { hooks: { createRuntime: [{ path: 'relative' }] } }, '/hooks/createRuntime/0/path'],
  ['no root', { root: undefined }, '/root'],
  [
    'an unknown seccomp action',
    { linux: { seccomp: { defaultAction: 'SCMP_ACT_NOPE' } } },
    '/linux/seccomp/defaultAction',
  ],
];

for (const [what, changes, pointer] of wrong) {
  test(`${what} is refused at ${pointer}`, tsrunOnly, (t) => {
    const box = container(t);
    box.write(baseConfig({ ...changes, process: { args: ['true'], ...changes.process } }));
    const result = box.call('create', ['--bundle', box.bundle, box.id]);
    expectRefusal(box, result);
    expect(result.err).toContain(pointer);
  });
}

test('unknown fields are ignored, as the specification demands', (t) => {
  const box = container(t, { 'org.example.future': { a: 1 }, process: { args: ['true'] } });
  expect(box.run('true').code).toBe(0);
});

test('--config names another file, as crun has it', { only: ['tsrun', 'crun'] }, (t) => {
  const box = container(t);
  box.prepare(['echo', 'the bundle']);
  const other = join(box.dir, 'other.json');
  writeFileSync(other, JSON.stringify({ ...box.config, process: { ...box.config.process, args: ['echo', 'other'] } }));
  const result = box.call('run', ['--bundle', box.bundle, '--config', other, box.id]);
  expect(result).toMatchObject({ code: 0, out: 'other\n' });
});

test('an unknown flag is an error of usage', (t) => {
  const box = container(t);
  box.prepare(['true']);
  const result = box.call('run', ['--no-such-flag', '--bundle', box.bundle, box.id]);
  expect(result.code).toBeGreaterThan(0);
  expect(`${result.out}${result.err}`).toContain('no-such-flag');
  expect(box.leaks()).toEqual([]);
});

test('an unknown verb ends with 3', { except: { crun: 'it ends with 1' } }, (t) => {
  expect(container(t).call('nonsense').code).toBe(3);
});

test('a verb without its id is an error of usage', (t) => {
  for (const verb of ['create', 'start', 'state', 'kill', 'delete'])
    expect(container(t).call(verb).code, verb).toBeGreaterThan(0);
});

test('the root / is refused', (t) => {
  const box = container(t);
  expect(box.call('list', ['--root', '/']).code).toBeGreaterThan(0);
});

const failing: [string, (box: Container) => void, RegExp][] = [
  ['a missing executable', (box) => (box.config.process.args = ['no-such-program']), /executable file .*not found in/],
  [
    'a mount that the kernel refuses',
    (box) => box.config.mounts.push({ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['nonsense=1'] }),
    /invalid argument|EINVAL/i,
  ],
  [
    'a bind source that is missing',
    (box) => box.config.mounts.push({ destination: '/x', type: 'bind', source: '/no/such', options: ['bind'] }),
    /no such file or directory/i,
  ],
];

for (const [what, spoil, words] of failing) {
  for (const verb of ['create', 'run']) {
    test(`${verb} with ${what} writes exactly one JSON object into --log`, (t) => {
      const box = container(t);
      spoil(box);
      box.prepare(box.config.process.args[0] === 'sh' ? ['true'] : []);
      const log = box.path('log.json');
      const result = box.call('--log', [log, '--log-format', 'json', verb, '--bundle', box.bundle, box.id]);
      expect(result.code).toBe(1);
      const lines = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
      const errors = lines.filter(({ level }) => level === 'error');
      expect(errors).toHaveLength(1);
      // podman reads the file as one object; runc 1.1 adds a warning where memory.events is missing.
      if (!lines.some(({ msg }) => msg?.includes('oom'))) expect(lines).toHaveLength(1);
      expect(errors[0]?.['msg']).toMatch(words);
      expect(errors[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
      expect(box.leaks()).toEqual([]);
    });
  }
}

test('a successful run writes nothing into --log', (t) => {
  const box = container(t);
  box.prepare(['true']);
  const log = box.path('log.json');
  expect(box.call('--log', [log, '--log-format', 'json', 'run', '--bundle', box.bundle, box.id]).code).toBe(0);
  expect(existsSync(log) ? readFileSync(log, 'utf8') : '').toBe('');
});

test("the log file is appended to and not open to others' writing", (t) => {
  const box = container(t);
  const log = box.path('log.json');
  for (let round = 0; round < 2; round += 1) box.call('--log', [log, '--log-format', 'json', 'state', box.id]);
  expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(2);
  expect(statSync(log).mode & 0o022).toBe(0);
});

test('an unknown log format is refused', (t) => {
  const box = container(t);
  expect(box.call('--log-format', ['xml', 'list']).code).toBeGreaterThan(0);
});

test('the error names step, system call, errno, field and a hint', tsrunOnly, (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/x', type: 'nosuchfs', source: 'none' });
  const { err } = box.run('true');
  expect(err).toMatch(/ENODEV/);
  expect(err).toMatch(/fsopen|mount/);
  expect(err).toContain(`/mounts/${box.config.mounts.length - 1}`);
  expect(err).toMatch(/hint/i);
});

test('a failure after the claim of the id frees the id', (t) => {
  const box = container(t);
  expect(box.create('/no/such/program').code === 1 || box.delete('--force').code === 0).toBe(true);
  expect(existsSync(join(stateRoot, box.id))).toBe(false);
  expect(box.run('true').code).toBe(0);
});

test('a failure is in the log even if nobody takes what is written to standard error', {
  only: ['tsrun'],
}, (t) => {
  const box = container(t);
  const through = ['sh', '-c', 'exec "$@" 2>/dev/full', 'sh'];
  const [command, ...args] = box.argv('--log', box.path('log'), 'state', box.id);
  const result = spawnSync('sh', [...through.slice(1), command, ...args], { env: box.env() });
  expect(result.status).toBe(1);
  expect(readFileSync(box.path('log'), 'utf8')).toContain('container does not exist');
});
