// What one field of config.json says about another. Each rule names the fields that it reads, and is left out where
// one of them is wrong in itself.

import { addNamespace, checkIdMappings, checkMappedUser, checkMountMappings } from './id-mappings.ts';
import type { Report } from './report.ts';
import { checkNetDevices } from './net-devices.ts';
import { checkMemoryPolicy, checkScheduler } from './scheduling.ts';
import { checkSeccomp } from './seccomp.ts';
import { checkSysctl } from './sysctl.ts';
import { cleanPath } from './text.ts';
import type { LinuxNamespaceType, Spec } from './types.ts';

interface Rule {
  readonly reads: readonly string[];
  readonly check: (spec: Spec, report: Report) => unknown;
}

const rules: readonly Rule[] = [
  { reads: ['/linux/namespaces'], check: checkNamespacesOnce },
  { reads: ['/linux/namespaces', '/hostname', '/domainname'], check: checkUtsNames },
  { reads: ['/linux/namespaces', '/linux/maskedPaths', '/linux/readonlyPaths'], check: checkHiddenPaths },
  { reads: ['/linux/namespaces', '/linux/timeOffsets'], check: checkTimeOffsets },
  { reads: ['/process/rlimits'], check: checkRlimits },
  { reads: ['/linux/devices'], check: checkDevices },
  { reads: ['/mounts'], check: checkMounts },
  { reads: ['/mounts'], check: checkMountMappings },
  { reads: ['/linux/namespaces', '/linux/uidMappings', '/linux/gidMappings'], check: checkIdMappings },
  {
    reads: ['/linux/namespaces', '/linux/uidMappings', '/linux/gidMappings', '/process/user'],
    check: checkMappedUser,
  },
  {
    reads: ['/linux/namespaces', '/linux/sysctl'],
    check: (spec, report) => spec.linux.sysctl === undefined || checkSysctl(spec, report),
  },
  { reads: ['/linux/namespaces', '/linux/netDevices'], check: checkNetDevices },
  {
    reads: ['/process/scheduler'],
    check: (spec, report) => spec.process?.scheduler === undefined || checkScheduler(spec, report),
  },
  {
    reads: ['/linux/memoryPolicy'],
    check: (spec, report) => spec.linux.memoryPolicy === undefined || checkMemoryPolicy(spec, report),
  },
  {
    reads: ['/linux/seccomp'],
    check: (spec, report) => spec.linux.seccomp === undefined || checkSeccomp(spec, report),
  },
];

export function checkRules(spec: Spec, report: Report): void {
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as Rule;
    if (report.problems.length === 0 || !report.spoils(rule.reads)) rule.check(spec, report);
  }
}

function hasNamespace(spec: Spec, type: LinuxNamespaceType): boolean {
  const namespaces = spec.linux.namespaces ?? [];
  for (let i = 0; i < namespaces.length; i++) if (namespaces[i]?.type === type) return true;
  return false;
}

function checkNamespacesOnce(spec: Spec, report: Report): void {
  spec.linux.namespaces?.forEach(({ type }, i, all) => {
    if (firstOfType(all, type) < i) report.at(`/linux/namespaces/${i}/type`, 'each type once', type);
  });
}

function firstOfType(all: readonly { readonly type: string }[], type: string): number {
  for (let i = 0; i < all.length; i++) if (all[i]?.type === type) return i;
  return -1;
}

/** Without a uts namespace these would rename the host. */
function checkUtsNames(spec: Spec, report: Report): void {
  if ((spec.hostname === undefined && spec.domainname === undefined) || hasNamespace(spec, 'uts')) return;
  for (const field of ['hostname', 'domainname'] as const) {
    if (spec[field] === undefined) continue;
    report.at(`/${field}`, '(nothing) without a uts namespace', spec[field], addNamespace('uts'));
  }
}

/** Without a mount namespace these would hide the host's own files. */
function checkHiddenPaths(spec: Spec, report: Report): void {
  for (const field of ['maskedPaths', 'readonlyPaths'] as const) {
    const paths = spec.linux[field];
    if (paths === undefined || paths.length === 0 || hasNamespace(spec, 'mount')) continue;
    report.at(`/linux/${field}`, '(nothing) without a mount namespace', paths, addNamespace('mount'));
  }
}

/** The kernel's clocks that a time namespace can move (time_namespaces(7)); nobody could tell that another is left. */
function checkTimeOffsets(spec: Spec, report: Report): void {
  const offsets = spec.linux.timeOffsets;
  if (offsets === undefined) return;
  const clocks = Object.keys(offsets);
  for (const clock of clocks) {
    if (clock !== 'monotonic' && clock !== 'boottime')
      report.at(`/linux/timeOffsets/${clock}`, 'one of the clocks monotonic, boottime', offsets[clock as 'monotonic']);
  }
  const time = spec.linux.namespaces?.find(({ type }) => type === 'time');
  if (clocks.length > 0 && (time === undefined || time.path !== undefined)) {
    const hint = time === undefined ? addNamespace('time') : undefined;
    report.at('/linux/timeOffsets', '(nothing) without a new time namespace', offsets, hint);
  }
}

function checkRlimits(spec: Spec, report: Report): void {
  spec.process?.rlimits?.forEach(({ type, soft, hard }, i, all) => {
    if (firstOfType(all, type) < i) report.at(`/process/rlimits/${i}/type`, 'each type once', type);
    if (soft > hard) report.at(`/process/rlimits/${i}/soft`, `at most the hard limit ${hard}`, soft);
  });
}

function checkDevices(spec: Spec, report: Report): void {
  // A privileged container has all the devices of its host: to compare each with each takes longer than all else.
  const first = new Map<string, number>();
  spec.linux.devices?.forEach((device, i) => {
    const path = cleanPath(device.path);
    const before = first.get(path);
    if (before === undefined) first.set(path, i);
    else report.at(`/linux/devices/${i}/path`, `a path that /linux/devices/${before} does not have`, device.path);
    if (device.type === 'p' || (device.major !== undefined && device.minor !== undefined)) return;
    for (const field of ['major', 'minor'] as const) {
      if (device[field] !== undefined) continue;
      report.at(`/linux/devices/${i}/${field}`, `a number for a device of type ${device.type}`, undefined);
    }
  });
}

/** Relative destinations are deprecated and mean the same under `/`; the rest of tsrun need not know of them. */
function checkMounts(spec: Spec, report: Report): void {
  const mounts = spec.mounts ?? [];
  for (let i = 0; i < mounts.length; i++) {
    const mount = mounts[i] as { destination: string; readonly source?: string; readonly options?: readonly string[] };
    if (mount.destination.charCodeAt(0) !== 0x2f) mount.destination = cleanPath(mount.destination);
    const options = mount.options;
    if (options === undefined || mount.source !== undefined) continue;
    if (options.indexOf('bind') < 0 && options.indexOf('rbind') < 0) continue;
    report.at(`/mounts/${i}/source`, 'a path for a bind mount', undefined);
  }
}
