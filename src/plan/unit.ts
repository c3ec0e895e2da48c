// The systemd unit that a container's cgroup is.

import type { CgroupWrite } from '../cgroup/limits.ts';
import type { UnitName, UnitProperty } from '../cgroup/unit.ts';
import { annotatedProperties } from '../cgroup/unit-annotations.ts';
import { limitProperties } from '../cgroup/unit-properties.ts';
import { variant } from '../dbus/types.ts';
import { ConfigError, type Problem } from '../errors.ts';

/** Done by the engine itself, over D-Bus, before the host steps. */
export interface UnitStep {
  readonly op: 'startUnit';
  readonly name: string;
  readonly properties: readonly UnitProperty[];
  /** Set once init needs no more processes. */
  readonly late: readonly UnitProperty[];
  readonly from: string;
  readonly why: string;
  readonly about?: string;
}

/** @throws {ConfigError} for an annotation that is no property. */
export function planUnit(
  { name, slice }: UnitName,
  id: string,
  from: string,
  annotations: Readonly<Record<string, string>>,
  writes: readonly CgroupWrite[],
): UnitStep {
  const problems: Problem[] = [];
  const annotated = annotatedProperties(annotations, problems);
  if (problems.length > 0) throw new ConfigError('config.json', problems);
  const { now, late } = limitProperties(writes);
  const on = variant('b', true);
  const properties: UnitProperty[] = [
    ['Description', variant('s', `tsrun container ${id}`)],
    ['Slice', variant('s', slice)],
    // Without it systemd would move processes about below the unit, and take away cgroups that the container makes.
    ['Delegate', on],
    ['CPUAccounting', on],
    ['MemoryAccounting', on],
    ['IOAccounting', on],
    ['TasksAccounting', on],
    // A container does not wait for the basic targets, nor end with them.
    ['DefaultDependencies', variant('b', false)],
    ['CollectMode', variant('s', 'inactive-or-failed')],
    ...now,
  ];
  return {
    op: 'startUnit',
    name,
    // Annotations come last, so that they win.
    properties: [...properties.filter(([key]) => !annotated.some(([other]) => other === key)), ...annotated],
    late,
    from,
    why: 'systemd makes the cgroup, knows its limits, and keeps them when it reads its configuration anew',
  };
}
