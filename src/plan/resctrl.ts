// linux.intelRdt: shares of the last-level cache and of memory bandwidth, as directories of resctrl
// (config-linux.md#intelrdt; kernel Documentation/filesystems/resctrl.rst).

import { ConfigError } from '../errors.ts';
import type { LinuxIntelRdt, Spec } from '../spec/types.ts';
import type { ResctrlFacts } from './host.ts';
import type { HostStep } from './steps.gen.ts';

export interface ResctrlPlan {
  /** Before init is there. */
  readonly before: readonly HostStep[];
  /** Once it stands: its children stay in the groups. */
  readonly after: readonly HostStep[];
  /** Directories that end with the container, innermost first. A class of service that closID names is shared, and stays. */
  readonly remove: readonly string[];
}

const from = '/linux/intelRdt';
const none: ResctrlPlan = { before: [], after: [], remove: [] };

/** The directory below resctrl that a container's tasks belong into; '' is the root, the class of all others. */
export function resctrlGroup(rdt: LinuxIntelRdt, id: string): string {
  if (rdt.closID !== undefined) return rdt.closID === '/' ? '' : `/${rdt.closID}`;
  return linesOf(rdt).length === 0 ? '' : `/${id}`;
}

/** @throws {ConfigError} without resctrl, for a class that is not there, and for one that is another than it should be. */
export function planResctrl(rdt: LinuxIntelRdt, id: string, resctrl: ResctrlFacts | undefined): ResctrlPlan {
  const { closID, enableMonitoring } = rdt;
  const lines = linesOf(rdt);
  if (closID === undefined && lines.length === 0 && enableMonitoring !== true) return none;
  if (resctrl === undefined) {
    refuse('', '(nothing), since resctrl is not mounted', rdt, 'mount -t resctrl resctrl /sys/fs/resctrl');
  }
  const group = `${resctrl.mount}${resctrlGroup(rdt, id)}`;
  const before: HostStep[] = [];
  const after: HostStep[] = [join(group, 'its tasks share cache and bandwidth of this class')];
  const remove: string[] = [];
  if (resctrl.schemata === undefined) {
    if (lines.length === 0) refuse('/closID', 'a class of service that exists, or a schema to make it with', closID);
    before.push(
      makeGroup(group),
      write(`${group}/schemata`, `${lines.join('\n')}\n`, 'which part of the cache, and how much bandwidth'),
    );
  } else {
    const known = new Set(resctrl.schemata.split('\n').flatMap(entriesOf));
    const missing = lines.flatMap(entriesOf).find((entry) => !known.has(entry));
    if (missing !== undefined) refuse('/closID', `a class of service that has ${missing}`, closID ?? id);
  }
  if (closID === undefined && lines.length > 0) remove.push(group);
  if (enableMonitoring === true) {
    const monitor = `${group}/mon_groups/${id}`;
    before.push({
      op: 'makeResctrlGroup',
      path: monitor,
      from: `${from}/enableMonitoring`,
      why: 'counts cache and bandwidth of this container alone',
    });
    after.push(join(monitor, 'its tasks are counted here', `${from}/enableMonitoring`));
    remove.unshift(monitor);
  }
  return { before, after, remove };
}

/** Other shares for a container that runs: its class of service as a directory, and whether that is a new one. */
export interface SchemaChange {
  readonly group: string;
  readonly isNew: boolean;
  readonly steps: readonly HostStep[];
}

/**
 * @param rdt The container's linux.intelRdt. @param lines What shall be different. @param tasks All of its threads: they
 * enter the class if it had none of its own.
 */
export function planSchemaChange(
  rdt: LinuxIntelRdt,
  id: string,
  { mount }: Pick<ResctrlFacts, 'mount'>,
  lines: readonly string[],
  tasks: readonly number[],
): SchemaChange {
  const isNew = rdt.closID === undefined && linesOf(rdt).length === 0;
  const group = isNew ? `${mount}/${id}` : `${mount}${resctrlGroup(rdt, id)}`;
  const steps: HostStep[] = [
    ...(isNew ? [makeGroup(group)] : []),
    write(`${group}/schemata`, `${lines.join('\n')}\n`, 'another part of the cache, or another bandwidth'),
    ...(isNew ? tasks.map((task) => write(`${group}/tasks`, String(task), 'all of the container belongs to it')) : []),
  ];
  return { group, isNew, steps };
}

/** A further process of the container, in the groups that were made for it, or found. */
export function joinResctrl({ linux }: Spec, id: string, resctrl: ResctrlFacts | undefined): HostStep[] {
  const rdt = linux.intelRdt;
  if (rdt === undefined || resctrl === undefined) return [];
  const own = rdt.closID !== undefined || linesOf(rdt).length > 0;
  const group = `${resctrl.mount}${resctrlGroup(rdt, id)}`;
  return [
    ...(own ? [join(group, "the class of the container's tasks")] : []),
    ...(rdt.enableMonitoring === true
      ? [join(`${group}/mon_groups/${id}`, "counted with the container's tasks", `${from}/enableMonitoring`)]
      : []),
  ];
}

const makeGroup = (path: string): HostStep => ({
  op: 'makeResctrlGroup',
  path,
  from,
  why: 'a class of service of its own',
});

const write = (path: string, value: string, why: string): HostStep => ({
  op: 'writeFile',
  path,
  value,
  optional: 0,
  otherPath: '',
  otherValue: '',
  from,
  why,
});

const join = (path: string, why: string, field = from): HostStep => ({
  op: 'joinResctrlGroup',
  path,
  from: field,
  why,
});

/** The lines to be written; those of `schemata` stand last, so that they win. */
const linesOf = ({ l3CacheSchema = '', memBwSchema = '', schemata = [] }: LinuxIntelRdt): string[] =>
  [l3CacheSchema, memBwSchema, ...schemata].flatMap((text) => text.split('\n')).filter((line) => line.trim() !== '');

/** `L3:0=f` and `L3:1=ff` of ` L3: 0=0f;1=ff`: the kernel pads names and numbers as it likes. */
function entriesOf(line: string): string[] {
  const [resource = '', values = ''] = line.split(':');
  return values.split(';').flatMap((value) => {
    const [domain = '', amount = ''] = value.trim().split('=');
    return domain === '' ? [] : [`${resource.trim()}:${domain}=${amount.trim().replace(/^0+(?=.)/, '')}`];
  });
}

function refuse(field: string, expected: string, found: unknown, hint?: string): never {
  const problem = { pointer: `${from}${field}`, expected, found: JSON.stringify(found) ?? 'nothing' };
  throw new ConfigError('config.json', [hint === undefined ? problem : { ...problem, hint }]);
}
