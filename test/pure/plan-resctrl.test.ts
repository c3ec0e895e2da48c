// linux.intelRdt: which groups of resctrl are made, joined and taken away, against what is there already.
import { describe, expect, test } from 'vitest';
import { planSchemaChange } from '../../src/plan/resctrl.ts';
import { undoOf } from '../../src/plan/undo.ts';
import { all, planOf, smallConfig } from './plan-samples.ts';
import { complaints, type Json } from './spec-samples.ts';

const mount = '/fake/resctrl';
const plan = (intelRdt: Json, schemata?: string) =>
  planOf(
    smallConfig((c) => (c.linux.intelRdt = intelRdt)),
    {},
    { resctrl: { mount, schemata } },
  );
const did = (intelRdt: Json, schemata?: string) => {
  const { host, resctrl } = plan(intelRdt, schemata);
  return {
    made: all(host, 'makeResctrlGroup').map(({ path }) => path),
    wrote: all(host, 'writeFile').flatMap(({ path, value }) => (path.startsWith(mount) ? [`${path}: ${value}`] : [])),
    joined: all(host, 'joinResctrlGroup').map(({ path }) => path),
    removed: resctrl,
  };
};
const there = 'L3:0=ff;1=0f\nMB:0=100;1=50\n';

describe('a class of service', () => {
  test('that nobody names is made under the id of the container, and ends with it', () => {
    expect(did({ l3CacheSchema: 'L3:0=f', memBwSchema: 'MB:0=20', schemata: ['L2:0=1'] })).toEqual({
      made: [`${mount}/box`],
      wrote: [`${mount}/box/schemata: L3:0=f\nMB:0=20\nL2:0=1\n`],
      joined: [`${mount}/box`],
      removed: [`${mount}/box`],
    });
  });

  test('that closID names is made if it is missing, and stays for others', () => {
    expect(did({ closID: 'gold', schemata: ['L3:0=f'] })).toEqual({
      made: [`${mount}/gold`],
      wrote: [`${mount}/gold/schemata: L3:0=f\n`],
      joined: [`${mount}/gold`],
      removed: [],
    });
  });

  test.each([undefined, 'L3:1=f', ' L3 : 1=f ;0=00ff'])('that is there already is joined as it is: %s', (line) => {
    const schema = line === undefined ? {} : { l3CacheSchema: line };
    expect(did({ closID: 'gold', ...schema }, there)).toMatchObject({ made: [], wrote: [], joined: [`${mount}/gold`] });
  });

  test('"/" is the root class', () => {
    expect(did({ closID: '/', enableMonitoring: true }, there)).toEqual({
      made: [`${mount}/mon_groups/box`],
      wrote: [],
      joined: [mount, `${mount}/mon_groups/box`],
      removed: [`${mount}/mon_groups/box`],
    });
  });

  test('is not needed to be monitored', () => {
    expect(did({ enableMonitoring: true }, there)).toMatchObject({ made: [`${mount}/mon_groups/box`] });
  });

  test('is none of an empty section', () => {
    expect(did({})).toEqual({ made: [], wrote: [], joined: [], removed: [] });
  });
});

test('monitoring is below the class, and ends first', () => {
  expect(did({ schemata: ['L3:0=f'], enableMonitoring: true }).removed).toEqual([
    `${mount}/box/mon_groups/box`,
    `${mount}/box`,
  ]);
});

test('tasks join once the process stands, and groups are made before it', () => {
  const ops = plan({ schemata: ['L3:0=f'] }).host.map(({ op }) => op);
  expect(ops.indexOf('makeResctrlGroup')).toBeLessThan(ops.indexOf('launch'));
  expect(ops.lastIndexOf('awaitInit')).toBeLessThan(ops.indexOf('joinResctrlGroup'));
});

test('a group that was made is taken away when the rest fails, and no other', () => {
  const made = plan({ closID: 'gold', schemata: ['L3:0=f'] });
  const [step] = all(made.host, 'makeResctrlGroup');
  if (step === undefined) throw new Error('no step');
  expect(undoOf(step, made, 1)).toMatchObject([{ op: 'removeDir', path: `${mount}/gold`, below: 0 }]);
  expect(undoOf(step, made, 0)).toEqual([]);
});

describe('refused', () => {
  test.each<readonly [string, Json, string | undefined, RegExp]>([
    [
      'is a class that is not there, without a schema',
      { closID: 'gold' },
      undefined,
      /intelRdt\/closID: expected a class/,
    ],
    [
      'is a class with another schema',
      { closID: 'gold', l3CacheSchema: 'L3:0=f' },
      there,
      /expected a class of service that has L3:0=f, found "gold"/,
    ],
  ])('%s', (_name, rdt, schemata, message) => {
    expect(() => plan(rdt, schemata)).toThrow(message);
  });

  test('is the whole section without resctrl', () => {
    const config = smallConfig((c) => (c.linux.intelRdt = { closID: 'gold' }));
    expect(() => planOf(config, {}, { resctrl: undefined })).toThrow(/\/linux\/intelRdt: .* resctrl is not mounted/);
  });

  test.each(['../x', '.', '..', 'a/b'])('is the name %j', (closID) => {
    expect(complaints((c) => (c.linux.intelRdt.closID = closID))).toEqual([
      expect.stringMatching(/^\/linux\/intelRdt\/closID: /),
    ]);
  });
});

describe('an update', () => {
  const change = (intelRdt: Json) => {
    const { steps, ...made } = planSchemaChange(intelRdt, 'box', { mount }, ['L3:0=3'], [7, 8]);
    return { ...made, did: steps.map((step) => (step.op === 'writeFile' ? `${step.path}: ${step.value}` : step.op)) };
  };

  test('changes the class of the container', () => {
    const wrote = (group: string) => ({ group, isNew: false, did: [`${group}/schemata: L3:0=3\n`] });
    expect(change({ closID: 'gold' })).toEqual(wrote(`${mount}/gold`));
    expect(change({ l3CacheSchema: 'L3:0=f' })).toEqual(wrote(`${mount}/box`));
  });

  test('makes one for a container that has none, and all of its threads enter it', () => {
    const group = `${mount}/box`;
    expect(change({})).toEqual({
      group,
      isNew: true,
      did: ['makeResctrlGroup', `${group}/schemata: L3:0=3\n`, `${group}/tasks: 7`, `${group}/tasks: 8`],
    });
  });
});
