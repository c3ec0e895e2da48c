// Who the program is and what it may do: capabilities, environment, limits, ids.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capabilityNames } from '../../src/linux/capabilities.ts';
import { rlimits } from '../../src/linux/rlimits.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { all, allCapabilities, happening, type Op, planOf, sample, smallConfig } from './plan-samples.ts';
import type { Json } from './spec-samples.ts';

const only = <T>(list: readonly T[]): T => {
  expect(list).toHaveLength(1);
  return list[0] as T;
};
const setsOf = (plan: Plan): Op<'setCapabilities'> => only(all(plan.init, 'setCapabilities'));
const boundingOf = (plan: Plan): Set<string> => namesOf(only(all(plan.init, 'dropBounding')).keep);
const namesOf = (mask: number | bigint): Set<string> =>
  new Set(capabilityNames.filter((_, bit) => ((BigInt(mask) >> BigInt(bit)) & 1n) === 1n));
const maskOf = (...names: string[]): number => names.reduce((sum, name) => sum + 2 ** capabilityNames.indexOf(name), 0);
const withProcess = (change: (process: Json) => void): Json => smallConfig((config) => change(config.process));
const inUserNamespace = (config: Json): Json => {
  config.linux.namespaces.push({ type: 'user' });
  config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 2 ** 16 }];
  config.linux.gidMappings = config.linux.uidMappings;
  return config;
};

const setNames = ['effective', 'permitted', 'inheritable', 'ambient'] as const;
const capabilities = fc.record({
  bounding: fc.subarray([...capabilityNames]),
  effective: fc.subarray([...capabilityNames]),
  permitted: fc.subarray([...capabilityNames]),
  inheritable: fc.subarray([...capabilityNames]),
  ambient: fc.subarray([...capabilityNames]),
});
const mask = fc.bigInt({ min: 0n, max: BigInt(allCapabilities) }).map(Number);

describe('capabilities', () => {
  test('are exactly the configured sets where the host grants them and the kernel can have them', () => {
    fc.assert(
      fc.property(fc.subarray([...capabilityNames]), fc.subarray([...capabilityNames]), (wide, narrow) => {
        const inner = narrow.filter((name) => wide.includes(name));
        const plan = planOf(
          withProcess((process) => {
            process.capabilities = {
              bounding: wide,
              permitted: wide,
              effective: inner,
              inheritable: inner,
              ambient: inner,
            };
          }),
        );
        expect(boundingOf(plan)).toEqual(new Set(capabilityNames.filter((name) => wide.includes(name))));
        expect(namesOf(setsOf(plan).permitted)).toEqual(boundingOf(plan));
        for (const set of ['effective', 'inheritable', 'ambient'] as const) {
          expect(namesOf(setsOf(plan)[set])).toEqual(new Set(capabilityNames.filter((name) => inner.includes(name))));
        }
      }),
    );
  });

  test('are never more than the configuration asks for, nor more than the host grants', () => {
    fc.assert(
      fc.property(capabilities, mask, mask, (sets, permitted, bounding) => {
        const plan = planOf(
          withProcess((process) => {
            process.capabilities = sets;
          }),
          {},
          { permitted, bounding },
        );
        const result = setsOf(plan);
        for (const set of setNames) {
          for (const name of namesOf(result[set])) {
            expect(sets[set]).toContain(name);
            expect(namesOf(permitted)).toContain(name);
          }
        }
        expect(boundingOf(plan)).toEqual(
          new Set(capabilityNames.filter((name) => sets.bounding.includes(name) && namesOf(bounding).has(name))),
        );
        expect(namesOf(result.permitted)).toEqual(
          new Set(capabilityNames.filter((name) => sets.permitted.includes(name) && namesOf(permitted).has(name))),
        );
      }),
    );
  });

  test('are sets that capset(2) and PR_CAP_AMBIENT_RAISE accept', () => {
    fc.assert(
      fc.property(sample, ({ plan }) => {
        const { effective, permitted, inheritable, ambient } = setsOf(plan);
        const within = (inner: number | bigint, outer: number | bigint) => (BigInt(inner) & ~BigInt(outer)) === 0n;
        expect(within(effective, permitted)).toBe(true);
        expect(within(ambient, permitted)).toBe(true);
        expect(within(ambient, inheritable)).toBe(true);
        expect(within(inheritable, only(all(plan.init, 'dropBounding')).keep)).toBe(true);
      }),
    );
  });

  test('are none where the configuration names none, as in runc', () => {
    const plan = planOf(withProcess((process) => delete process.capabilities));
    expect(setsOf(plan)).toMatchObject({ effective: 0, permitted: 0, inheritable: 0, ambient: 0, from: '' });
    expect(boundingOf(plan)).toEqual(new Set());
  });

  test('beyond 32 bits are kept apart from those below', () => {
    const high = ['CAP_BLOCK_SUSPEND', 'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE'];
    const plan = planOf(
      withProcess((process) => {
        process.capabilities = { bounding: high, permitted: high, effective: ['CAP_BPF'] };
      }),
    );
    expect(setsOf(plan).permitted).toBe(maskOf(...high));
    expect(setsOf(plan).effective).toBe(2 ** 39);
  });

  test('may be named twice', () => {
    const plan = planOf(
      withProcess((process) => {
        process.capabilities = { bounding: ['CAP_KILL', 'CAP_KILL'], permitted: ['CAP_KILL', 'CAP_KILL'] };
      }),
    );
    expect(setsOf(plan).permitted).toBe(maskOf('CAP_KILL'));
  });

  test('in a user namespace are not bound by those of the caller, but by what the kernel knows', () => {
    const plan = planOf(
      inUserNamespace(
        withProcess((process) => {
          process.capabilities = { bounding: ['CAP_SYS_ADMIN', 'CAP_BPF'], permitted: ['CAP_SYS_ADMIN', 'CAP_BPF'] };
        }),
      ),
      {},
      { permitted: 0, bounding: 0, lastCapability: 37 },
    );
    expect(namesOf(setsOf(plan).permitted)).toEqual(new Set(['CAP_SYS_ADMIN']));
    expect(boundingOf(plan)).toEqual(new Set(['CAP_SYS_ADMIN']));
  });
});

describe('the environment', () => {
  const execOf = (env: unknown) =>
    only(all(planOf(withProcess((process) => Object.assign(process, { env }))).init, 'exec'));

  test.each([
    [
      'the last value of a name, at the place of the first',
      ['A=1', 'B=2', 'A=3', 'HOME=/h'],
      ['A=3', 'B=2', 'HOME=/h'],
    ],
    ['values with = in them', ['A=b=c', 'HOME='], ['A=b=c', 'HOME=']],
    ['names that only begin alike', ['A=1', 'AA=2', 'HOME=/'], ['A=1', 'AA=2', 'HOME=/']],
  ])('has %s', (_, env, expected) => {
    expect(execOf(env)).toMatchObject({ env: expected, findHome: 0 });
  });

  test('gets a HOME behind the rest where it has none, to be looked up in /etc/passwd', () => {
    expect(execOf(['A=1'])).toMatchObject({ env: ['A=1', 'HOME=/'], findHome: 1 });
    expect(execOf(undefined)).toMatchObject({ env: ['HOME=/'], findHome: 1 });
    expect(execOf(['HOMEPAGE=x'])).toMatchObject({ env: ['HOMEPAGE=x', 'HOME=/'], findHome: 1 });
  });

  test('has each name once, and each name that was given', () => {
    fc.assert(
      fc.property(sample, ({ plan, spec, request }) => {
        const { env } = only(all(plan.init, 'exec'));
        const nameOf = (entry: string) => entry.slice(0, entry.indexOf('='));
        const wanted = [...(spec.process?.env ?? []), ...request.env];
        const given = wanted.map(nameOf);
        const missing = given.includes('HOME') ? [] : ['HOME'];
        expect(env.map(nameOf).toSorted()).toEqual([...new Set([...given, ...missing])].toSorted());
        for (const entry of env) if (given.includes(nameOf(entry))) expect(wanted).toContain(entry);
      }),
    );
  });

  test('says where the program is looked for; without a PATH the usual places serve, and it gets none', () => {
    const find = (env: string[]) => {
      const { init } = planOf(withProcess((process) => Object.assign(process, { env, args: ['tool', 'x'] })));
      expect(only(all(init, 'exec')).env.filter((entry) => entry.startsWith('PATH='))).toHaveLength(
        env.length > 0 ? 1 : 0,
      );
      return only(all(init, 'findExecutable'));
    };
    expect(find(['PATH=/a:/b'])).toMatchObject({ name: 'tool', path: '/a:/b' });
    expect(find(['PATH=/a', 'PATH=/c'])).toMatchObject({ path: '/c' });
    expect(find(['PATH='])).toMatchObject({ path: '' });
    expect(find([])).toMatchObject({ path: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' });
  });
});

describe('limits', () => {
  const steps = (config: Json) =>
    happening(planOf(config)).flatMap((step, place) => (step.op === 'setRlimit' ? [{ ...step, place }] : []));
  const config = (...list: [type: string, soft: number, hard: number][]) =>
    withProcess((process) => {
      process.rlimits = list.map(([type, soft, hard]) => ({ type, soft, hard }));
    });

  test('are set by init while it has the rights of the runtime', () => {
    const [core, memory] = steps(config(['RLIMIT_CORE', 0, 10], ['RLIMIT_AS', 5, 6]));
    expect(core).toMatchObject({ resource: rlimits['RLIMIT_CORE'], soft: 0, hard: 10, from: '/process/rlimits/0' });
    expect(memory).toMatchObject({ resource: rlimits['RLIMIT_AS'], soft: 5, hard: 6, from: '/process/rlimits/1' });
    const plan = planOf(config(['RLIMIT_CORE', 0, 10]));
    const list = plan.init.map(({ op }) => op);
    expect(list.indexOf('setRlimit')).toBeLessThan(list.indexOf('setIds'));
    expect(all(plan.host, 'setRlimit')).toEqual([]);
  });

  test('of few descriptors are set in two steps, because init needs some until the end', () => {
    const [first, last] = steps(config(['RLIMIT_NOFILE', 4, 4096]));
    expect(first).toMatchObject({ soft: 67, hard: 4096 });
    expect(last).toMatchObject({ soft: 4, hard: 4096 });
    const plan = planOf(config(['RLIMIT_NOFILE', 4, 8]));
    expect(all(plan.init, 'setRlimit').map(({ soft, hard }) => [soft, hard])).toEqual([
      [67, 67],
      [4, 8],
    ]);
    expect(plan.init.slice(-2).map(({ op }) => op)).toEqual(['setRlimit', 'exec']);
  });

  test('leave init its descriptors above those that the container gets', () => {
    const plan = planOf(config(['RLIMIT_NOFILE', 200, 200]), { preserveFds: 500 });
    expect(all(plan.init, 'setRlimit').map(({ soft, hard }) => [soft, hard])).toEqual([
      [567, 567],
      [200, 200],
    ]);
  });

  test.each([67, 1024, 2 ** 20])('of %d descriptors are set in one step', (count) => {
    expect(steps(config(['RLIMIT_NOFILE', count, count]))).toHaveLength(1);
  });

  test('without end are all bits set', () => {
    const [limit] = steps(config(['RLIMIT_MEMLOCK', 2 ** 64, 2 ** 64]));
    expect(limit).toMatchObject({ soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n });
  });

  test('are set by the host in a user namespace, where init may only lower them', () => {
    const plan = planOf(inUserNamespace(config(['RLIMIT_NOFILE', 4, 8], ['RLIMIT_CORE', 0, 0])));
    expect(all(plan.host, 'setRlimit').map(({ soft, hard }) => [soft, hard])).toEqual([
      [67, 67],
      [0, 0],
    ]);
    expect(all(plan.init, 'setRlimit').map(({ soft, hard }) => [soft, hard])).toEqual([[4, 8]]);
    const order = happening(plan).map(({ op }) => op);
    expect(order.indexOf('setRlimit')).toBeGreaterThan(order.indexOf('findExecutable'));
    expect(order.indexOf('setRlimit')).toBeLessThan(order.indexOf('awaitStart'));
  });

  test('end as the configuration has them, in every plan', () => {
    fc.assert(
      fc.property(sample, ({ plan, spec }) => {
        const last = new Map<number, [unknown, unknown]>();
        for (const step of happening(plan))
          if (step.op === 'setRlimit') last.set(step.resource, [step.soft, step.hard]);
        const value = (limit: number) => (limit >= 2 ** 64 ? 2n ** 64n - 1n : limit);
        const wanted = (spec.process?.rlimits ?? []).map(
          ({ type, soft, hard }) => [rlimits[type], [value(soft), value(hard)]] as const,
        );
        expect([...last].toSorted(([a], [b]) => a - b)).toEqual(wanted.toSorted(([a = 0], [b = 0]) => a - b));
      }),
    );
  });
});

describe('the user', () => {
  test('has the ids, groups and umask of the configuration, and 022 where it names none', () => {
    const idsOf = (user: unknown) =>
      only(all(planOf(withProcess((process) => Object.assign(process, { user }))).init, 'setIds'));
    expect(idsOf({ uid: 7, gid: 8, umask: 0o77, additionalGids: [9, 10] })).toMatchObject({
      uid: 7,
      gid: 8,
      umask: 0o77,
      groups: [9, 10],
    });
    expect(idsOf({ uid: 0, gid: 0 })).toMatchObject({ uid: 0, gid: 0, umask: 0o22, groups: [] });
    expect(idsOf({ uid: 0, gid: 0, umask: 0 })).toMatchObject({ umask: 0 });
  });

  test('who is not root gets standard input and output for their own, unless a terminal takes their place', () => {
    const ops = (uid: number, terminal: boolean) =>
      planOf(withProcess((process) => Object.assign(process, { user: { uid, gid: 0 }, terminal }))).init.map(
        ({ op }) => op,
      );
    expect(ops(5, false)).toContain('ownStdio');
    expect(ops(5, true)).not.toContain('ownStdio');
    expect(ops(0, false)).toContain('ownStdio');
    expect(ops(5, true)).toEqual(expect.arrayContaining(['openConsole', 'mountConsole', 'useConsole']));
  });
});

describe('hooks', () => {
  test('read a state that is JSON, whatever the annotations are', () => {
    fc.assert(
      fc.property(sample, ({ plan, spec, request }) => {
        for (const step of happening(plan)) {
          if (step.op !== 'runHook') continue;
          const state: unknown = JSON.parse(`${step.stateHead}4242${step.stateTail}`);
          expect(state).toEqual({
            ociVersion: spec.ociVersion,
            id: request.id,
            status: step.from.startsWith('/hooks/startContainer') ? 'created' : 'creating',
            pid: 4242,
            bundle: request.bundle,
            ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
          });
          expect(`${step.stateHead}${step.stateTail}`).not.toContain('\0');
        }
      }),
    );
  });

  test('may take 49 days, and not wrap round to nothing', () => {
    const timeout = (seconds: number) =>
      all(
        planOf(smallConfig((config) => (config.hooks = { startContainer: [{ path: '/h', timeout: seconds }] }))).init,
        'runHook',
      )[0]?.timeoutMs;
    expect(timeout(5)).toBe(5000);
    expect(timeout(2 ** 32)).toBe(2 ** 32 - 1);
    expect(timeout(2 ** 63)).toBe(2 ** 32 - 1);
  });
});
