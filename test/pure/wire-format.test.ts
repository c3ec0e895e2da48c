// The wire format between TypeScript and the executor, as native/plan.table.mjs describes it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TsrunError } from '../../src/errors.ts';
import { encode } from '../../src/execute/encode.ts';
import { codes } from '../../src/execute/encoders.gen.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { layouts, type Step } from '../../src/plan/steps.gen.ts';
import { everything, everythingAsRoot, planOf, sample } from './plan-samples.ts';
import type { Json } from './spec-samples.ts';
import { anySteps, decode, sentOf, stepNames, stepOf } from './wire-samples.ts';

describe('a step on the wire', () => {
  test.each(stepNames)('can be read back: %s', (op) => {
    fc.assert(
      fc.property(stepOf(op), (step) => {
        expect(decode(encode([step]))).toEqual(sentOf([step]));
      }),
      { numRuns: 30 },
    );
  });

  test('keeps its place among others', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        expect(decode(encode(steps))).toEqual(sentOf(steps));
      }),
      { numRuns: 500 },
    );
  });

  test('says its length, so that a reader who does not know it could step over it', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const { words } = encode(steps);
        const found: number[] = [];
        let at = 0;
        for (; at < words.length; at += 2 + (words[at + 1] ?? 0)) found.push(words[at] ?? 0);
        expect(found).toEqual(steps.map(({ op }) => layouts[op].code));
        expect(at).toBe(words.length);
      }),
    );
  });

  test('is the same whether a 64-bit value is a number or a bigint', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const step = (keep: number | bigint): Step => ({ op: 'dropBounding', keep, from: '', why: '' });
        expect(encode([step(value)])).toEqual(encode([step(BigInt(value))]));
      }),
    );
  });

  test('is nothing where there are no steps', () => {
    expect(encode([])).toEqual({ words: new Uint32Array(0), pool: '', blob: new Uint8Array(0) });
  });

  test('has a code of its own, counted from 1 without a gap', () => {
    const all = stepNames.map((name) => layouts[name].code);
    expect(all.toSorted((a, b) => a - b)).toEqual(stepNames.map((_, index) => index + 1));
    expect(codes).toEqual(Object.fromEntries(stepNames.map((name) => [name, layouts[name].code])));
  });
});

describe('a plan on the wire', () => {
  test('is what was compiled', () => {
    fc.assert(
      fc.property(sample, ({ plan }) => {
        for (const steps of [plan.host, plan.init]) expect(decode(encode(steps))).toEqual(sentOf(steps));
      }),
      { numRuns: 50 },
    );
  });

  test('has no field that is missing or of another type than the table says', () => {
    const types = { u32: 'number', i32: 'number', str: 'string' } as const;
    fc.assert(
      fc.property(sample, ({ plan }) => {
        for (const step of [...plan.host, ...plan.init]) {
          const { fields } = layouts[step.op];
          const values = step as unknown as Record<string, unknown>;
          const named = Object.keys(step).filter((name) => !['op', 'from', 'why', 'about'].includes(name));
          expect(named.toSorted(), step.op).toEqual(fields.map(([name]) => name).toSorted());
          for (const [name, type] of fields) {
            const value = values[name];
            if (type in types) expect(typeof value, `${step.op}.${name}`).toBe(types[type as keyof typeof types]);
            if (type === 'u32') expect(value, `${step.op}.${name}`).toBe((value as number) >>> 0);
            if (type === 'i32') expect(value).toBe((value as number) | 0);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test('has no NUL inside of its strings: it would shift all that follow', () => {
    fc.assert(
      fc.property(sample, ({ plan }) => {
        expectNoNul(plan);
      }),
    );
  });
});

function expectNoNul({ host, init }: Plan): void {
  for (const step of [...host, ...init]) {
    for (const value of Object.values(step).flat()) {
      if (typeof value === 'string') expect(value, step.op).not.toContain('\0');
    }
  }
}

/** Each text of a value: a function that puts another in its place, or that gives its key another name. */
function texts(value: Json, path: string, found: Record<string, (text: string) => void>): typeof found {
  for (const [key, item] of Object.entries(value as Record<string, Json>)) {
    const here = `${path}/${key}`;
    if (typeof item === 'string') found[here] = (text) => (value[key] = text);
    else if (typeof item === 'object' && item !== null) texts(item, here, found);
    if (['annotations', 'sysctl', 'unified', 'rdma'].includes(path.split('/').at(-1) ?? '')) {
      found[`the name of ${here}`] = (text) => {
        value[text] = item;
        delete value[key];
      };
    }
  }
  return found;
}

describe('a NUL in config.json', () => {
  const places = Object.keys(texts(everything(), '', {}));

  test.each(places)('is refused, or reaches no string of the plan: %s', (place) => {
    for (const make of [everything, everythingAsRoot]) {
      const config = make();
      const replace = texts(config, '', {})[place];
      if (replace === undefined) continue;
      const before = place.split('/').reduce((at: Json, key, index) => (index === 0 ? at : at?.[key]), config);
      replace(typeof before === 'string' ? `${before}\0x` : 'a\0b');
      let plan: Plan;
      try {
        plan = planOf(config);
      } catch (error) {
        expect(error).toBeInstanceOf(TsrunError);
        continue;
      }
      expectNoNul(plan);
    }
  });
});
