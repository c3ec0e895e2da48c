// What must hold for the plan of every valid configuration: the order that the kernel and the specification ask for.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOUNT_ATTR_RDONLY } from '../../src/linux/flags.ts';
import { compile, type Plan } from '../../src/plan/plan.ts';
import { SLOT_MOUNT, SLOT_ROOT, type Step, SYNC_FORKED } from '../../src/plan/steps.gen.ts';
import { cleanPath } from '../../src/spec/text.ts';
import { all, everything, happening, names, planOf, type Sample, sample, smallConfig, specOf } from './plan-samples.ts';
import type { Json } from './spec-samples.ts';

const forEverySample = (check: (sample: Sample) => void): void => {
  const property = fc.property(sample, (made) => {
    check(made);
  });
  fc.assert(property, { numRuns: 100 });
};

const isInside = (step: Step) =>
  !isLateDev(step) &&
  [
    'attachMount',
    'findMount',
    'reconfigure',
    'remount',
    'makePath',
    'makeDevice',
    'makeLink',
    'openConsole',
    'mountConsole',
  ].includes(step.op);
const is =
  (...ops: readonly Step['op'][]) =>
  (step: Step) =>
    ops.includes(step.op);
const isMask = is('maskPath', 'readonlyPath');
const isRootChange = is('pivotRoot', 'moveRoot', 'changeRoot');
const hookOf =
  (...kinds: readonly string[]) =>
  (step: Step) =>
    step.op === 'runHook' && kinds.some((kind) => step.from.startsWith(`/hooks/${kind}/`));
const reachesReady = (step: Step) => step.op === 'awaitInit' && step.from === '' && step.why.includes('last steps');

/** /dev is made read-only when its devices are made: its mount has its steps before. */
const isLateDev = (step: Step) => step.op === 'findMount' && step.why.startsWith('read-only as asked for');

type Pick = (step: Step) => boolean;

/** Whatever the first picks stands before all that the second picks. */
const orders: readonly (readonly [sentence: string, first: Pick, second: Pick])[] = [
  ['a cgroup is made before it is opened', is('makeDir'), is('openCgroup')],
  ['a cgroup is opened before its device filter is attached', is('openCgroup'), is('attachDeviceFilter')],
  ['the device filter is attached before init is born', is('attachDeviceFilter'), is('launch')],
  ['the cgroup is opened before init is born in it', is('openCgroup'), is('launch')],
  ['the gate is open before init is born, who inherits it', is('openGate'), is('launch')],
  [
    'init is born before anything is asked of it',
    is('launch'),
    is('awaitInit', 'releaseInit', 'writeIdMap', 'setOomScoreAdj'),
  ],
  [
    'init is born before it takes a step',
    is('launch'),
    is('newSession', 'openTree', 'takeRoot', 'joinNamespace', 'unshare'),
  ],
  ['the mappings are written before init takes uid 0 of its new user namespace', is('writeIdMap'), is('becomeRoot')],
  ['the namespaces are joined before the container process is made', is('joinNamespace'), is('fork')],
  ['the clocks are opened with the rights of the host', is('openTimeOffsets'), is('unshare', 'becomeRoot')],
  [
    'the clocks are set and the time namespace entered before the container process is made',
    is('enterTimeNamespace'),
    is('fork'),
  ],
  [
    'the container process is made before the session and the mounts',
    is('fork'),
    is('newSession', 'setPropagation', 'attachRoot'),
  ],
  ['lo is brought up before hooks run', is('bringUpLoopback'), is('runHook')],
  ['mounts stop to travel to the host before the first one is made', is('privateParent'), is('attachRoot')],
  ['a chroot is left before the first mount', is('leaveChroot'), is('setPropagation', 'attachRoot')],
  ['the root is cloned before it is attached', is('openTree', 'takeRoot'), is('attachRoot')],
  ['the root is attached before anything is put into it', is('attachRoot'), isInside],
  ['the root is filled before it is entered', isInside, isRootChange],
  [
    'the root is filled before the hooks of its creation',
    isInside,
    hookOf('prestart', 'createRuntime', 'createContainer'),
  ],
  ['devices are made after the last mount, which may be /dev', is('attachMount'), is('makeDevice', 'makeLink')],
  ['the terminal is opened before it is mounted', is('openConsole'), is('mountConsole')],
  ['the terminal is mounted before it is used', is('mountConsole'), is('useConsole')],
  [
    'the terminal is used before descriptors are closed, of which its own is one',
    is('useConsole'),
    is('closeDescriptors'),
  ],
  ['the own procfs is opened before parameters are written', is('openProc'), is('writeSysctl')],
  ['parameters are written before the root is entered', is('writeSysctl'), isRootChange],
  ['prestart hooks run before createRuntime hooks', hookOf('prestart'), hookOf('createRuntime')],
  ['createRuntime hooks run before createContainer hooks', hookOf('createRuntime'), hookOf('createContainer')],
  ['masks come after the hooks of the creation', hookOf('prestart', 'createRuntime', 'createContainer'), isMask],
  ['masks come before the root is entered', isMask, isRootChange],
  ['masks come after read-only paths, which would uncover them', is('readonlyPath'), is('maskPath')],
  ['the mounts of the host that are in the way go before the root moves', is('detachMount'), is('moveRoot')],
  ['the root is entered before descriptors are closed', isRootChange, is('closeDescriptors')],
  ['descriptors are closed before the working directory is entered', is('closeDescriptors'), is('changeDir')],
  ['descriptors are closed before the program is looked for', is('closeDescriptors'), is('findExecutable')],
  ['the bounding set is cut while CAP_SETPCAP is there', is('dropBounding'), is('setIds')],
  ['the ids change before the capabilities go', is('setIds'), is('setCapabilities')],
  ['standard input is given away while chown is permitted', is('ownStdio'), is('setIds')],
  ['no_new_privs is set before the capabilities go', is('noNewPrivileges'), is('setCapabilities')],
  ['the program is looked for with the rights of its user', is('setCapabilities'), is('findExecutable')],
  ['the program is found before the container counts as created', is('findExecutable'), reachesReady],
  ['limits of the program do not stop the work of init', is('setCapabilities'), is('setOomScoreAdj')],
  ['the container is created before it waits for its start', reachesReady, is('awaitStart')],
  ['startContainer hooks run after the start', is('awaitStart'), hookOf('startContainer')],
  ['startContainer hooks run before the program', hookOf('startContainer'), is('exec')],
];

describe('in every plan', () => {
  test.each(orders)('%s', (_, first, second) => {
    forEverySample(({ plan }) => {
      const steps = happening(plan);
      const start = steps.findIndex(second);
      const end = steps.findLastIndex(first);
      if (start >= 0) expect(end, names(steps).join(' ')).toBeLessThan(start);
    });
  });

  test('the order above is about steps that plans have', () => {
    const steps = [everything(), smallConfig(joinAll)].flatMap((config) => [
      ...happening(planOf(config, { gate: '/gate' })),
      ...happening(planOf(config, { noPivot: true }, { kernelMounts: ['/proc'], inChroot: true })),
      ...happening(planOf(smallConfig((bare) => (bare.linux.namespaces = [{ type: 'uts' }])))),
      ...happening(planOf(smallConfig((bare) => (bare.process.user.uid = 1)))),
    ]);
    for (const [sentence, first, second] of orders) {
      expect(steps.some(first), `first of: ${sentence}`).toBe(true);
      expect(steps.some(second), `second of: ${sentence}`).toBe(true);
    }
  });

  test('exec is the last step of init, and there is no other', () => {
    forEverySample(({ plan }) => {
      expect(all(plan.init, 'exec')).toHaveLength(1);
      expect(plan.init.at(-1)?.op).toBe('exec');
    });
  });

  test.each(['launch'] as const)('the host does once: %s', (op) => {
    forEverySample(({ plan }) => expect(all(plan.host, op)).toHaveLength(1));
  });

  test.each([
    'closeDescriptors',
    'dropBounding',
    'setIds',
    'setCapabilities',
    'findExecutable',
    'awaitStart',
    'newSession',
  ] as const)('init does once: %s', (op) => {
    forEverySample(({ plan }) => expect(all(plan.init, op)).toHaveLength(1));
  });

  test('the root is changed once, and in one of the three ways', () => {
    forEverySample(({ plan, spec, request }) => {
      const hasMount = spec.linux.namespaces?.some(({ type }) => type === 'mount') ?? false;
      expect(plan.init.filter(isRootChange).map(({ op }) => op)).toEqual([
        !hasMount ? 'changeRoot' : request.noPivot ? 'moveRoot' : 'pivotRoot',
      ]);
    });
  });

  test('the working directory is entered twice: the second time as the user, and then for good', () => {
    forEverySample(({ plan }) => {
      const steps = plan.init.filter(is('changeDir', 'setIds'));
      expect(steps.map((step) => (step.op === 'changeDir' ? step.last : step.op))).toEqual([0, 'setIds', 1]);
    });
  });
});

describe('namespaces', () => {
  test('are entered user first, because it owns the others', () => {
    forEverySample(({ plan, spec, facts }) => {
      if (spec.linux.namespaces?.every(({ type }) => type !== 'user') ?? true) return;
      const isUser = (step: Step) =>
        (step.op === 'joinNamespace' ? step.type : step.op === 'unshare' ? step.namespaces : 0) === 0x10000000;
      const user = plan.init.findIndex(isUser);
      // What is joined may belong to the host, and its root joins it while it is still that.
      const first = plan.init.findIndex(facts.euid === 0 ? is('unshare') : is('joinNamespace', 'unshare'));
      expect(user).toBeGreaterThanOrEqual(0);
      if (plan.init[user]?.op === 'unshare' || facts.euid !== 0) expect(first).toBe(user);
      else if (first >= 0) expect(first).toBeGreaterThan(user);
      expect(all(plan.host, 'launch')[0]?.namespaces).toBe(0);
      expect(['becomeRoot', 'makeDumpable', 'sync', 'checkIdMap']).toContain(plan.init[user + 1]?.op);
    });
  });

  test('are each made or joined exactly once', () => {
    const flags: Record<string, number> = {
      pid: 0x20000000,
      network: 0x40000000,
      mount: 0x20000,
      ipc: 0x8000000,
      uts: 0x4000000,
      user: 0x10000000,
      cgroup: 0x2000000,
      time: 0x80,
    };
    forEverySample(({ plan, spec }) => {
      const made = [
        ...all(plan.host, 'launch').map((step) => step.namespaces),
        ...all(plan.init, 'unshare').map((step) => step.namespaces),
      ];
      const joins = all(plan.init, 'joinNamespace').map(({ type, path }) => [type, path]);
      const list = spec.linux.namespaces ?? [];
      const fresh = list.filter((entry) => entry.path === undefined).map(({ type }) => flags[type] ?? 0);
      const bits = (masks: number[]) =>
        masks.flatMap((mask) => Object.values(flags).filter((flag) => (mask & flag) !== 0));
      expect(bits(made).toSorted((a, b) => a - b)).toEqual(fresh.toSorted((a, b) => a - b));
      const wanted = list.flatMap(({ type, path }) => (path === undefined ? [] : [[flags[type], path]]));
      expect(new Set(joins.map(String))).toEqual(new Set(wanted.map(String)));
      expect(joins).toHaveLength(wanted.length);
    });
  });

  test('the root is opened before they are entered, where they would take the rights away', () => {
    forEverySample(({ plan, spec, request, facts }) => {
      const has = (wanted: string) => spec.linux.namespaces?.some(({ type }) => type === wanted) === true;
      if (!all(plan.init, 'fork').length || !has('mount') || (facts.euid !== 0 && has('user'))) return;
      expect(plan.init[0]?.op).toBe(request.overlay === undefined ? 'openTree' : 'mount');
    });
  });

  test('without root it is opened inside, where alone there is a right to', () => {
    forEverySample(({ plan, spec, facts }) => {
      if (facts.euid === 0 || !spec.linux.namespaces?.some(({ type }) => type === 'user')) return;
      const ops = plan.init.map(({ op }) => op);
      const open = ops.findIndex((op) => op === 'openTree' || op === 'takeRoot');
      if (open >= 0) expect(open).toBeGreaterThan(ops.indexOf('fork'));
    });
  });
});

describe('layers', () => {
  const overlay = { lower: ['/s/2', '/s/a:b,c\\d'], upper: '/b/upper', work: '/b/work', volatile: true };

  test('are mounted as they are, and no path of theirs is read as an option', () => {
    const [mount] = all(planOf(smallConfig(), { overlay }).init, 'mount');
    expect(mount?.options).toEqual([
      'lowerdir=/s/2:/s/a\\:b\\,c\\\\d',
      'upperdir=/b/upper',
      'workdir=/b/work',
      'index=off',
      'metacopy=off',
      'redirect_dir=nofollow',
      'volatile',
    ]);
  });

  test('need a mount namespace', () => {
    const config = smallConfig((each) => (each.linux.namespaces = [{ type: 'uts' }]));
    expect(() => planOf(config, { overlay })).toThrow('expected a mount namespace');
  });
});

/**
 * Runs both sides against each other: each stops where it would wait for the other. A plan in which both wait, or in
 * which init is let go where it does not stop, is one that hangs.
 */
function meet({ host, init }: Plan): string {
  const events: string[] = [];
  for (const step of init) {
    if (step.op === 'fork') events.push('pid');
    if (step.op === 'sync') events.push(`at ${step.sync}${step.wait === 1 ? ' held' : ''}`);
  }
  let held = -1;
  for (const step of host) {
    if (step.op === 'awaitInit') {
      if (held >= 0) return `host waits for ${step.sync} while init is held at ${held}`;
      // The host side takes the pid while it waits for SYNC_FORKED, and at no other point.
      const forked = events[0] === 'pid';
      if (forked !== (step.sync === SYNC_FORKED)) return `fork before ${step.sync}: ${forked}`;
      if (forked) events.shift();
      const event = events.shift();
      if (event === `at ${step.sync} held`) held = step.sync;
      else if (event !== `at ${step.sync}`) return `host waits for ${step.sync}, init is ${event ?? 'at the end'}`;
    }
    if (step.op === 'releaseInit') {
      if (held !== step.sync) return `host lets init go from ${step.sync}, which is held at ${held}`;
      held = -1;
    }
  }
  if (held >= 0) return `init stays at ${held}`;
  return events.length === 0 ? 'ok' : `nobody waits for ${events.join(', ')}`;
}

describe('the two sides', () => {
  test('meet at each sync point, in the same order, and neither is left waiting', () => {
    forEverySample(({ plan }) => expect(meet(plan)).toBe('ok'));
  });

  test('would be seen to hang if a step of either were missing', () => {
    const plan = planOf(everything());
    const isMeeting = is('sync', 'awaitInit', 'releaseInit', 'fork');
    for (const side of ['host', 'init'] as const) {
      plan[side].forEach((step, index) => {
        if (!isMeeting(step)) return;
        expect(meet({ ...plan, [side]: plan[side].toSpliced(index, 1) }), `without ${side} ${index}`).not.toBe('ok');
      });
    }
  });

  test('hold init while the host writes mappings and runs hooks', () => {
    forEverySample(({ plan }) => {
      const steps = happening(plan);
      let held = false;
      for (const step of steps) {
        if (step.op === 'sync') held = step.wait === 1;
        if (step.op === 'releaseInit') held = false;
        if (step.op === 'writeIdMap' || hookOf('prestart', 'createRuntime')(step)) expect(held).toBe(true);
      }
    });
  });
});

describe('a descriptor that a step uses', () => {
  test('was opened by a step before it', () => {
    forEverySample(({ plan }) => {
      const filled = new Set<number | string>();
      for (const step of plan.init) {
        if (step.op === 'openTree' || step.op === 'takeRoot' || step.op === 'changeRoot') filled.add(SLOT_ROOT);
        if (step.op === 'mount' || step.op === 'bind' || step.op === 'findMount') filled.add(SLOT_MOUNT);
        if (step.op === 'openProc') filled.add('proc');
        if (step.op === 'setMount') expect(filled, step.from).toContain(step.slot);
        if (step.op === 'attachMount' || step.op === 'remount' || step.op === 'reconfigure')
          expect(filled).toContain(SLOT_MOUNT);
        if (step.op === 'attachMount') filled.add(step.keep);
        if (step.op === 'writeSysctl') expect(filled).toContain('proc');
        if (isInside(step) || isMask(step) || step.op === 'pivotRoot') expect(filled).toContain(SLOT_ROOT);
        if (step.op === 'closeDescriptors') filled.clear();
      }
    });
  });

  test('is there for a /dev that a remount makes read-only', () => {
    const { init } = planOf(
      smallConfig((config) => {
        config.mounts = [
          { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
          { destination: '/dev', options: ['remount', 'ro'] },
        ];
      }),
    );
    const changes = init.flatMap((step, index) =>
      step.op === 'setMount' && (step.set & MOUNT_ATTR_RDONLY) !== 0 ? [index] : [],
    );
    expect(changes).toHaveLength(1);
    const [change = 0] = changes;
    expect(change).toBeGreaterThan(init.findLastIndex(is('makeDevice', 'makeLink')));
    expect(init[change]).toMatchObject({ slot: SLOT_MOUNT });
    expect(init[change - 1]).toMatchObject({ op: 'findMount', target: '/dev' });
    expect(all(init, 'reconfigure')).toEqual([]);
  });
});

/** What a JSON pointer (RFC 6901) leads to. */
function resolve(config: Json, pointer: string): Json {
  return pointer
    .split('/')
    .slice(1)
    .reduce((value: Json, key) => {
      const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
      return value !== null && typeof value === 'object' && Object.hasOwn(value, name) ? value[name] : undefined;
    }, config);
}

describe('every step', () => {
  test('says why it is taken, in one line', () => {
    forEverySample(({ plan }) => {
      for (const step of [...plan.host, ...plan.init]) expect(step.why, step.op).toMatch(/^[^\n]{5,}[^\n.]$/);
    });
  });

  test('names a field that the configuration has, or none', () => {
    forEverySample(({ plan, spec }) => {
      for (const step of [...plan.host, ...plan.init]) {
        if (step.from === '') continue;
        expect(resolve(spec, step.from), `${step.op} ${step.from}`).toBeDefined();
      }
    });
  });

  test('of a mount, a mask, a device, a limit or a parameter names the entry that it is made from', () => {
    forEverySample(({ plan, spec }) => {
      for (const step of plan.init) {
        const entry = resolve(spec, step.from);
        if (step.op === 'attachMount') expect(cleanPath(entry)).toBe(step.target);
        if (step.op === 'findMount')
          expect(cleanPath(resolve(spec, step.from.replace('/options', '/destination')))).toBe(step.target);
        if (step.op === 'maskPath' || step.op === 'readonlyPath') expect(entry).toBe(step.path);
        if (step.op === 'makeDevice' && step.from !== '') expect(cleanPath(entry.path)).toBe(step.path);
        if (step.op === 'writeSysctl') expect(entry).toBe(step.value);
        if (step.op === 'joinNamespace') expect(entry).toBe(step.path);
        if (step.op === 'runHook') expect(entry.path).toBe(step.path);
      }
    });
  });
});

describe('nothing of the configuration is lost:', () => {
  test('each mount is attached, or found to be changed, in the order of the file', () => {
    forEverySample(({ plan, spec }) => {
      const targets = plan.init.flatMap((step) =>
        (step.op === 'attachMount' || step.op === 'findMount') && !isLateDev(step) ? [step.target] : [],
      );
      expect(targets).toEqual((spec.mounts ?? []).map(({ destination }) => cleanPath(destination)));
    });
  });

  test('each masked and each read-only path has its step', () => {
    forEverySample(({ plan, spec }) => {
      expect(all(plan.init, 'maskPath').map(({ path }) => path)).toEqual(spec.linux.maskedPaths ?? []);
      expect(all(plan.init, 'readonlyPath').map(({ path }) => path)).toEqual(spec.linux.readonlyPaths ?? []);
    });
  });

  test('each device is made, and so are the default ones, unless the configuration brings its own /dev', () => {
    forEverySample(({ plan, spec }) => {
      const hasMount = spec.linux.namespaces?.some(({ type }) => type === 'mount') ?? false;
      const bindsDev = (spec.mounts ?? []).some(
        ({ destination, options }) =>
          cleanPath(destination) === '/dev' &&
          (options ?? []).some((option) => option === 'bind' || option === 'rbind'),
      );
      const paths = all(plan.init, 'makeDevice').map(({ path }) => path);
      if (!hasMount || bindsDev) {
        expect(paths).toEqual([]);
        return;
      }
      const wanted = (spec.linux.devices ?? [])
        .map(({ path }) => cleanPath(path))
        .filter((path) => path !== '/dev/ptmx');
      const standard = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);
      expect(new Set(paths)).toEqual(new Set([...standard, ...wanted]));
      expect(paths.length).toBe(standard.filter((path) => !wanted.includes(path)).length + wanted.length);
    });
  });

  test('each hook, each parameter and each name has its step', () => {
    forEverySample(({ plan, spec }) => {
      for (const kind of ['prestart', 'createRuntime', 'createContainer', 'startContainer'] as const) {
        const steps = happening(plan).filter(hookOf(kind));
        expect(steps.map((step) => (step as { path?: string }).path)).toEqual(
          (spec.hooks?.[kind] ?? []).map(({ path }) => path),
        );
      }
      expect(all(plan.init, 'writeSysctl')).toHaveLength(Object.keys(spec.linux.sysctl ?? {}).length);
      expect(all(plan.init, 'setHostname').map(({ name }) => name)).toEqual(
        spec.hostname === undefined ? [] : [spec.hostname],
      );
      expect(all(plan.init, 'setDomainname').map(({ name }) => name)).toEqual(
        spec.domainname === undefined ? [] : [spec.domainname],
      );
    });
  });
});

describe('the type of a device', () => {
  test.each([
    ['c', 0o20000],
    ['u', 0o20000],
    ['b', 0o60000],
    ['p', 0o10000],
  ])('%s is what the configuration says, whatever stands in fileMode', (type, bits) => {
    for (const fileMode of [undefined, 0o640, 0o20640, 0o60640, 0o10640, 0o140640, 0o100640, 2 ** 26 + 0o640]) {
      const { init } = planOf(
        smallConfig((config) => {
          config.linux.devices = [
            { type, path: '/dev/x', major: 1, minor: 2, ...(fileMode === undefined ? {} : { fileMode }) },
          ];
        }),
      );
      const made = all(init, 'makeDevice').find(({ path }) => path === '/dev/x');
      expect(made?.mode.toString(8)).toBe((bits | (fileMode === undefined ? 0o666 : 0o640)).toString(8));
    }
  });
});

describe('compile', () => {
  const freeze = (value: Json): Json => {
    if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
    return value;
  };

  test('makes the same plan of the same input, which it does not change', () => {
    forEverySample(({ config, request, facts, plan }) => {
      const spec = freeze(specOf(config));
      const before = JSON.stringify(spec);
      expect(compile(spec, freeze(request), freeze(facts))).toEqual(plan);
      expect(JSON.stringify(spec)).toBe(before);
    });
  });

  test('gives each side only steps that it knows', () => {
    const both = ['setRlimit', 'runHook'];
    const host = [
      'makeDir',
      'writeFile',
      'openCgroup',
      'attachDeviceFilter',
      'openGate',
      'launch',
      'awaitInit',
      'releaseInit',
      'writeIdMap',
      'setOomScoreAdj',
      'checkUsage',
      'makeResctrlGroup',
      'joinResctrlGroup',
      'changeOwner',
      'moveNetDevice',
      'setScheduler',
      'setIoPriority',
      'setAffinity',
      ...both,
    ];
    forEverySample(({ plan }) => {
      for (const step of plan.host) expect(host).toContain(step.op);
      for (const step of plan.init) if (!both.includes(step.op)) expect(host).not.toContain(step.op);
    });
  });
});

function joinAll(config: Json): void {
  config.linux.namespaces = ['pid', 'network', 'mount', 'uts', 'cgroup'].map((type) => ({
    type,
    path: `/run/ns/${type}`,
  }));
  config.linux.rootfsPropagation = 'shared';
}
