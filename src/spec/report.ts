// Collects what is wrong with a config.json, and where. Nothing here costs anything until something is wrong,
// but for `enter` and `leave`, which keep the place in an array and make no pointer text.

import type { Problem } from '../errors.ts';
import { suggest } from './suggest.ts';

const SHOWN_CHARS = 60;
const SHOWN_DEPTH = 3;

export class Report {
  readonly problems: Problem[] = [];
  private readonly place: (string | number)[] = [];

  /** Steps into a field or an element. */
  enter(key: string | number): void {
    this.place.push(key);
  }

  leave(): void {
    this.place.pop();
  }

  /** A problem of the present place. */
  here(expected: string, found: unknown, hint?: string): void {
    this.at(pointer(this.place), expected, found, hint);
  }

  /** A problem of a field of the present place, which may be absent. */
  field(name: string, expected: string, found: unknown): void {
    this.at(pointer(this.place) + pointer([name]), expected, found);
  }

  /** A problem of the present place, which holds none of a fixed set of words. */
  choice(words: readonly string[], found: unknown): void {
    const listed = words.length <= 10 ? `one of ${words.join(', ')}` : `a known name such as ${words[0]}`;
    this.here(listed, found, typeof found === 'string' ? suggest(found, words) : undefined);
  }

  /** A problem of the place that a JSON pointer names. */
  at(where: string, expected: string, found: unknown, hint?: string): void {
    const problem = { pointer: where, expected, found: show(found) };
    this.problems.push(hint === undefined ? problem : { ...problem, hint });
  }

  /** Whether something in or above one of these places is wrong already, so that a rule cannot rely on it. */
  spoils(places: readonly string[]): boolean {
    return this.problems.some((problem) =>
      places.some((place) => isIn(problem.pointer, place) || isIn(place, problem.pointer)),
    );
  }
}

function isIn(inner: string, outer: string): boolean {
  return inner.startsWith(outer) && (inner.length === outer.length || inner[outer.length] === '/');
}

/** RFC 6901: `~` and `/` of a key are escaped. */
export function pointer(keys: readonly (string | number)[]): string {
  return keys.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A JSON value as text of some 60 characters at most; `nothing` for what is absent. Never recurses far. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = showPart(value, SHOWN_DEPTH);
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS - 1)}…`;
}

function showPart(value: unknown, depth: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_CHARS));
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return depth === 0 ? '[…]' : `[${showParts(value, (item) => showPart(item, depth - 1))}]`;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return '{}';
  if (depth === 0) return '{…}';
  return `{${showParts(entries, ([key, item]) => `${showPart(key, 0)}:${showPart(item, depth - 1)}`)}}`;
}

function showParts<T>(items: readonly T[], showItem: (item: T) => string): string {
  let text = '';
  for (const item of items) {
    if (text.length > SHOWN_CHARS) break;
    text += (text === '' ? '' : ',') + showItem(item);
  }
  return text;
}
