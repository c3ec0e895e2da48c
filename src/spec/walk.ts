// A JSON value and a table in; problems out. The value itself becomes the Spec: what counts as absent is deleted from
// it. This runs for every start of a container in an interpreter, so the good path allocates nothing.

import type { Report } from './report.ts';
import {
  BOOLEAN,
  CHOICE,
  INTEGER,
  LIST,
  MAP,
  RECORD,
  type ListSchema,
  type MapSchema,
  type RecordSchema,
  type Schema,
  TEXT,
} from './schema.ts';

/** Checks `value`, and reports each problem with its place. Never throws, and recurses no deeper than the table. */
export function walk(schema: Schema, value: unknown, report: Report): void {
  switch (schema.kind) {
    case LIST:
      if (Array.isArray(value)) walkList(schema, value, report);
      else report.here(schema.expected, value);
      return;
    case MAP:
      if (isObject(value)) walkMap(schema, value, report);
      else report.here(schema.expected, value);
      return;
    case RECORD:
      if (isObject(value)) walkRecord(schema, value, report);
      else report.here('an object', value);
      return;
    case CHOICE:
      if (!fits(schema, value)) report.choice(schema.words, value);
      return;
    default:
      if (!fits(schema, value)) report.here(expectation(schema), value);
  }
}

/** Whether a value without parts is right. False for a schema that has parts. */
function fits(schema: Schema, value: unknown): boolean {
  switch (schema.kind) {
    case TEXT:
      return typeof value === 'string' && schema.test(value);
    case CHOICE:
      return typeof value === 'string' && schema.words.indexOf(value) >= 0;
    case INTEGER:
      return typeof value === 'number' && value >= schema.min && value <= schema.max && value % 1 === 0;
    case BOOLEAN:
      return typeof value === 'boolean';
    default:
      return false;
  }
}

// The three below note the place only for what has parts or is wrong. Most values are neither, and a call costs an
// interpreter as much as the check itself.

function walkList(schema: ListSchema, value: readonly unknown[], report: Report): void {
  if (value.length < schema.min) report.here(schema.expected, value);
  const item = schema.item;
  for (let i = 0; i < value.length; i++) if (!fits(item, value[i])) walkAt(item, i, value[i], report);
}

function walkMap(schema: MapSchema, value: Record<string, unknown>, report: Report): void {
  for (const key in value) {
    if (key === '') report.field(key, 'no empty name', value[key]);
    if (!fits(schema.value, value[key])) walkAt(schema.value, key, value[key], report);
  }
}

function walkRecord(schema: RecordSchema, value: Record<string, unknown>, report: Report): void {
  const { fields, required } = schema;
  for (const key in value) {
    const field = fields[key];
    // `kind` too, because a field called `constructor` finds what every table inherits.
    if (field === undefined || field.kind === undefined) continue;
    const found = value[key];
    if (found !== '' && fits(field, found)) continue;
    // Go writes null for an empty slice or map, and other tools write "" for a text that is not set.
    const absent = found === null || (found === '' && (field.kind === TEXT || field.kind === CHOICE));
    if (absent && required.indexOf(key) < 0) delete value[key];
    else walkAt(field, key, found, report);
  }
  for (let i = 0; i < required.length; i++) {
    const name = required[i] as string;
    if (value[name] === undefined) report.field(name, expectation(fields[name]), undefined);
  }
}

function walkAt(schema: Schema, key: string | number, value: unknown, report: Report): void {
  report.enter(key);
  walk(schema, value, report);
  report.leave();
}

function expectation(schema: Schema | undefined): string {
  if (schema === undefined) return 'something';
  switch (schema.kind) {
    case RECORD:
      return 'an object';
    case CHOICE:
      return `one of ${schema.words.slice(0, 10).join(', ')}`;
    case BOOLEAN:
      return 'true or false';
    default:
      return schema.expected;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
