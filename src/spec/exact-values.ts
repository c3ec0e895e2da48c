// Values of seccomp arguments have 64 bits, and JSON.parse rounds what is above 2^53: a filter would compare with another
// number than the profile has. Where there is such a value, the text is asked for it again.

import type { Problem } from '../errors.ts';
import type { Spec } from './types.ts';

type Args = readonly { value: number | bigint; valueTwo?: number | bigint }[] | undefined;

/**
 * Puts bigints where numbers of linux.seccomp were rounded. Looks at the text only if there are any.
 * @returns those that have more than 64 bits, which rounding had made look like 2^64-1.
 */
export function restoreExactValues(spec: Spec, text: string): Problem[] {
  const problems: Problem[] = [];
  const rules = spec.linux.seccomp?.syscalls ?? [];
  const isRounded = (args: Args): boolean =>
    args?.some(({ value, valueTwo = 0 }) => value > Number.MAX_SAFE_INTEGER || valueTwo > Number.MAX_SAFE_INTEGER) ??
    false;
  let wanted = false;
  for (let i = 0; i < rules.length && !wanted; i++) wanted = isRounded(rules[i]?.args);
  if (!wanted) return problems;
  // A key inside a text has its quotes escaped, so only numbers behind real keys become texts here.
  const exact = JSON.parse(text.replace(/("value(?:Two)?"\s*:\s*)(\d{16,})(?=\s*[,}])/g, '$1"$2"')) as typeof spec;
  rules.forEach((rule, index) => {
    (rule.args as Args)?.forEach((arg, place) => {
      const found = exact.linux.seccomp?.syscalls?.[index]?.args?.[place];
      for (const field of ['value', 'valueTwo'] as const) {
        const digits: unknown = found?.[field];
        if (typeof digits !== 'string') continue;
        arg[field] = BigInt(digits);
        if (arg[field] < 2n ** 64n) continue;
        const pointer = `/linux/seccomp/syscalls/${index}/args/${place}/${field}`;
        problems.push({ pointer, expected: 'an integer from 0 to 2^64-1', found: digits });
      }
    });
  });
  return problems;
}
