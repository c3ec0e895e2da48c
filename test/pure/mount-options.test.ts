// Mount options: one table of what each means, from left to right, and what of it reaches the kernel.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MOUNT_ATTR__ATIME as ATIME,
  MOUNT_ATTR_NOATIME as NOATIME,
  MOUNT_ATTR_NODEV as NODEV,
  MOUNT_ATTR_NODIRATIME as NODIRATIME,
  MOUNT_ATTR_NOEXEC as NOEXEC,
  MOUNT_ATTR_NOSUID as NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW as NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY as RDONLY,
  MOUNT_ATTR_STRICTATIME as STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from '../../src/linux/flags.ts';
import { mountOptionNames, parseMountOptions, propagations } from '../../src/plan/mount-options.ts';
import { SLOT_MOUNT } from '../../src/plan/steps.gen.ts';
import { all, planOf, smallConfig } from './plan-samples.ts';

type Row = readonly [options: string, set: number, clear: number];

describe('an option on a single mount', () => {
  const rows: readonly Row[] = [
    ['', 0, 0],
    ['defaults', 0, 0],
    ['loud', 0, 0],
    ['silent', 0, 0],
    ['ro', RDONLY, 0],
    ['rw', 0, RDONLY],
    ['nosuid', NOSUID, 0],
    ['suid', 0, NOSUID],
    ['nodev', NODEV, 0],
    ['dev', 0, NODEV],
    ['noexec', NOEXEC, 0],
    ['exec', 0, NOEXEC],
    ['nodiratime', NODIRATIME, 0],
    ['diratime', 0, NODIRATIME],
    ['nosymfollow', NOSYMFOLLOW, 0],
    ['symfollow', 0, NOSYMFOLLOW],
    ['noatime', NOATIME, ATIME],
    ['strictatime', STRICTATIME, ATIME],
    ['relatime', 0, ATIME],
    ['atime', 0, ATIME],
    ['norelatime', STRICTATIME, ATIME],
    ['nostrictatime', 0, ATIME],
  ];
  test.each(rows)('%s sets 0x%x and clears 0x%x', (option, set, clear) => {
    expect(parseMountOptions(option === '' ? [] : [option])).toMatchObject({
      single: { set, clear },
      tree: { set: 0, clear: 0 },
    });
  });

  test.each(rows.filter(([option]) => !['', 'defaults', 'loud', 'silent'].includes(option)))(
    '%s with an r before it does so for the whole tree',
    (option, set, clear) => {
      // `ratime` and the like are the tree's, never a name of the file system's own.
      expect(parseMountOptions([`r${option}`])).toMatchObject({
        tree: { set, clear },
        single: { set: 0, clear: 0 },
        data: [],
      });
    },
  );
});

describe('options are read from left to right:', () => {
  test.each<Row>([
    ['ro,rw', 0, RDONLY],
    ['rw,ro', RDONLY, 0],
    ['ro,rw,ro', RDONLY, 0],
    ['nosuid,nodev,suid', NODEV, NOSUID],
    ['noatime,relatime', 0, ATIME],
    ['relatime,noatime', NOATIME, ATIME],
    ['noatime,strictatime', STRICTATIME, ATIME],
    ['strictatime,nostrictatime', 0, ATIME],
    ['noatime,nodiratime', NOATIME | NODIRATIME, ATIME],
    ['nodiratime,noatime,diratime', NOATIME, ATIME | NODIRATIME],
    ['ro,noatime,nosuid', RDONLY | NOATIME | NOSUID, ATIME],
  ])('%s sets 0x%x and clears 0x%x', (options, set, clear) => {
    expect(parseMountOptions(options.split(','))).toMatchObject({ single: { set, clear } });
  });

  test('whatever they are, mount_setattr(2) accepts what comes out', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...mountOptionNames), { maxLength: 12 }), (options) => {
        const { single, tree } = parseMountOptions(options);
        for (const { set, clear } of [single, tree]) {
          // An access time is set only with the whole field cleared, and nothing else is both set and cleared.
          if ((set & ATIME) !== 0) expect(clear & ATIME).toBe(ATIME);
          expect([0, ATIME]).toContain(clear & ATIME);
          expect([0, NOATIME, STRICTATIME]).toContain(set & ATIME);
          expect(set & clear & ~ATIME).toBe(0);
        }
      }),
    );
  });

  test('an option after all others has its effect', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...mountOptionNames), { maxLength: 8 }),
        fc.constantFrom(...mountOptionNames),
        (before, last) => {
          const alone = parseMountOptions([last]);
          const together = parseMountOptions([...before, last]);
          for (const part of ['single', 'tree'] as const) {
            expect(together[part].set & alone[part].set).toBe(alone[part].set);
            expect(together[part].set & alone[part].clear & ~alone[part].set).toBe(0);
          }
          if (alone.bind !== undefined) expect(together.bind).toBe(alone.bind);
        },
      ),
    );
  });
});

describe('propagation', () => {
  test.each([
    ['shared', MS_SHARED, false],
    ['slave', MS_SLAVE, false],
    ['private', MS_PRIVATE, false],
    ['unbindable', MS_UNBINDABLE, false],
    ['rshared', MS_SHARED, true],
    ['rslave', MS_SLAVE, true],
    ['rprivate', MS_PRIVATE, true],
    ['runbindable', MS_UNBINDABLE, true],
  ])('%s is 0x%x, for the tree: %s', (option, flag, recursive) => {
    expect(parseMountOptions([option]).propagation).toEqual([{ flag, recursive }]);
    expect(parseMountOptions([option])).toMatchObject({ single: { set: 0, clear: 0 }, data: [] });
  });

  test('is set step by step, in the order given, after the mount is at its place', () => {
    const plan = planOf(
      smallConfig((config) => (config.mounts = [{ destination: '/a', type: 'tmpfs', options: ['rslave', 'shared'] }])),
    );
    const steps = plan.init.filter(({ from }) => from.startsWith('/mounts/0'));
    expect(steps.map((step) => (step.op === 'setMount' ? step.propagation : step.op))).toEqual([
      'mount',
      'attachMount',
      MS_SLAVE,
      MS_SHARED,
    ]);
  });
});

describe('what the table does not know', () => {
  test('is for the file system, in order, one value at a time', () => {
    expect(parseMountOptions(['size=64k', 'mode=755,uid=5', 'nosuid', 'gid=6']).data).toEqual([
      'size=64k',
      'mode=755',
      'uid=5',
      'gid=6',
    ]);
  });

  test('may have a comma at its ends', () => {
    expect(parseMountOptions([',a=1,,b,']).data).toEqual(['a=1', 'b']);
  });

  test.each(['sync', 'async', 'dirsync', 'lazytime', 'nolazytime', 'mand', 'nomand', 'ro', 'rw'])(
    'and %s, a flag of the superblock, goes there too',
    (option) => {
      expect(parseMountOptions([option]).data).toEqual([option]);
    },
  );

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty', 'rtoString', 'valueOf'])(
    'is for the file system even if every object of JavaScript has a %s',
    (option) => {
      expect(parseMountOptions([option])).toEqual({
        bind: undefined,
        single: { set: 0, clear: 0 },
        tree: { set: 0, clear: 0 },
        propagation: [],
        data: [option],
        remount: 0,
        again: false,
        idmap: undefined,
        copyUp: false,
      });
    },
  );

  test('is for the file system, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (option) => {
        fc.pre(!mountOptionNames.includes(option) && !option.includes('"'));
        expect(parseMountOptions([option]).data).toEqual(option.split(',').filter((part) => part !== ''));
      }),
    );
  });
});

describe('mountOptionNames', () => {
  test('has each name once, and the tables know each', () => {
    expect(new Set(mountOptionNames).size).toBe(mountOptionNames.length);
    for (const name of mountOptionNames) {
      const parsed = parseMountOptions([name]);
      const isSuperblock = [
        'ro',
        'rw',
        'sync',
        'async',
        'dirsync',
        'lazytime',
        'nolazytime',
        'mand',
        'nomand',
      ].includes(name);
      expect(parsed.data).toEqual(isSuperblock ? [name] : []);
    }
    expect(mountOptionNames).toEqual(expect.arrayContaining(Object.keys(propagations)));
  });
});

const mountSteps = (options: readonly string[], more: object = { type: 'tmpfs', source: 'tmpfs' }) =>
  planOf(smallConfig((config) => (config.mounts = [{ destination: '/a', ...more, options }]))).init.filter(({ from }) =>
    from.startsWith('/mounts/0'),
  );

describe('a bind', () => {
  const bound = (...options: string[]) => mountSteps(['bind', ...options], { source: '/srv' });

  test.each([
    ['bind', 0],
    ['rbind', 1],
  ])('with %s clones the mount, with those below it: %d', (option, recursive) => {
    expect(mountSteps([option], { source: '/srv' })[0]).toMatchObject({ op: 'bind', source: '/srv', recursive });
  });

  test('of a relative source starts at the bundle', () => {
    expect(mountSteps(['bind'], { source: '../x' })[0]).toMatchObject({ source: '/bundles/box/../x' });
  });

  test('is read-only, and so on, before it can be seen', () => {
    const steps = bound('ro', 'nosuid', 'rnodev');
    expect(steps.map(({ op }) => op)).toEqual(['bind', 'setMount', 'setMount', 'attachMount']);
    expect(steps[1]).toMatchObject({ slot: SLOT_MOUNT, set: RDONLY | NOSUID, clear: 0, recursive: 0, propagation: 0 });
    expect(steps[2]).toMatchObject({ set: NODEV, recursive: 1 });
  });

  test('ignores what is for a file system, because that is the host’s', () => {
    expect(bound('size=1m', 'sync', 'lazytime').map(({ op }) => op)).toEqual(['bind', 'attachMount']);
  });

  test('leaves the superblock alone even for iversion: it is the host’s', () => {
    expect(bound('iversion').map(({ op }) => op)).toEqual(['bind', 'attachMount']);
  });

  test('does not need a type, and does not look at one', () => {
    for (const type of ['none', 'bind', 'tmpfs', undefined]) {
      expect(mountSteps(['bind'], { source: '/srv', type })[0]).toMatchObject({ op: 'bind' });
    }
  });
});

describe('a new file system', () => {
  test('gets attributes at birth and the rest as its own options', () => {
    const [mount, attach, ...rest] = mountSteps(['ro', 'nosuid', 'noatime', 'size=1m', 'rnoexec']);
    expect(mount).toMatchObject({
      op: 'mount',
      fstype: 'tmpfs',
      source: 'tmpfs',
      attributes: RDONLY | NOSUID | NOATIME | NOEXEC,
      options: ['ro', 'size=1m'],
    });
    expect(attach).toMatchObject({ op: 'attachMount', target: '/a' });
    expect(rest).toEqual([]);
  });

  test('of type cgroup is cgroup2, without options, which it would refuse', () => {
    const inCgroupNamespace = planOf(
      smallConfig((config) => {
        config.linux.namespaces.push({ type: 'cgroup' });
        config.mounts = [{ destination: '/c', type: 'cgroup', source: 'cgroup', options: ['ro', 'memory'] }];
      }),
    );
    expect(all(inCgroupNamespace.init, 'mount')[0]).toMatchObject({
      fstype: 'cgroup2',
      options: [],
      attributes: RDONLY,
    });
  });

  test('of type cgroup is the hierarchy of the host where there is no namespace of its own', () => {
    const steps = mountSteps(['ro'], { type: 'cgroup2', source: 'cgroup' });
    expect(steps[0]).toMatchObject({ op: 'bind', source: '/sys/fs/cgroup' });
    expect(steps[1]).toMatchObject({ op: 'setMount', set: RDONLY });
  });

  test('keeps its attributes when iversion is set by mount(2), which resets those that it is not told', () => {
    const steps = mountSteps(['iversion', 'nosuid', 'ro']);
    const remount = steps.findIndex(({ op }) => op === 'remount');
    const MS_RDONLY_NOSUID = 3;
    const flags = all(steps, 'remount')[0]?.flags ?? 0;
    const later = all(steps.slice(remount + 1), 'setMount').reduce((sum, { set }) => sum | set, 0);
    expect((flags | later) & MS_RDONLY_NOSUID).toBe(MS_RDONLY_NOSUID);
  });
});

describe('remount', () => {
  const again = (...options: string[]) => mountSteps(['remount', ...options], { source: 'none' });

  test('changes the mount that is there, and makes none', () => {
    expect(again('ro', 'nosuid')).toMatchObject([
      { op: 'findMount', target: '/a' },
      { op: 'setMount', set: RDONLY | NOSUID, clear: 0, recursive: 0 },
      { op: 'reconfigure', options: ['ro'] },
    ]);
    expect(again('rw')).toMatchObject([
      { op: 'findMount' },
      { op: 'setMount', clear: RDONLY },
      { op: 'reconfigure', options: ['rw'] },
    ]);
  });

  test('of a bind changes the mount alone, and not the file system, which is the host’s', () => {
    expect(again('bind', 'ro', 'size=1m').map(({ op }) => op)).toEqual(['findMount', 'setMount']);
  });

  test('hands options of the file system to it', () => {
    expect(again('size=32m')).toMatchObject([{ op: 'findMount' }, { op: 'reconfigure', options: ['size=32m'] }]);
  });

  test('can change a whole tree', () => {
    expect(again('bind', 'rro')).toMatchObject([{ op: 'findMount' }, { op: 'setMount', set: RDONLY, recursive: 1 }]);
  });

  test('with a propagation sets it, or says why not', () => {
    const steps = again('bind', 'rshared');
    expect(all(steps, 'setMount').map(({ propagation }) => propagation)).toContain(MS_SHARED);
  });
});
