// `exec`: one more process in a container. Read only when it is called for.

import { ownCgroup, subCgroup } from './cgroup/sub-cgroup.ts';
import { notRunning, sysError, TsrunError } from './errors.ts';
import { execute, failure } from './execute/execute.ts';
import { noFacts, readHostFacts } from './execute/facts.ts';
import { waitInForeground } from './execute/foreground.ts';
import { readAfterGate } from './execute/gate.ts';
import { checkTerminal, closeAll, handOut, type HandOut, writePidFile } from './execute/hand-out.ts';
import type { Report } from './execute/report.ts';
import { seccompProgram } from './execute/seccomp-program.ts';
import { isSysError, sys, unlessMissing } from './linux/sys.ts';
import { planExec } from './plan/exec.ts';
import type { HostFacts } from './plan/host.ts';
import type { Plan } from './plan/plan.ts';
import { resctrlGroup } from './plan/resctrl.ts';
import { type ProcessChanges, type ProcessFile, specOfExec } from './spec/exec.ts';
import type { Process, Spec } from './spec/types.ts';
import { type ContainerRecord, statusOf } from './state/container.ts';
import { checkExec } from './state/lifecycle.ts';
import { openProcess } from './state/processes.ts';

export interface ExecOptions extends HandOut {
  /** In place of the container's own process. */
  readonly process: ProcessFile | undefined;
  readonly changes: ProcessChanges;
  readonly detach: boolean;
  readonly ignorePaused: boolean;
  /** A cgroup below the container's, as a relative path; undefined for the container's. */
  readonly cgroup: string | undefined;
  readonly preserveFds: number;
}

const SIGKILL = 9;
const FILE_MOST = 1 << 20;

/** @returns the exit code of the process; 0 when detached. */
export async function exec(
  record: ContainerRecord,
  config: string,
  options: ExecOptions,
  filters: string,
): Promise<number> {
  checkExec(record.id, statusOf(record), options.ignorePaused);
  const spec = specOfExec(config, options.process, options.changes);
  const process = spec.process as Process;
  checkTerminal(process, options, options.detach);
  const seccomp = await seccompProgram(spec, filters);
  const target = openProcess(record);
  if (target === undefined) throw notRunning(record.id);
  const { id, bundle, rootfs, noNewKeyring } = record;
  const { preserveFds } = options;
  const request = {
    id,
    bundle,
    rootfs,
    cgroup: birthplace(record, options),
    pidfd: target,
    noNewKeyring,
    preserveFds,
    env: [],
    seccomp,
  };
  const plan = told(planExec(spec, request, factsFor(spec, id)), options);
  const report = launch(plan, process.terminal === true);
  sys.close(target);
  return attend(plan, report, options);
}

function factsFor({ process, linux }: Spec, id: string): HostFacts {
  return readHostFacts({
    ...noFacts,
    labels: process?.apparmorProfile !== undefined || process?.selinuxLabel !== undefined,
    resctrlGroup: linux.intelRdt === undefined ? undefined : resctrlGroup(linux.intelRdt, id),
  });
}

/** Up to where the program waits to be let go. */
function launch(plan: Plan, terminal: boolean): Report {
  const report = failing(() => execute(plan));
  // Nobody inside may make a terminal of the caller's where none was asked for.
  if (terminal || report.console === undefined) return report;
  sys.close(report.console);
  return { ...report, console: undefined };
}

function attend(plan: Plan, report: Report, options: ExecOptions): number {
  // Not before: until the program runs, a signal ends this command, and init with it.
  const signals = options.detach ? -1 : sys.catchSignals();
  try {
    handOut({ ...options, pidFile: undefined }, report, 'setns');
    release(plan, report.control ?? -1);
    // Engines take a pid file for the sign of success.
    writePidFile(options, report);
  } catch (error) {
    end(report);
    throw error;
  }
  if (!options.detach) {
    const { pid, pidfd = -1, console } = report;
    return waitInForeground({ pid, pidfd, console, signals });
  }
  closeAll(report);
  return 0;
}

function release(plan: Plan, control: number): void {
  failing(() => {
    sys.write(control, new Uint8Array(1));
    const { failed } = readAfterGate(control);
    if (failed !== undefined) throw failure(plan, failed);
  });
}

/** With the words that runc puts before what went wrong inside. */
function failing<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const told = isSysError(error) ? sysError('exec', error) : error;
    throw told instanceof TsrunError ? new TsrunError(`exec failed: ${told.message}`) : told;
  }
}

function end({ pid, pidfd }: Report): void {
  try {
    if (pidfd !== undefined) sys.pidfdSignal(pidfd, SIGKILL);
  } catch (error) {
    // ESRCH: it ended by itself.
    if (!isSysError(error)) throw error;
  }
  sys.wait(pid, 0);
}

/** The cgroup of the new process. */
function birthplace(record: ContainerRecord, { cgroup }: ExecOptions): string | undefined {
  if (record.cgroup === undefined) {
    if (cgroup !== undefined) throw new TsrunError(`--cgroup: container ${JSON.stringify(record.id)} has no cgroup`);
    return undefined;
  }
  const { path } = record.cgroup;
  if (cgroup !== undefined) return subCgroup(path, cgroup);
  const read = (file: string) => unlessMissing(() => sys.readFile(file, FILE_MOST)) ?? '';
  // A container that runs an init of its own hands controllers on to cgroups below its own, and from then on its own
  // may hold no process (cgroup-v2.rst, No Internal Process Constraint).
  if (read(`${path}/cgroup.subtree_control`).trim() === '') return path;
  const mount = readHostFacts({ ...noFacts, manager: 'cgroupfs' }).cgroup?.mount ?? '';
  return ownCgroup(path, mount, read(`/proc/${record.pid}/cgroup`));
}

/** An error names fields of config.json only where that is where the value comes from. */
function told(plan: Plan, { process, changes }: ExecOptions): Plan {
  const { args, cwd, user, capabilities, additionalGids } = changes;
  const given = [
    ...(process === undefined ? [] : ['/process']),
    ...(args === undefined ? [] : ['/process/args']),
    ...(cwd === undefined ? [] : ['/process/cwd']),
    ...(user === undefined && additionalGids.length === 0 ? [] : ['/process/user']),
    ...(capabilities.length === 0 ? [] : ['/process/capabilities']),
  ];
  const isGiven = (from: string) => given.some((prefix) => from === prefix || from.startsWith(`${prefix}/`));
  const tell = <T extends { readonly from: string }>(step: T): T => (isGiven(step.from) ? { ...step, from: '' } : step);
  return { ...plan, host: plan.host.map(tell), init: plan.init.map(tell) };
}
