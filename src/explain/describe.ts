// A step as a person reads it: what is done, to what, with which arguments.

import { printEbpf } from '../cgroup/ebpf.ts';
import type { Value } from '../dbus/types.ts';
import type { UnitProperty } from '../cgroup/unit.ts';
import { capabilityNames } from '../linux/capabilities.ts';
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
} from '../linux/flags.ts';
import { namespaceFlags } from '../linux/namespaces.ts';
import { rlimitNames, rlimits } from '../linux/rlimits.ts';
import {
  IOPRIO_CLASS_SHIFT,
  ioPriorityClasses,
  memoryPolicyFlags,
  memoryPolicyModes,
  personalities,
  schedulerFlags,
  schedulerPolicies,
} from '../linux/scheduling.ts';
import { propagations } from '../plan/mount-options.ts';
import { flagNames } from '../seccomp/flags.ts';
import { SLOT_DEV, SLOT_ROOT, type Step } from '../plan/steps.gen.ts';
import type { UnitStep } from '../plan/unit.ts';

const syncNames = ['user namespace', 'forked', 'network', 'hooks', 'ready', 'listener'];
const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, '0');
const property = ([name, { value }]: UnitProperty) => `${name}=${wordValue(value)}`;
const wordValue = (value: Value): string =>
  typeof value !== 'object'
    ? String(value)
    : 'signature' in value
      ? wordValue(value.value)
      : `[${Array.from<Value>(value).map(wordValue).join(' ')}]`;
const mapText = (map: string) => map.trim().replaceAll('\n', ', ');
const list = (items: readonly string[]) => (items.length === 0 ? 'none' : items.join(' '));

export function describe(step: Step | UnitStep): string {
  switch (step.op) {
    case 'startUnit':
      return `start systemd unit ${step.name} with ${[...step.properties, ...step.late].map(property).join(' ')}`;
    case 'makeDir':
      return `make directory ${step.path}`;
    case 'writeFile':
      return `write ${JSON.stringify(step.value)} to ${step.path}${step.otherPath === '' ? '' : ` (or ${JSON.stringify(step.otherValue)} to ${step.otherPath})`}`;
    case 'checkUsage':
      return `check that ${step.path} is below ${step.limit}`;
    case 'changeOwner':
      return `give ${step.path} to uid ${step.uid}`;
    case 'makeResctrlGroup':
      return `make resctrl group ${step.path}`;
    case 'joinResctrlGroup':
      return `join resctrl group ${step.path}`;
    case 'openCgroup':
      return `open cgroup ${step.path}`;
    case 'attachDeviceFilter':
      return `attach device filter, ${printEbpf(step.program).length} instructions`;
    case 'openGate':
      return `open gate ${step.path}`;
    case 'launch':
      return `launch tsrun-init in new namespaces: ${list(namespaceNames(step.namespaces))}${step.inCgroup === 1 ? ', born in the cgroup' : ''}`;
    case 'awaitInit':
      return `wait for init at "${syncNames[step.sync]}"`;
    case 'releaseInit':
      return `let init go on from "${syncNames[step.sync]}"`;
    case 'writeIdMap':
      return `write ${step.file}: ${mapText(step.map)}`;
    case 'setRlimit':
      return `set limit ${rlimitNames.find((name) => rlimits[name] === step.resource) ?? step.resource}: soft ${step.soft}, hard ${step.hard}`;
    case 'sendListener':
      return `send the listener of the seccomp filter to ${step.path}`;
    case 'setOomScoreAdj':
      return `set oom_score_adj ${step.value}`;
    case 'moveNetDevice':
      return `move network device ${step.name} inside${step.newName === step.name ? '' : ` as ${step.newName}`}`;
    case 'setScheduler':
      return `set scheduling ${nameOf(schedulerPolicies, step.policy)}${withOptions(namesOf(schedulerFlags, step.flags))}: nice ${step.nice}, priority ${step.priority}, runtime ${step.runtime}, deadline ${step.deadline}, period ${step.period}`;
    case 'setIoPriority':
      return `set I/O priority ${nameOf(ioPriorityClasses, step.value >>> IOPRIO_CLASS_SHIFT)} ${step.value & 7}`;
    case 'setAffinity':
      return `let ${step.own === 1 ? 'the runtime' : 'it'} run on CPUs ${bitList(step.cpus)}`;
    case 'killCgroup':
      return `kill all processes of ${step.path}`;
    case 'signalCgroup':
      return `send signal ${step.signal} to all processes of ${step.path}`;
    case 'removeDir':
      return `remove directory ${step.path}`;
    case 'removeFile':
      return `remove file ${step.path}`;
    case 'runHook':
      return `run hook ${step.args.join(' ')}`;
    case 'openHookOutput':
      return `open for the hooks of init: ${list([step.out, step.err].filter((path) => path !== ''))}`;
    case 'openTree':
      return `clone the mount tree ${step.path}`;
    case 'joinNamespace':
      return `join ${list(namespaceNames(step.type))} namespace ${step.path}`;
    case 'joinProcess':
      return `join ${list(namespaceNames(step.namespaces))} namespaces of the container`;
    case 'unshare':
      return `enter new namespaces: ${list(namespaceNames(step.namespaces))}`;
    case 'sync':
      return step.wait === 1 ? `stop at "${syncNames[step.sync]}"` : `report "${syncNames[step.sync]}"`;
    case 'openTimeOffsets':
      return 'open timens_offsets';
    case 'enterTimeNamespace':
      return `enter the new time namespace${step.offsets === '' ? '' : `, offsets ${step.offsets.trim().replaceAll('\n', ', ')}`}`;
    case 'checkIdMap':
      return `check ${step.file}: ${mapText(step.map)}`;
    case 'makeDumpable':
      return "give init's files in /proc to the caller";
    case 'becomeRoot':
      return 'become uid 0, gid 0';
    case 'fork':
      return 'fork the container process';
    case 'newSession':
      return 'start a new session';
    case 'joinKeyring':
      return `join session keyring ${step.name}`;
    case 'openNetwork':
      return 'open a routing socket for the host side';
    case 'bringUpLoopback':
      return 'bring up loopback';
    case 'leaveChroot':
      return 'make the chroot the root of the mount namespace';
    case 'setPropagation':
      return `make ${step.path} ${propagationName(step.propagation, step.recursive)}`;
    case 'privateParent':
      return `make the mount that holds ${step.path} private`;
    case 'openRoot':
      return 'open the root';
    case 'takeRoot':
      return 'take it for the root file system';
    case 'attachRoot':
      return `mount the root file system over ${step.path}`;
    case 'mount':
      return `make ${step.fstype} file system${step.source.startsWith('/') ? ` of ${step.source}` : ''}${withOptions([...attributeNames(step.attributes), ...step.options])}`;
    case 'legacyMount':
      return `make ${step.fstype} file system of ${step.source}${withOptions([...attributeNames(step.attributes), step.data])}`;
    case 'copyUp':
      return `copy into it what lies at ${step.target}`;
    case 'labelMount':
      return `label it ${step.label}`;
    case 'makeIdMap':
      return step.path === ''
        ? `make id mappings: users ${mapText(step.uidMap)}; groups ${mapText(step.gidMap)}`
        : `take the id mappings of ${step.path}`;
    case 'mapIds':
      return `map the ids of ${step.recursive === 1 ? 'its tree' : 'it'}`;
    case 'keepMount':
      return `put it aside as number ${step.index}`;
    case 'takeMount':
      return `take up number ${step.index}`;
    case 'bind':
      return `clone ${step.recursive === 1 ? 'the mount tree' : 'the mount of'} ${step.source}`;
    case 'setMount':
      return setMountText(step.slot, step.set, step.clear, step.propagation, step.recursive);
    case 'attachMount':
      return `mount it on ${step.target}`;
    case 'findMount':
      return `find the mount at ${step.target}`;
    case 'reconfigure':
      return `change its file system${withOptions(step.options)}`;
    case 'remount':
      return 'remount it with iversion';
    case 'makePath':
      return `make directory ${step.path} in the root`;
    case 'makeDevice':
      return `${step.bind === 1 ? 'bind' : 'make'} device ${step.path} ${step.major}:${step.minor}, mode ${octal(step.mode)}`;
    case 'makeLink':
      return `make link ${step.path} -> ${step.text}`;
    case 'openConsole':
      return 'open a pseudoterminal';
    case 'mountConsole':
      return `mount the pseudoterminal on ${step.path}`;
    case 'readonlyPath':
      return `make ${step.path} read-only`;
    case 'maskPath':
      return `mask ${step.path}`;
    case 'pivotRoot':
      return 'pivot_root';
    case 'detachMount':
      return `unmount ${step.path} of the host`;
    case 'moveRoot':
      return 'move the root over / and chroot';
    case 'changeRoot':
      return `chroot to ${step.path}`;
    case 'setHostname':
      return `set hostname ${step.name}`;
    case 'setDomainname':
      return `set domainname ${step.name}`;
    case 'openProc':
      return 'open a procfs of its own';
    case 'writeSysctl':
      return `write ${JSON.stringify(step.value)} to ${step.path}`;
    case 'writeLabel':
      return `write ${JSON.stringify(step.label)} to ${step.path}`;
    case 'setPersonality':
      return `set personality ${nameOf(personalities, step.persona)}`;
    case 'setMemoryPolicy':
      return `set memory policy ${nameOf(memoryPolicyModes, step.mode)}${withOptions(namesOf(memoryPolicyFlags, step.flags))}${step.nodes.length === 0 ? '' : ` on nodes ${bitList(step.nodes)}`}`;
    case 'closeDescriptors':
      return `close descriptors from ${3 + step.preserveFds} on`;
    case 'useConsole':
      return 'use the pseudoterminal as standard input, output and error';
    case 'ownStdio':
      return `give standard input, output and error to uid ${step.uid}`;
    case 'noNewPrivileges':
      return 'set no_new_privs';
    case 'changeDir':
      return `change directory to ${step.path}`;
    case 'dropBounding':
      return `drop capabilities from the bounding set, all but: ${list(capabilitiesOf(Number(step.keep)))}`;
    case 'setIds':
      return `become uid ${step.uid}, gid ${step.gid}, groups ${step.keepGroups === 1 ? 'as they are' : list(step.groups.map(String))}, umask ${octal(step.umask)}`;
    case 'setCapabilities':
      return `set capabilities: ${(['effective', 'permitted', 'inheritable', 'ambient'] as const).map((set) => `${set} ${list(capabilitiesOf(Number(step[set])))}`).join('; ')}`;
    case 'findExecutable':
      return `find ${step.name}${step.name.includes('/') ? '' : ` in ${step.path}`}`;
    case 'loadSeccomp':
      return `load seccomp filter, ${step.program.length / 8} instructions${withOptions(flagNames(step.flags))}`;
    case 'awaitStart':
      return 'wait for the start';
    case 'prepareExec':
      return 'make ready for execve';
    case 'exec':
      return `exec ${step.args.join(' ')}`;
    default:
      return step satisfies never;
  }
}

const nameOf = (table: Readonly<Record<string, number>>, number: number): string =>
  Object.keys(table).find((name) => table[name] === number) ?? String(number);

const namesOf = (table: Readonly<Record<string, number>>, bits: number): string[] =>
  Object.keys(table).filter((name) => (bits & (table[name] ?? 0)) !== 0);

/** `0-3,7`; `all` for an empty mask. */
function bitList(words: readonly number[]): string {
  const ranges: string[] = [];
  let first = -1;
  for (let bit = 0; bit <= words.length * 32; bit++) {
    const isSet = (((words[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 1;
    if (isSet && first < 0) first = bit;
    if (isSet || first < 0) continue;
    ranges.push(first === bit - 1 ? String(first) : `${first}-${bit - 1}`);
    first = -1;
  }
  return words.length === 0 ? 'all' : ranges.join(',');
}

const namespaceNames = (flags: number): string[] =>
  Object.entries(namespaceFlags).flatMap(([name, flag]) => ((flags & flag) !== 0 ? [name] : []));

const capabilitiesOf = (mask: number): string[] =>
  capabilityNames.filter((_, index) => Math.floor(mask / 2 ** index) % 2 === 1);

const withOptions = (options: readonly string[]) => (options.length === 0 ? '' : ` (${options.join(',')})`);

const attributes: readonly (readonly [flag: number, name: string])[] = [
  [MOUNT_ATTR_RDONLY, 'ro'],
  [MOUNT_ATTR_NOSUID, 'nosuid'],
  [MOUNT_ATTR_NODEV, 'nodev'],
  [MOUNT_ATTR_NOEXEC, 'noexec'],
  [MOUNT_ATTR_NODIRATIME, 'nodiratime'],
  [MOUNT_ATTR_NOSYMFOLLOW, 'nosymfollow'],
];

function attributeNames(flags: number): string[] {
  const names = attributes.flatMap(([flag, name]) => ((flags & flag) !== 0 ? [name] : []));
  if ((flags & MOUNT_ATTR__ATIME) === MOUNT_ATTR_NOATIME) names.push('noatime');
  if ((flags & MOUNT_ATTR__ATIME) === MOUNT_ATTR_STRICTATIME) names.push('strictatime');
  return names;
}

function propagationName(flag: number, recursive: number): string {
  return (
    Object.entries(propagations).find(
      ([, entry]) => entry.flag === flag && entry.recursive === (recursive === 1),
    )?.[0] ?? ''
  );
}

function setMountText(slot: number, set: number, clear: number, propagation: number, recursive: number): string {
  const what = slot === SLOT_ROOT ? 'the root' : slot === SLOT_DEV ? '/dev' : recursive === 1 ? 'its tree' : 'it';
  if (propagation !== 0) return `make it ${propagationName(propagation, recursive)}`;
  // The access time field is cleared to be set: what is cleared and not set reads as the default, relatime.
  const cleared = attributeNames(clear & ~MOUNT_ATTR__ATIME).map((name) => (name === 'ro' ? 'rw' : name.slice(2)));
  const isRelatime = (clear & MOUNT_ATTR__ATIME) !== 0 && (set & MOUNT_ATTR__ATIME) === 0;
  return `set ${[...attributeNames(set), ...cleared, ...(isRelatime ? ['relatime'] : [])].join(',')} on ${what}`;
}
