// Reads what the plan has to know about the host.

import { findCgroup2, parseOwnCgroup } from '../cgroup/path.ts';
import { sys, unlessMissing } from '../linux/sys.ts';
import type { CgroupFacts, CgroupManager, HostFacts } from '../plan/host.ts';

const FILE_MOST = 4 << 20;

const read = (path: string): string | undefined => unlessMissing(() => sys.readFile(path, FILE_MOST));

export interface FactsWanted {
  readonly manager: CgroupManager;
  /** True with --no-pivot. */
  readonly kernelMounts: boolean;
  /** True with linux.mountLabel. */
  readonly selinux: boolean;
}

export function readHostFacts(wanted: FactsWanted): HostFacts {
  const [permitted = 0, bounding = 0, lastCapability = 0] = sys.capabilities();
  return {
    euid: sys.userId(),
    permitted,
    bounding,
    lastCapability,
    cgroup: wanted.manager === 'disabled' ? undefined : readCgroup(wanted.manager),
    inChroot: sys.isMountRoot('/') === 0,
    selinux: wanted.selinux && read('/sys/fs/selinux/enforce') !== undefined,
    kernelMounts: wanted.kernelMounts ? findKernelMounts(read('/proc/self/mountinfo') ?? '') : [],
  };
}

function readCgroup(manager: CgroupManager): CgroupFacts | undefined {
  // The usual place first: mountinfo is long on a busy host, and reading it takes the kernel's mount lock.
  let mount: string | undefined = '/sys/fs/cgroup';
  let controllers = read(`${mount}/cgroup.controllers`);
  if (controllers === undefined) {
    mount = findCgroup2(read('/proc/self/mountinfo') ?? '');
    if (mount === undefined) return undefined;
    controllers = read(`${mount}/cgroup.controllers`) ?? '';
  }
  return {
    mount,
    own: parseOwnCgroup(read('/proc/self/cgroup') ?? '') ?? '/',
    controllers: controllers.split(/\s+/).filter((name) => name !== ''),
    ...(typeof manager === 'object' ? { systemd: manager } : {}),
  };
}

/** Mount points of whole procfs and sysfs mounts. Fields as in proc_pid_mountinfo(5). */
function findKernelMounts(mountinfo: string): string[] {
  const found: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [fields = '', rest = ''] = line.split(' - ');
    const [, , , root, point] = fields.split(' ');
    const type = rest.split(' ')[0];
    if (root === '/' && point !== undefined && (type === 'proc' || type === 'sysfs')) found.push(point);
  }
  return found;
}
