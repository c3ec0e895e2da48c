// New limits for a container that is there: what to write, and what to write back if the kernel refuses.

import { type CgroupLimits, cgroupWrites } from '../cgroup/limits.ts';
import type { UnitProperty } from '../cgroup/unit.ts';
import { limitProperties } from '../cgroup/unit-properties.ts';
import { ConfigError } from '../errors.ts';
import type { LinuxResources } from '../spec/types.ts';
import { enableControllers, writeStep, writeSteps } from './cgroup.ts';
import type { CgroupFacts } from './host.ts';
import type { HostStep } from './steps.gen.ts';

export interface UpdatePlan {
  /** The limits as they then are. */
  readonly resources: LinuxResources;
  /** The same for systemd, where the cgroup is a unit. */
  readonly properties: readonly UnitProperty[];
  readonly apply: readonly HostStep[];
  readonly restore: readonly HostStep[];
}

/**
 * @param now The limits in force. @param change Those that shall be different: of objects field by field, lists whole.
 * @param cgroup The container's directory. @param hierarchy Where cgroup2 is mounted, and its controllers.
 * @throws {ConfigError} for limits that are impossible, or whose controller is missing.
 */
export function planUpdate(
  now: LinuxResources,
  change: LinuxResources,
  cgroup: string,
  { mount, controllers }: Pick<CgroupFacts, 'mount' | 'controllers'>,
): UpdatePlan {
  const resources: LinuxResources = merge(now as Fields, change as Fields);
  const before = limits(now, controllers).writes;
  const { writes: after, controllers: needed } = limits(resources, controllers);
  const wanted = leaves(change as Fields, '/linux/resources');
  const changed = after.filter(
    (write) =>
      wanted.some((field) => write.from === field || write.from.startsWith(`${field}/`)) ||
      !before.some(({ file, value }) => file === write.file && value === write.value),
  );
  const files = changed.map(({ file }) => file);
  const { now: soon, late } = limitProperties(changed);
  return {
    resources,
    properties: [...soon, ...late],
    // A container without limits may stand where its controllers were never asked for.
    apply: [
      ...(changed.length === 0 ? [] : enableControllers(cgroup, mount, needed)),
      ...changed.flatMap((write) => writeSteps(cgroup, write)),
    ],
    restore: before.filter(({ file }) => files.includes(file)).map((write) => writeStep(cgroup, write)),
  };
}

function limits(resources: LinuxResources, controllers: readonly string[]): CgroupLimits {
  try {
    return cgroupWrites(resources, controllers);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError('update: the new configuration', error.problems) : error;
  }
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function merge(now: Fields, change: Fields): Fields {
  const merged: Record<string, unknown> = { ...now };
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) continue;
    const old = now[key];
    merged[key] = isFields(value) && isFields(old) ? merge(old, value) : value;
  }
  return merged;
}

/** The JSON pointers of all fields that are no objects. */
function leaves(value: Fields, at: string): string[] {
  return Object.entries(value).flatMap(([key, item]) => {
    const pointer = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (item === undefined) return [];
    return isFields(item) ? leaves(item, pointer) : [pointer];
  });
}
