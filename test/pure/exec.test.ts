// exec: what its flags say, the process that comes of them, and the plan.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownCgroup, subCgroup } from '../../src/cgroup/sub-cgroup.ts';
import { activation } from '../../src/cli/activation.ts';
import { cgroupArgument, parseId, parseUser } from '../../src/cli/process-flags.ts';
import { ConfigError, TsrunError } from '../../src/errors.ts';
import { canNotify, withNotify } from '../../src/execute/notify.ts';
import { planExec } from '../../src/plan/exec.ts';
import type { Step } from '../../src/plan/steps.gen.ts';
import { type ProcessChanges, type ProcessFile, specOfExec } from '../../src/spec/exec.ts';
import { everything, everythingAsRoot, sample, smallConfig, specOf } from './plan-samples.ts';
import type { Json } from './spec-samples.ts';

const none: ProcessChanges = { args: ['true'], env: [], additionalGids: [], capabilities: [] };

const processOf = (config: Json, changes: Partial<ProcessChanges> = {}, file?: Json): Json => {
  const given: ProcessFile | undefined =
    file === undefined
      ? undefined
      : { name: 'process.json', text: typeof file === 'string' ? file : JSON.stringify(file) };
  const { args, ...rest } = { ...none, ...changes };
  return specOfExec(JSON.stringify(config), given, given === undefined ? { ...rest, args: args ?? [] } : rest).process;
};

describe('ids on the command line', () => {
  test.each([
    ['0', { uid: 0 }],
    ['1000', { uid: 1000 }],
    ['1000:7', { uid: 1000, gid: 7 }],
    ['4294967294:4294967294', { uid: 4294967294, gid: 4294967294 }],
    ['0010', { uid: 10 }],
  ])('%s', (text, user) => expect(parseUser(text)).toEqual(user));

  test.each([
    '',
    ' 1',
    '1 ',
    '+1',
    '-1',
    '0x1',
    '1e3',
    '1.0',
    '1:',
    ':1',
    '1:2:3',
    '4294967295',
    '99999999999',
    'root',
    '١',
  ])('CVE-2026-30892: %j is refused', (text) => expect(() => parseUser(text)).toThrow(TsrunError));

  test('every number in range is itself, and nothing else is a number', () => {
    fc.assert(fc.property(fc.nat(2 ** 31), (id) => parseId(String(id), 'user') === id));
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^[0-9]{1,10}$/.test(text));
        expect(() => parseId(text, 'user')).toThrow(TsrunError);
      }),
    );
  });
});

describe('--cgroup', () => {
  test.each([
    [[], undefined],
    [['a/b'], 'a/b'],
    [['cpu:a'], 'a'],
    [['cpu,memory:a', 'pids:a'], 'a'],
    [['/'], '/'],
  ])('%j', (values, path) => expect(cgroupArgument(values)).toBe(path));

  test.each([[[':a']], [['cpu,:a']], [['a', 'b']], [['cpu:a', 'pids:b']], [['cpu:a', 'a']]])(
    '%j is refused',
    (values) => expect(() => cgroupArgument(values)).toThrow(/--cgroup/),
  );

  test('leads below the container, whatever it is', () => {
    const part = fc.oneof(fc.constantFrom('..', '.', '', '...', '..a'), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const path = parts.join('/');
        if (path.split('/').includes('..') || path.includes('\0')) {
          expect(() => subCgroup('/sys/fs/cgroup/box', path)).toThrow(/bad sub cgroup path/);
        } else {
          const found = subCgroup('/sys/fs/cgroup/box', path);
          expect(found === '/sys/fs/cgroup/box' || found.startsWith('/sys/fs/cgroup/box/')).toBe(true);
        }
      }),
    );
  });
});

describe("the cgroup of a container's first process", () => {
  test.each([
    ['/box', '/sys/fs/cgroup/box'],
    ['/box/init', '/sys/fs/cgroup/box/init'],
  ])('%s', (own, path) => expect(ownCgroup('/sys/fs/cgroup/box', '/sys/fs/cgroup', `1:x:/y\n0::${own}\n`)).toBe(path));

  test.each(['/', '/boxer', '/other/box', '/box/../other', '/../box'])('%s is not taken', (own) =>
    expect(() => ownCgroup('/sys/fs/cgroup/box', '/sys/fs/cgroup', `0::${own}\n`)).toThrow(/not below it/),
  );
});

describe('the process', () => {
  const config = smallConfig((json) => {
    json.process.env = ['PATH=/bin', 'A=1'];
    json.process.terminal = true;
    json.process.user = { uid: 1, gid: 2, additionalGids: [3] };
    json.process.capabilities = { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'] };
    json.process.oomScoreAdj = 5;
  });

  test('is that of the container with another command, without its terminal', () => {
    expect(processOf(config, { args: ['id', '-u'] })).toEqual({
      ...specOf(config).process,
      args: ['id', '-u'],
      terminal: false,
    });
  });

  test('has what the flags say', () => {
    const changes = {
      terminal: true,
      cwd: '/tmp',
      env: ['A=2'],
      user: { uid: 9 },
      additionalGids: [8],
      noNewPrivileges: true,
    };
    expect(processOf(config, changes)).toMatchObject({
      terminal: true,
      cwd: '/tmp',
      env: ['PATH=/bin', 'A=1', 'A=2'],
      user: { uid: 9, gid: 2, additionalGids: [3, 8] },
      noNewPrivileges: true,
    });
  });

  test('CVE-2022-29162: added capabilities are never inheritable, and ambient only beside inheritable ones', () => {
    const { capabilities } = processOf(config, { capabilities: ['CAP_CHOWN'] });
    const both = ['CAP_KILL', 'CAP_CHOWN'];
    expect(capabilities).toEqual({ bounding: both, effective: both, permitted: both });
    const sets = { inheritable: ['CAP_KILL'], bounding: ['CAP_KILL'] };
    const other = smallConfig((json) => void (json.process.capabilities = sets));
    expect(processOf(other, { capabilities: ['CAP_CHOWN'] }).capabilities).toEqual({
      inheritable: ['CAP_KILL'],
      ambient: ['CAP_CHOWN'],
      bounding: both,
      effective: ['CAP_CHOWN'],
      permitted: ['CAP_CHOWN'],
    });
  });

  test('of a file has from the container only what the file leaves open', () => {
    const file = { args: ['x'], cwd: '/', user: { uid: 0, gid: 0 }, capabilities: null, apparmorProfile: '' };
    const process = processOf(config, {}, file);
    expect(process).toMatchObject({ args: ['x'], oomScoreAdj: 5, capabilities: { bounding: ['CAP_KILL'] } });
    expect(process.env).toBeUndefined();
    expect(process.terminal).toBeUndefined();
    expect(processOf(config, {}, { ...file, terminal: true }).terminal).toBe(true);
  });

  test('of a file is checked by the rules of a config.json, with places in the file', () => {
    const wrong = {
      args: [],
      cwd: 'x',
      user: { uid: -1, gid: 0 },
      rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }],
    };
    const places = (file: Json) => {
      try {
        processOf(config, {}, file);
        return [];
      } catch (error) {
        return (error as ConfigError).problems.map(({ pointer }) => pointer);
      }
    };
    expect(places(wrong).toSorted()).toEqual(['/args', '/cwd', '/rlimits/0/soft', '/user/uid']);
    expect(places({ ...wrong, args: ['x'], cwd: '/', user: { uid: 0, gid: 0 } })).toEqual(['/rlimits/0/soft']);
    expect(places([])).toEqual(['']);
    expect(places('{"args"')).toEqual(['']);
  });

  test('of any JSON is a process or a ConfigError', () => {
    const field = fc.constantFrom('args', 'cwd', 'env', 'user', 'capabilities', 'rlimits', 'terminal', 'oomScoreAdj');
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(field, fc.jsonValue())), (file) => {
        const changes = { env: ['A=1'], additionalGids: [1], capabilities: ['CAP_KILL'], user: { uid: 1 } };
        try {
          processOf(config, changes, JSON.stringify(file));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
    );
  });

  test('with a user that the container does not map is refused', () => {
    expect(() => processOf(everything(), { user: { uid: 4294967294 } })).toThrow(/process\/user\/uid/);
  });
});

describe('the plan', () => {
  const request = {
    id: 'box',
    rootfs: '/images/box',
    cgroup: '/sys/fs/cgroup/box',
    pidfd: 7,
    noNewKeyring: false,
    preserveFds: 0,
    env: [],
    bundle: '/bundles/box',
    seccomp: undefined,
  };

  test('has the process in the namespaces of the container before anything is looked up', () => {
    fc.assert(
      fc.property(sample, ({ spec, facts }) => {
        const plan = planExec(spec, request, facts);
        const ops = plan.init.map(({ op }) => op);
        const at = (op: Step['op']) => ops.indexOf(op as (typeof ops)[number]);
        const namespaces = spec.linux.namespaces ?? [];
        expect(at('joinProcess') >= 0).toBe(namespaces.length > 0);
        for (const op of ['closeDescriptors', 'changeDir', 'findExecutable', 'openConsole'] as const)
          if (at(op) >= 0) expect(at(op)).toBeGreaterThan(at('joinProcess'));
        // CVE-2016-9962: nobody inside sees it before it has the rights of the container's processes.
        if (at('fork') >= 0) {
          for (const op of ['setIds', 'setCapabilities', 'dropBounding', 'closeDescriptors'] as const)
            expect(at(op)).toBeLessThan(at('fork'));
          for (const op of ['newSession', 'awaitStart', 'exec'] as const) expect(at(op)).toBeGreaterThan(at('fork'));
        }
        expect(ops.at(-1)).toBe('exec');
        // Nothing of the container is made anew.
        for (const op of [
          'unshare',
          'mount',
          'bind',
          'pivotRoot',
          'makeDevice',
          'maskPath',
          'runHook',
          'setHostname',
          'makePath',
        ])
          expect(ops).not.toContain(op);
      }),
    );
  });

  test('ends where host and init meet', () => {
    fc.assert(
      fc.property(sample, ({ spec, facts }) => {
        const { host, init } = planExec(spec, request, facts);
        const syncs = init.flatMap((step) => (step.op === 'sync' ? [step.sync] : []));
        expect(host.flatMap((step) => (step.op === 'awaitInit' ? [step.sync] : []))).toEqual(syncs);
        expect(host.filter(({ op }) => op === 'releaseInit')).toHaveLength(
          init.filter((step) => step.op === 'sync' && step.wait === 1).length,
        );
        expect(host.filter(({ op }) => op === 'launch')).toHaveLength(1);
      }),
    );
  });

  test('sets limits from outside where the user namespace would not let init', () => {
    const facts = { ...sampleFacts, euid: 0 };
    const hostOps = (config: Json) => planExec(specOf(config), request, facts).host.map(({ op }) => op);
    expect(hostOps(everything())).toContain('setRlimit');
    expect(hostOps(everythingAsRoot())).not.toContain('setRlimit');
  });

  for (const noNewPrivileges of [true, false]) {
    for (const action of ['SCMP_ACT_ERRNO', 'SCMP_ACT_NOTIFY']) {
      test(`loads the filter once, ${action}, no_new_privs ${noNewPrivileges}`, () => {
        const config = everythingAsRoot();
        config.process.noNewPrivileges = noNewPrivileges;
        config.linux.seccomp = {
          defaultAction: 'SCMP_ACT_ALLOW',
          listenerPath: '/run/agent',
          syscalls: [{ names: ['mkdir'], action }],
        };
        if (action !== 'SCMP_ACT_NOTIFY') delete config.linux.seccomp.listenerPath;
        const filter = new Uint8Array(8);
        const { host, init } = planExec(specOf(config), { ...request, seccomp: filter }, sampleFacts);
        const ops = init.map(({ op }) => op);
        expect(ops.filter((op) => op === 'loadSeccomp')).toHaveLength(1);
        // Behind the fork it is the program's own right, before it the runtime's.
        expect(ops.indexOf('loadSeccomp') > ops.indexOf('fork')).toBe(noNewPrivileges);
        expect(host.some(({ op }) => op === 'sendListener')).toBe(action === 'SCMP_ACT_NOTIFY');
        const waits = init.filter((step) => step.op === 'sync' && step.wait === 1).length;
        expect(host.filter(({ op }) => op === 'releaseInit')).toHaveLength(waits);
      });
    }
  }

  test('without a cgroup or a mount namespace', () => {
    const config = smallConfig((json) => void (json.linux.namespaces = [{ type: 'uts' }]));
    const { host, init } = planExec(specOf(config), { ...request, cgroup: undefined }, sampleFacts);
    expect(host.map(({ op }) => op)).not.toContain('openCgroup');
    expect(init).toContainEqual(expect.objectContaining({ op: 'changeRoot', path: '/images/box' }));
  });
});

const [{ facts: sampleFacts }] = fc.sample(
  sample.map(({ facts }) => ({ facts: { ...facts, appArmor: true, seLinux: true } })),
  1,
) as [{ facts: Parameters<typeof planExec>[2] }];

describe('socket activation', () => {
  test.each([
    [[], 0, []],
    [['LISTEN_FDS=2', 'LISTEN_PID=42'], 2, ['LISTEN_FDS=2', 'LISTEN_PID=1']],
    [['LISTEN_FDS=1', 'LISTEN_PID=42', 'LISTEN_FDNAMES=a'], 1, ['LISTEN_FDS=1', 'LISTEN_PID=1', 'LISTEN_FDNAMES=a']],
    [['LISTEN_FDS=2', 'LISTEN_PID=43'], 0, []],
    [['LISTEN_FDS=2'], 0, []],
    [['LISTEN_FDS=0', 'LISTEN_PID=42'], 0, []],
    [['LISTEN_FDS=-1', 'LISTEN_PID=42'], 0, []],
    [['LISTEN_FDS=1e3', 'LISTEN_PID=42'], 0, []],
    [['LISTEN_FDS=999999', 'LISTEN_PID=42'], 0, []],
  ] as const)('%j', (environment, count, env) => expect(activation(environment, 42)).toEqual({ count, env }));
});

test('the socket for messages is a mount that cannot be written, behind those of the configuration', () => {
  const spec = specOf(smallConfig());
  expect(canNotify(spec)).toBe(true);
  expect(withNotify(spec, '/run/tsrun/box/notify').mounts?.at(-1)).toMatchObject({
    destination: '/run/notify',
    source: '/run/tsrun/box/notify',
    options: expect.arrayContaining(['bind', 'ro', 'nosuid', 'nodev', 'noexec']),
  });
  expect(canNotify(specOf(smallConfig((json) => void (json.linux.namespaces = [{ type: 'uts' }]))))).toBe(false);
});
