import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { parseSpec } from '../../src/spec/parse.ts';
import { pointer } from '../../src/spec/report.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { type Json, fullConfig, parse, problemsOf } from './spec-samples.ts';

type Path = (string | number)[];

/** Where the texts, numbers and booleans of a value are. */
const leaves = (value: Json, path: Path = []): Path[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, Array.isArray(value) ? Number(key) : key]))
    : [path];

/** Where the objects and arrays of a value are. */
const branches = (value: Json, path: Path = []): Path[] =>
  typeof value === 'object' && value !== null
    ? [path, ...Object.entries(value).flatMap(([key, item]) => branches(item, [...path, key]))]
    : [];

const at = (value: Json, path: Path): Json => path.reduce((inner, key) => inner[key], value);

const replace = (value: Json, path: Path, replacement: unknown): void => {
  at(value, path.slice(0, -1))[path.at(-1) as string] = replacement;
};

const allLeaves = leaves(fullConfig());
const allBranches = branches(fullConfig());

/** Values of every type but that of `value`, and none that counts as absent. */
const otherTypes = (value: unknown): fc.Arbitrary<unknown> =>
  fc.oneof(
    ...(typeof value === 'string' ? [] : [fc.string({ minLength: 1 })]),
    ...(typeof value === 'number' ? [] : [fc.integer()]),
    ...(typeof value === 'boolean' ? [] : [fc.boolean()]),
    fc.constant(0.5),
    fc.array(fc.jsonValue(), { maxLength: 3 }),
    fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
  );

describe('parseSpec, whatever it is given,', () => {
  test('returns a Spec or throws a ConfigError for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseSpec(text, 'config.json');
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('returns a Spec or throws a ConfigError with any JSON value in any place', () => {
    const places = fc.constantFrom(...allLeaves, ...allBranches.slice(1));
    fc.assert(
      fc.property(places, fc.jsonValue(), (path, value) => {
        const config = fullConfig();
        replace(config, path, value);
        try {
          parse(config);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as ConfigError).problems.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('returns a Spec or throws a ConfigError when any place is missing or holds a value of another place', () => {
    const places = fc.constantFrom(...allLeaves, ...allBranches.slice(1));
    fc.assert(
      fc.property(places, places, (path, source) => {
        const config = fullConfig();
        replace(config, path, structuredClone(at(config, source)));
        problemsOf(JSON.stringify(config));
        replace(config, path, undefined);
        problemsOf(JSON.stringify(config));
      }),
      { numRuns: 3000 },
    );
  });

  test('names the leaf that has a wrong type', () => {
    const cases = fc
      .constantFrom(...allLeaves)
      .chain((path) => fc.tuple(fc.constant(path), otherTypes(at(fullConfig(), path))));
    fc.assert(
      fc.property(cases, ([path, value]) => {
        const config = fullConfig();
        replace(config, path, value);
        expect(problemsOf(JSON.stringify(config)).map((problem) => problem.pointer)).toContain(pointer(path));
      }),
      { numRuns: 5000 },
    );
  });

  test('names each of several wrong leaves', () => {
    fc.assert(
      fc.property(fc.subarray(allLeaves, { minLength: 1, maxLength: 20 }), (paths) => {
        const config = fullConfig();
        for (const path of paths) replace(config, path, { wrong: true });
        const found = problemsOf(JSON.stringify(config)).map((problem) => problem.pointer);
        for (const path of paths) expect(found).toContain(pointer(path));
      }),
      { numRuns: 500 },
    );
  });

  test('finds the same Spec behind fields that it does not know', () => {
    // Maps have no unknown fields: every key of them is data.
    const records = allBranches.filter((path) => {
      const isMap = ['annotations', 'sysctl', 'rdma', 'unified', 'timeOffsets', 'netDevices'].includes(
        String(path.at(-1)),
      );
      return !isMap && !Array.isArray(at(fullConfig(), path));
    });
    fc.assert(
      fc.property(fc.constantFrom(...records), fc.string(), fc.jsonValue(), (path, name, value) => {
        const config = fullConfig();
        const key = `x-${name}`;
        at(config, path)[key] = value;
        const spec = parse(config);
        delete at(spec, path)[key];
        expect(spec).toEqual(fullConfig());
      }),
      { numRuns: 1000 },
    );
  });

  test('finds the same Spec behind inherited names and __proto__', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf']) {
      const text = JSON.stringify(fullConfig()).replace('{', `{${JSON.stringify(name)}:{"kind":0,"root":5},`);
      expect(problemsOf(text)).toEqual([]);
    }
  });

  test('makes the same of what it made', () => {
    const optional = allBranches.filter((path) => path.length > 1 && !path.includes('user') && path.at(-1) !== 'args');
    fc.assert(
      fc.property(
        fc.constantFrom(...optional, ['hostname'], ['hooks']),
        fc.constantFrom(null, undefined),
        (path, none) => {
          const config = fullConfig();
          config.mounts[0].destination = 'proc';
          replace(config, path, none);
          if (problemsOf(JSON.stringify(config)).length > 0) return;
          const once = parse(config);
          expect(parse(once)).toEqual(once);
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([false, true])('takes what the template gives (rootless: %s)', (rootless) => {
    const template = specTemplate({ rootless, uid: 1000, gid: 1000 });
    expect(parse(template)).toEqual(template);
  });

  test('survives nesting deeper than any stack', () => {
    const deep = '['.repeat(200_000);
    expect(problemsOf(deep)[0]?.found).toMatch(/^the end of the file at line 1, column 200001$|stack/);
    const config = JSON.stringify(fullConfig());
    const inside = config.replace('{', `{"x":${deep}${']'.repeat(200_000)},`);
    for (const problem of problemsOf(inside)) expect(problem.pointer).toBe('');
    const wrong = config.replace('"hostname":"box"', `"hostname":${deep}${']'.repeat(200_000)}`);
    expect(problemsOf(wrong)).toHaveLength(1);
  });
});
