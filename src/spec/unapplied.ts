// What the specification knows and this release does not do. Silence would be worse than an error: a container without
// its seccomp filter looks just like one with it. Whoever implements a field deletes its line here.

import { pointer, type Report } from './report.ts';
import { isObject } from './walk.ts';

/** A field, or some values of one, that a config.json must not have yet. */
export interface Unapplied {
  /** Keys from the root; `*` is every element of an array. */
  readonly at: readonly string[];
  /** Only these values. Without it: any that is not empty. */
  readonly values?: readonly string[];
  /** Follows the field and what was found, in parentheses. */
  readonly why: string;
}

const why = 'not supported yet';

export const unapplied: readonly Unapplied[] = [{ at: ['linux', 'seccomp'], why }];

/**
 * Reports each unapplied field that has a value, and deletes all of them from `config`, so that an empty one counts as
 * absent and a full one is reported once, and not for what is inside it.
 */
export function refuseUnapplied(config: unknown, list: readonly Unapplied[], report: Report): void {
  const indices: number[] = [];
  for (let i = 0; i < list.length; i++) search(config, list[i] as Unapplied, 0, indices, 0, report);
}

/** Follows `entry.at` from `depth` on; `indices` are the elements taken for its first `stars` asterisks. */
function search(
  start: unknown,
  entry: Unapplied,
  depth: number,
  indices: number[],
  stars: number,
  report: Report,
): void {
  const { at, values } = entry;
  const last = at.length - 1;
  let value = start;
  for (let i = depth; i < last; i++) {
    const key = at[i] as string;
    if (key !== '*') {
      if (!isObject(value)) return;
      value = value[key];
      continue;
    }
    if (!Array.isArray(value)) return;
    for (let k = 0; k < value.length; k++) {
      indices[stars] = k;
      search(value[k], entry, i + 1, indices, stars + 1, report);
    }
    return;
  }
  const key = at[last] as string;
  if (key === '*') {
    if (!Array.isArray(value) || values === undefined) return;
    for (let k = 0; k < value.length; k++) {
      if (values.indexOf(value[k]) < 0) continue;
      indices[stars] = k;
      report.at(place(at, indices), '(nothing)', value[k], entry.why);
    }
    return;
  }
  if (!isObject(value) || value[key] === undefined) return;
  const found = value[key];
  if (values === undefined) delete value[key];
  if (values === undefined ? isEmpty(found) : values.indexOf(found as string) < 0) return;
  report.at(place(at, indices), '(nothing)', found, entry.why);
}

function place(at: readonly string[], indices: readonly number[]): string {
  let stars = 0;
  return pointer(at.map((key) => (key === '*' ? (indices[stars++] ?? key) : key)));
}

/** What a writer leaves for a field that it does not set. Looks two levels deep: `{"priorities": []}` is empty. */
function isEmpty(value: unknown, depth = 2): boolean {
  if (value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  if (!isObject(value) || depth === 0) return false;
  return Object.values(value).every((item) => isEmpty(item, depth - 1));
}
