// The rules of user namespaces (user_namespaces(7), kernel/user_namespace.c), checked before the kernel says EINVAL.

import type { Report } from './report.ts';
import type { LinuxIDMapping, LinuxNamespace, Mount, Spec } from './types.ts';

/** UID_GID_MAP_MAX_EXTENTS, Linux 4.15 and later. */
const MOST_MAPPINGS = 340;

/** Mappings belong to a user namespace, a new one needs both kinds, and no id may be mapped twice. */
export function checkIdMappings(spec: Spec, report: Report): void {
  const { namespaces, uidMappings, gidMappings } = spec.linux;
  const user = userNamespace(namespaces);
  checkMappings('/linux/uidMappings', uidMappings ?? [], user, report);
  checkMappings('/linux/gidMappings', gidMappings ?? [], user, report);
}

/** Mappings of a mount come in pairs (config.md#mounts), as a user namespace has both. */
export function checkMountMappings(spec: Spec, report: Report): void {
  const mounts = spec.mounts ?? [];
  for (let i = 0; i < mounts.length; i++) {
    const { uidMappings = [], gidMappings = [] } = mounts[i] as Mount;
    if (uidMappings.length === 0 && gidMappings.length === 0) continue;
    checkMountMap(`/mounts/${i}/uidMappings`, uidMappings, report);
    checkMountMap(`/mounts/${i}/gidMappings`, gidMappings, report);
  }
}

function checkMountMap(where: string, mappings: readonly LinuxIDMapping[], report: Report): void {
  if (mappings.length === 0) report.at(where, 'mappings of both, users and groups', undefined);
  else checkAll(where, mappings, report);
}

function checkMappings(
  where: string,
  mappings: readonly LinuxIDMapping[],
  user: LinuxNamespace | undefined,
  report: Report,
): void {
  if (user === undefined) {
    if (mappings.length > 0) report.at(where, '(nothing) without a user namespace', mappings, addNamespace('user'));
    return;
  }
  if (mappings.length === 0) {
    if (user.path === undefined) report.at(where, 'at least one mapping for the new user namespace', undefined);
    return;
  }
  checkAll(where, mappings, report);
}

function checkAll(where: string, mappings: readonly LinuxIDMapping[], report: Report): void {
  if (mappings.length > MOST_MAPPINGS) {
    report.at(where, `at most ${MOST_MAPPINGS} mappings`, mappings);
    return;
  }
  for (let i = 0; i < mappings.length; i++) checkMapping(where, mappings, i, report);
}

function checkMapping(where: string, mappings: readonly LinuxIDMapping[], index: number, report: Report): void {
  const own = mappings[index] as LinuxIDMapping;
  for (const side of ['containerID', 'hostID'] as const) {
    if (own[side] + own.size > 2 ** 32 - 1) {
      report.at(`${where}/${index}/size`, `ids up to 4294967294, counted from ${side} ${own[side]}`, own.size);
    }
    for (let i = 0; i < index; i++) {
      const other = mappings[i] as LinuxIDMapping;
      if (own[side] < other[side] + other.size && other[side] < own[side] + own.size) {
        report.at(`${where}/${index}/${side}`, `no id that ${where}/${i} maps already`, own[side]);
      }
    }
  }
}

/** The process's ids must exist in a new user namespace: setuid(2) to an unmapped id is EINVAL. */
export function checkMappedUser(spec: Spec, report: Report): void {
  const user = spec.process?.user;
  const { namespaces, uidMappings, gidMappings } = spec.linux;
  if (user === undefined || userNamespace(namespaces)?.path !== undefined) return;
  if (uidMappings !== undefined && uidMappings.length > 0 && !maps(uidMappings, user.uid)) {
    report.at('/process/user/uid', 'an id that /linux/uidMappings maps', user.uid);
  }
  if (gidMappings === undefined || gidMappings.length === 0) return;
  if (!maps(gidMappings, user.gid)) report.at('/process/user/gid', 'an id that /linux/gidMappings maps', user.gid);
  user.additionalGids?.forEach((gid, i) => {
    if (maps(gidMappings, gid)) return;
    report.at(`/process/user/additionalGids/${i}`, 'an id that /linux/gidMappings maps', gid);
  });
}

function maps(mappings: readonly LinuxIDMapping[], id: number): boolean {
  return mappings.some(({ containerID, size }) => id >= containerID && id < containerID + size);
}

function userNamespace(namespaces: readonly LinuxNamespace[] | undefined): LinuxNamespace | undefined {
  return namespaces?.find(({ type }) => type === 'user');
}

/** The hint where a field needs a namespace. */
export function addNamespace(type: string): string {
  return `add {"type":"${type}"} to /linux/namespaces`;
}
