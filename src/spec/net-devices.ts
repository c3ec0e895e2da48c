// linux.netDevices against linux.namespaces, and its names against each other.

import { addNamespace } from './id-mappings.ts';
import { pointer, type Report } from './report.ts';
import { isDeviceName } from './text.ts';
import type { Spec } from './types.ts';

export function checkNetDevices({ linux: { netDevices, namespaces = [] } }: Spec, report: Report): void {
  const names = Object.keys(netDevices ?? {});
  if (netDevices === undefined || names.length === 0) return;
  if (!namespaces.some(({ type }) => type === 'network')) {
    report.at('/linux/netDevices', '(nothing) without a network namespace', netDevices, addNamespace('network'));
  }
  const taken = new Set<string>();
  for (const name of names) {
    const at = pointer(['linux', 'netDevices', name]);
    if (!isDeviceName(name)) report.at(at, 'the name of a network device, of 1 to 15 bytes', name);
    const inside = netDevices[name]?.name ?? name;
    if (taken.has(inside)) report.at(`${at}/name`, 'another name for each device', inside);
    taken.add(inside);
  }
}
