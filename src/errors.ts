// The one place that words messages. Code elsewhere collects facts and calls one of the functions here.

import { TsrunError, UsageError } from './failures.ts';
import { errnoName, errnoText } from './linux/errno.ts';
import { namespaceFlags } from './linux/namespaces.ts';

export { ConfigError, type Problem, TsrunError, UsageError } from './failures.ts';

/** `message` says what is wrong with the words behind `command`, or with those before any command. */
export function usageError(message: string, command?: string): UsageError {
  return new UsageError(command === undefined ? message : `${command}: ${message}`, command);
}

/** What a failed step is worded from: see StepFailed in src/execute/report.ts. */
interface FailedStep {
  readonly errno: number;
  readonly call: string;
  readonly object: string;
  readonly message: string;
  readonly result: number;
  readonly broken: boolean;
}

interface FailingStep {
  readonly op: string;
  readonly from: string;
  readonly about?: string;
}

/** A step of the plan that the kernel, or a hook, refused. Names step, system call, errno, field, and a hint where one is known. */
export function stepError(step: FailingStep | undefined, failed: FailedStep): TsrunError {
  if (step === undefined || failed.broken) {
    return new TsrunError(
      `internal error: the plan was not understood at step ${JSON.stringify(step?.op)} (${errnoName(failed.errno)})`,
    );
  }
  const field = step.from === '' ? '' : ` (${step.from} in config.json)`;
  const hint = hintFor(step.op, failed);
  return new TsrunError(`${wordStep(step, failed)}${field}${hint === undefined ? '' : `; hint: ${hint}`}`);
}

function wordStep({ op, about: place }: FailingStep, failed: FailedStep): string {
  const { errno, call, object, message } = failed;
  // Engines look for these phrases of Go's os/exec (docs: they decide between exit codes 126 and 127 by them).
  if (call === 'lookup') {
    const reason = errno === 2 ? 'executable file not found in $PATH' : errnoText(errno);
    return `unable to start container process: exec: "${object}": ${reason}`;
  }
  if (op === 'findExecutable')
    return `unable to start container process: exec: "${object}": stat ${object}: ${errnoText(errno)}`;
  if (op === 'exec')
    return `unable to start container process: exec ${object}: ${errnoText(errno)} (${errnoName(errno)})`;
  if (call === 'ioctl(NS_GET_NSTYPE)') {
    const found = Object.entries(namespaceFlags).find(([, flag]) => flag === failed.result)?.[0];
    return `join namespace failed: ${object} is ${found === undefined ? 'no namespace' : `a ${found} namespace`}, not one of the configured type`;
  }
  if (call === 'hook') return `hook ${object} ${wordHook(failed)}${message === '' ? '' : `: ${message}`}`;
  const said = message === '' ? '' : `: ${message}`;
  const about = object === '' ? call : `${call} ${object}`;
  const name = op.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return `${name}${place === undefined ? '' : ` ${place}`} failed: ${about}: ${errnoText(errno)} (${errnoName(errno)})${said}`;
}

function wordHook({ errno, result }: FailedStep): string {
  if (errno === 110) return 'took longer than its timeout and was killed';
  if (errno === 4) return 'was killed, as tsrun was told to end';
  if (errno === 3) return 'was killed, as the container was ended meanwhile';
  const signal = result & 0x7f;
  return signal === 0 ? `failed with exit status ${result >> 8}` : `was ended by signal ${signal}`;
}

/** What to do about it, where experience tells: by step and errno. */
function hintFor(op: string, { errno, call, object, message }: FailedStep): string | undefined {
  const name = errnoName(errno);
  if (op === 'mount' && call === 'fsmount' && name === 'EPERM') {
    return object === 'sysfs'
      ? 'sysfs needs a network namespace of the same user namespace: add {"type": "network"} to linux.namespaces, or bind-mount /sys'
      : 'the user namespace does not own the namespace that this file system shows';
  }
  if (op === 'mount' && name === 'EPERM' && object === 'sysfs')
    return 'add {"type": "network"} to linux.namespaces, or bind-mount /sys';
  if (op === 'mount' && name === 'ENODEV') return `this kernel has no file system "${object}"`;
  if (op === 'mount' && name === 'EINVAL' && message === '')
    return 'the file system does not know this option, or not this value';
  if (op === 'attachMount' && call === 'move_mount' && name === 'ENOTDIR')
    return 'a file cannot be mounted on a directory';
  if (op === 'attachMount' && (name === 'ELOOP' || name === 'ENOTDIR'))
    return 'proc and sysfs must be mounted on ordinary directory, and no mount point may be a link that leads nowhere';
  if (op === 'attachMount' && call === 'statfs')
    return 'only a procfs may be mounted on /proc, and inside it only over a few files that show limits';
  if (op === 'attachMount' && name === 'EROFS')
    return 'make the mount point in the image, or the root file system writable';
  if (op === 'loadSeccomp' && name === 'EACCES')
    return 'without process.noNewPrivileges the runtime needs CAP_SYS_ADMIN to load a filter';
  if (op === 'loadSeccomp' && name === 'EINVAL') {
    return 'this kernel lacks one of the linux.seccomp.flags (WAIT_KILLABLE_RECV came with Linux 5.19), or CONFIG_SECCOMP_FILTER';
  }
  if (op === 'sendListener' && (name === 'ENOENT' || name === 'ECONNREFUSED')) return 'no seccomp agent listens there';
  if (op === 'pivotRoot' && name === 'EINVAL') return 'on a ramdisk use --no-pivot';
  if (op === 'openCgroup' && call === 'cgroup.freeze')
    return 'this cgroup is frozen, so that nothing runs in it: thaw it, or give another linux.cgroupsPath';
  if (op === 'openCgroup' && name === 'EBUSY')
    return 'processes are in this cgroup already: give another linux.cgroupsPath';
  if (op === 'writeFile' && object.endsWith('cgroup.subtree_control') && name === 'EBUSY') {
    return 'processes are in this parent cgroup, so it cannot hand on controllers (no internal processes rule)';
  }
  if (op === 'writeFile' && object.endsWith('cgroup.subtree_control') && name === 'EOPNOTSUPP')
    return 'this parent cgroup is threaded, or holds threaded ones: these controllers work in a domain only';
  if (op === 'writeFile' && object.endsWith('cgroup.subtree_control') && name === 'ENOENT')
    return 'the parent cgroup does not have one of these controllers';
  if (op === 'setRlimit' && name === 'EPERM') return 'raising a hard limit needs CAP_SYS_RESOURCE';
  if (op === 'makeResctrlGroup' && name === 'ENOSPC') return 'the CPU has no class of service, or monitor, left';
  if (op === 'writeFile' && object.endsWith('/schemata'))
    return 'info/last_cmd_status in resctrl says what is wrong with the schema';
  if (op === 'checkUsage') return 'more memory is in use than the limit would allow, and checkBeforeUpdate is set';
  if (op === 'moveNetDevice' && name === 'ENODEV')
    return 'the host, or the namespace of the runtime, has no such device';
  if (op === 'moveNetDevice' && name === 'EEXIST') return "a device of the container's network namespace has this name";
  if (op === 'moveNetDevice' && name === 'EPERM') return 'moving a device takes CAP_NET_ADMIN in both namespaces';
  if (op === 'moveNetDevice' && name === 'EINVAL')
    return 'this device belongs to one network namespace only, as lo does';
  if (op === 'setScheduler' && name === 'EPERM')
    return 'realtime and deadline scheduling need CAP_SYS_NICE on the host, and a cgroup whose realtime share is not 0';
  if (op === 'setScheduler' && name === 'EINVAL')
    return 'this kernel does not have the policy, or not with these flags and numbers (sched_setattr(2))';
  if (op === 'setScheduler' && name === 'EBUSY') return 'there is not enough CPU time left for this deadline';
  if (op === 'setIoPriority' && name === 'EPERM') return 'IOPRIO_CLASS_RT needs CAP_SYS_NICE on the host';
  if (op === 'setMemoryPolicy' && name === 'EINVAL')
    return 'one of the nodes is not there, or cpuset.mems does not allow it, or this kernel lacks the mode';
  if (op === 'setMemoryPolicy' && name === 'ENOSYS') return 'this kernel was built without NUMA';
  if (op === 'writeLabel' && name === 'ENOENT') return 'no such profile is loaded, or the security module is off';
  if (op === 'makeDir' && (name === 'EACCES' || name === 'EROFS'))
    return 'no right to make cgroups here: use --cgroup-manager=disabled, or a delegated cgroup';
  if (op === 'enterTimeNamespace' && call === 'write' && name === 'ERANGE')
    return 'with this offset the clock would be below zero, or more than 146 years ahead';
  if (op === 'enterTimeNamespace' || op === 'openTimeOffsets')
    return name === 'ENOENT' ? 'this kernel has no time namespaces' : undefined;
  if (op === 'checkIdMap' && name === 'EINVAL')
    return 'the joined user namespace has other mappings: leave linux.uidMappings and linux.gidMappings out';
  if (op === 'writeIdMap' && name === 'EPERM')
    return 'without root only the own id can be mapped, by one entry of size 1';
  if (op === 'mapIds') {
    if (name === 'EINVAL')
      return 'this file system, or this kernel, has no id-mapped mounts, or the mount has mappings already';
    if (name === 'EPERM') return 'only who owns the file system may map its ids';
  }
  if (op === 'copyUp' && name === 'ENOSPC') return 'the tmpfs is too small for what lies below it: give a larger size=';
  if (op === 'openConsole' && call === 'openat2') return 'process.terminal needs a devpts mount at /dev/pts';
  if (name === 'ENOSYS') return 'this kernel is too old: tsrun needs Linux 5.12';
  if (op === 'awaitInit' && name === 'EPIPE')
    return 'init was killed while it made the container, perhaps for want of memory: is the memory limit too low?';
  if (call === 'unshare' && name === 'EPERM')
    return 'a user namespace cannot be made in a chroot, nor without the right to';
  if (call === 'unshare' && name === 'ENOSPC') return 'the limit in /proc/sys/user/max_*_namespaces is reached';
  if (call === 'clone3' && name === 'EACCES')
    return "a process may enter the container's cgroup only from one below a common cgroup that the caller owns: systemd-run --user --scope leads there";
  if (call === 'clone3' && name === 'ENOSPC') return 'the limit in /proc/sys/user/max_*_namespaces is reached';
  if (call === 'setgroups' || call === 'setresuid' || call === 'setresgid')
    return name === 'EINVAL' ? 'the id has no mapping in the user namespace' : undefined;
  return undefined;
}

/** What is wrong with linux.seccomp beyond its fields' types: found when the filter is made. */
export const badSeccomp = (pointer: string, message: string) => new TsrunError(`${pointer} in config.json: ${message}`);

/** A call of the runtime's own, outside of any plan. `doing` says what it was for. */
export function sysError(
  doing: string,
  error: { readonly syscall: string; readonly errno: number; readonly path: string },
): TsrunError {
  const about = error.path === '' ? error.syscall : `${error.syscall} ${error.path}`;
  return new TsrunError(`${doing}: ${about}: ${errnoText(error.errno)} (${errnoName(error.errno)})`);
}

/** A field that is accepted and changes nothing. */
export const ignoredLimit = (pointer: string, why: string): string => `${pointer} in config.json has no effect: ${why}`;

/** memory.events of the cgroup counts the processes that were killed. */
export const outOfMemory = (id: string, kills: number): string =>
  `container ${JSON.stringify(id)}: out of memory (OOM): the kernel killed ${kills === 1 ? 'one process' : `${kills} processes`} (oom_kill in memory.events)`;

// Phrases that engines look for; the words before the colon are for people.
export const noSuchContainer = (id: string) =>
  new TsrunError(`container ${JSON.stringify(id)}: container does not exist`);
export const idInUse = (id: string) =>
  new TsrunError(`container ${JSON.stringify(id)}: container with given ID already exists`);
export const notRunning = (id: string) => new TsrunError(`container ${JSON.stringify(id)}: container not running`);
export const notPaused = (id: string) => new TsrunError(`container ${JSON.stringify(id)}: container not paused`);
export const withoutCgroup = (id: string) =>
  new TsrunError(`container ${JSON.stringify(id)} has no cgroup: it was made with --cgroup-manager=disabled`);
export const badId = (id: string) =>
  new TsrunError(
    `invalid container ID format: ${JSON.stringify(id.slice(0, 80))} (letters, digits and _+.- are allowed, up to 255, not first a dot)`,
  );
