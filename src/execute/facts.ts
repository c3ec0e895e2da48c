// Reads what the plan has to know about the host.

import { findCgroup2, parseOwnCgroup } from '../cgroup/path.ts';
import type { CgroupFacts, CgroupManager, HostFacts, ResctrlFacts, SystemdFacts } from '../plan/host.ts';
import { readAnyText, sys, unlessMissing } from '../linux/sys.ts';

const FILE_MOST = 4 << 20;

const read = (path: string): string | undefined => unlessMissing(() => readAnyText(path, FILE_MOST));

export interface FactsWanted {
  readonly manager: CgroupManager;
  /** True where there are hooks. */
  readonly environment: boolean;
  /** True with --no-pivot. */
  readonly kernelMounts: boolean;
  /** True where the configuration names something for a security module to enforce. */
  readonly labels: boolean;
  /** The container's group below resctrl, '' for its root; undefined where nothing is asked of it. */
  readonly resctrlGroup: string | undefined;
  /** True where the container is to own its cgroup. */
  readonly delegate: boolean;
  /** True where the configuration names a cgroup, or limits: without root there is none otherwise, unless it can be made. */
  readonly cgroupAsked: boolean;
}

/** Nothing that a container is not asked for: to be spread into. */
export const noFacts: FactsWanted = {
  manager: 'disabled',
  kernelMounts: false,
  environment: false,
  labels: false,
  resctrlGroup: undefined,
  delegate: false,
  cgroupAsked: true,
};

export function readHostFacts(wanted: FactsWanted): HostFacts {
  const [permitted = 0, bounding = 0, lastCapability = 0] = sys.capabilities();
  const euid = sys.userId();
  return {
    euid,
    permitted,
    bounding,
    lastCapability,
    cgroup: wanted.manager === 'disabled' ? undefined : readCgroup(wanted, wanted.manager, euid),
    appArmor: wanted.labels && read('/sys/module/apparmor/parameters/enabled')?.trim() === 'Y',
    seLinux: wanted.labels && read('/sys/fs/selinux/enforce') !== undefined,
    resctrl: wanted.resctrlGroup === undefined ? undefined : readResctrl(wanted.resctrlGroup),
    environment: wanted.environment ? sys.environment() : [],
    inChroot: sys.isMountRoot('/') === 0,
    kernelMounts: wanted.kernelMounts ? findKernelMounts(read('/proc/self/mountinfo') ?? '') : [],
  };
}

function readCgroup(
  { delegate, cgroupAsked }: FactsWanted,
  manager: 'cgroupfs' | SystemdFacts,
  euid: number,
): CgroupFacts | undefined {
  // The usual place first: mountinfo is long on a busy host, and reading it takes the kernel's mount lock.
  let mount: string | undefined = '/sys/fs/cgroup';
  let controllers = read(`${mount}/cgroup.controllers`);
  if (controllers === undefined) {
    mount = findCgroup2(read('/proc/self/mountinfo') ?? '');
    if (mount === undefined) return undefined;
    controllers = read(`${mount}/cgroup.controllers`) ?? '';
  }
  const own = parseOwnCgroup(read('/proc/self/cgroup') ?? '') ?? '/';
  const isRoot = euid === 0 && !inUserNamespace();
  if (manager === 'cgroupfs' && !isRoot && !cgroupAsked && !isOwner(`${mount}${parentOf(own)}`, euid)) return undefined;
  return {
    mount,
    own,
    controllers: words(controllers),
    filtersDevices: isRoot,
    delegate: delegate ? words(read('/sys/kernel/cgroup/delegate')) : undefined,
    ...(typeof manager === 'object' ? { systemd: manager } : {}),
  };
}

/** The first user namespace alone maps all ids to themselves. user_namespaces(7) */
const inUserNamespace = (): boolean => !/^\s*0\s+0\s+4294967295\s*$/.test(read('/proc/self/uid_map') ?? '');

/** Who may make cgroups in a directory has been given it. cgroups(7), Cgroups v2 delegation */
const isOwner = (directory: string, euid: number): boolean => unlessMissing(() => sys.stat(directory))?.[1] === euid;

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

function readResctrl(group: string): ResctrlFacts | undefined {
  const mount = '/sys/fs/resctrl';
  if (read(`${mount}/schemata`) === undefined) return undefined;
  return { mount, schemata: read(`${mount}${group}/schemata`) };
}

function words(text: string): string[];
function words(text: string | undefined): string[] | undefined;
function words(text: string | undefined): string[] | undefined {
  return text?.split(/\s+/).filter((name) => name !== '');
}

/**
 * Mount points of whole procfs and sysfs mounts, as they stand in proc_pid_mountinfo(5). One below another is left out:
 * it goes when that is detached, with its whole tree (MNT_DETACH in umount2(2)).
 */
export function findKernelMounts(mountinfo: string): string[] {
  const found: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [fields = '', rest = ''] = line.split(' - ');
    const [, , , root, point] = fields.split(' ');
    const type = rest.split(' ')[0];
    if (root === '/' && point !== undefined && (type === 'proc' || type === 'sysfs')) found.push(unescape(point));
  }
  return found.filter((point) => !found.some((other) => point.startsWith(`${other}/`)));
}

/** Space, tab, newline and backslash stand there as a backslash and three octal digits. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
