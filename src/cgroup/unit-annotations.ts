// Annotations `org.systemd.property.NAME` in, properties of the container's unit out, as runc and crun know them.

import { variant } from '../dbus/types.ts';
import type { Problem } from '../errors.ts';
import { parseGvariant } from './gvariant.ts';
import type { UnitProperty } from './unit.ts';

const PREFIX = 'org.systemd.property.';

export function annotatedProperties(
  annotations: Readonly<Record<string, string>>,
  problems: Problem[],
): UnitProperty[] {
  return Object.entries(annotations).flatMap(([key, text]) => {
    if (!key.startsWith(PREFIX)) return [];
    const refuse = (expected: string, found: string): [] => {
      const pointer = `/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      problems.push({ pointer, expected, found: JSON.stringify(found.slice(0, 80)) });
      return [];
    };
    const name = key.slice(PREFIX.length);
    if (!/^[A-Z][A-Za-z]{2,}$/.test(name)) return refuse('the name of a property, such as TimeoutStopUSec', name);
    const value = parseGvariant(text);
    if (value === undefined) return refuse("a value in GVariant's text format, such as true, uint64 5 or 'text'", text);
    // Properties in seconds are for unit files: over D-Bus each has a twin in microseconds.
    if (!name.endsWith('Sec') || name.endsWith('USec')) return [[name, value]];
    if (typeof value.value !== 'bigint' && typeof value.value !== 'number') return refuse('a number of seconds', text);
    return [[`${name.slice(0, -3)}USec`, variant('t', BigInt(Math.round(Number(value.value) * 1e6)))]];
  });
}
