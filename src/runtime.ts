// The main path: each verb of a container's life, top to bottom. The command line and the shim are users of this class.

import type { Bundle } from './bundle/bundle.ts';
import {
  ignoredLimit,
  noSuchContainer,
  outOfMemory,
  stepError,
  sysError,
  TsrunError,
  withoutCgroup,
} from './errors.ts';
import type { ExecOptions } from './exec.ts';
import { execute, failure, type Observer, runHostSteps } from './execute/execute.ts';
import { waitInForeground } from './execute/foreground.ts';
import { checkTerminal, closeAll, handOut, type HandOut } from './execute/hand-out.ts';
import { type AfterGate, openGate, readAfterGate, send } from './execute/gate.ts';
import { killAndWait, openProcess, processesOf, signalCgroup, signalProcess } from './state/processes.ts';
import { completeRecord, draftRecord, removeBundle } from './state/record.ts';
import type { NotifyProxy } from './execute/notify.ts';
import type { Report } from './execute/report.ts';
import { isSysError, sys, unlessMissing } from './linux/sys.ts';
import type { UnitProperty } from './cgroup/unit.ts';
import type { Systemd } from './execute/systemd.ts';
import { type HookState, hookSteps } from './plan/hooks.ts';
import type { CgroupManager } from './plan/host.ts';
import type { Plan } from './plan/plan.ts';
import { removeCgroup, removeResctrl } from './plan/undo.ts';
import type { LinuxResources } from './spec/types.ts';
import { type CgroupRecord, type ContainerRecord, type ContainerState, stateOf, statusOf } from './state/container.ts';
import { check, type Operation } from './state/lifecycle.ts';
import { idFromPath, type Lock, Store } from './state/store.ts';
import type { CgroupStats } from './stats/parse.ts';
import type { Sample } from './stats/read.ts';
import type { Watcher } from './stats/watch.ts';

export interface RuntimeOptions {
  /** The state root, an absolute path. */
  readonly root: string;
  readonly cgroupManager: 'cgroupfs' | 'systemd' | 'disabled';
  /** Told of what went wrong after which the command goes on, such as a failing poststop hook. */
  readonly warn: (message: string) => void;
  /** Told of what the exit code of a container in the foreground does not say, such as an OOM kill. */
  readonly error: (message: string) => void;
}

export interface CreateOptions extends HandOut {
  readonly bundle: string;
  /** The configuration's file name in the bundle. */
  readonly config: string;
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** Descriptors from 3 on that the container gets. */
  readonly preserveFds: number;
  /** Added to the environment of the process, as NAME=value. */
  readonly env: readonly string[];
  /** The caller's NOTIFY_SOCKET. */
  readonly notifySocket: string | undefined;
  readonly observe: Observer | undefined;
  /** A file that stands for the bundle in the store of images: the bundle then ends with the container. */
  readonly bundleUser?: string | undefined;
}

export interface RunOptions extends CreateOptions {
  readonly detach: boolean;
  readonly keep: boolean;
  readonly subreaper: boolean;
}

/** A container that waits at its gate, and what is still open of its making. */
interface Created {
  readonly record: ContainerRecord;
  readonly plan: Plan;
  readonly report: Report;
}

type Planner = typeof import('./compiler.ts').planBundle;
type PlanOptions = import('./compiler.ts').PlanOptions;

const SIGKILL = 9;

export class Runtime {
  private readonly options: RuntimeOptions;
  private readonly store: Store;
  /** Connected to where a container's cgroup is a systemd unit. */
  private systemd: Systemd | undefined;

  constructor(options: RuntimeOptions) {
    this.options = options;
    this.store = new Store(options.root);
  }

  /** runtime.md#create: everything but the program. Returns the pid of the process that waits for `start`. */
  async create(id: string, asked: CreateOptions): Promise<number> {
    const { openBundle, planBundle, seccompProgram } = await import('./compiler.ts');
    const [bundle, options] = await this.notified(id, openBundle(asked.bundle, asked.config), asked);
    checkTerminal(bundle.spec.process, options, true);
    if (this.options.cgroupManager === 'systemd') await this.connectSystemd();
    const seccomp = await seccompProgram(bundle.spec, this.store.filters);
    const lock = this.store.claim(id);
    try {
      const { record, plan, report } = this.make(
        id,
        bundle,
        { ...options, seccomp, gate: this.store.gateOf(id) },
        planBundle,
      );
      options.observe?.(plan, report);
      // Until this word comes, init ends if this process does: a container that no record names waits for nobody.
      send(report.control ?? -1);
      closeAll(report);
      return record.pid;
    } finally {
      this.store.unlock(lock);
    }
  }

  /** create and start in one, and in the foreground the wait for the end: its exit code, or 0 when detached. */
  async run(id: string, asked: RunOptions): Promise<number> {
    const { openBundle, planBundle, seccompProgram } = await import('./compiler.ts');
    const [bundle, options] = await this.notified(id, openBundle(asked.bundle, asked.config), asked);
    checkTerminal(bundle.spec.process, options, options.detach);
    if (this.options.cgroupManager === 'systemd') await this.connectSystemd();
    const seccomp = await seccompProgram(bundle.spec, this.store.filters);
    // From here on a signal is meant for the container, even if it comes before its process is there.
    const signals = options.detach ? -1 : sys.catchSignals();
    if (!options.detach && options.subreaper) sys.setSubreaper();
    const lock = this.store.claim(id);
    try {
      const created = this.make(id, bundle, { ...options, seccomp, gate: undefined }, planBundle);
      const notify = await this.notifyOf(created, options.notifySocket);
      const record = this.release(created, options.observe);
      this.poststart(record, lock);
      if (options.detach) {
        this.store.yield(lock);
        if (notify !== undefined) this.attendNotify(notify, record);
        closeAll(created.report);
        return 0;
      }
      const code = this.attend(record, created.report, signals, lock, notify);
      if (code === 128 + SIGKILL) await this.tellOutOfMemory(record);
      if (!options.keep && this.store.retake(lock)) this.remove(record);
      return code;
    } finally {
      this.store.unlock(lock);
    }
  }

  /**
   * One more process in a container: its exit code, or 0 when detached. The container is not locked meanwhile: those
   * inside can hold the process up, and must not hold up `kill` and `delete` with it.
   */
  async exec(id: string, options: ExecOptions): Promise<number> {
    const { exec } = await import('./exec.ts');
    return await exec(this.store.load(id), this.store.config(id), options, this.store.filters);
  }

  /** Changes nothing: shows what `run` would do. */
  async explain(options: CreateOptions): Promise<Plan> {
    const { openBundle, planBundle, seccompProgram } = await import('./compiler.ts');
    const bundle = openBundle(options.bundle, options.config, true);
    if (this.options.cgroupManager === 'systemd') await this.connectSystemd();
    const seccomp = await seccompProgram(bundle.spec, undefined);
    return planBundle('explained', bundle, { ...options, seccomp, gate: undefined }, this.cgroupManager);
  }

  /** runtime.md#start */
  async start(id: string, notifySocket?: string): Promise<void> {
    await this.connectFor(id);
    const lock = this.lock(id);
    let notify: NotifyProxy | undefined;
    try {
      const record = this.store.load(id);
      check('start', id, statusOf(record));
      notify = await this.openNotify(id, notifySocket);
      const { failed } = openGate(this.store.gateOf(id));
      sys.removeFile(this.store.gateOf(id));
      // The program never ran: what is left of init ends, and the container is stopped.
      if (failed !== undefined) throw stepError(record.afterGate[failed.step - record.gateIndex], failed);
      const running: ContainerRecord = { ...record, stage: 'running' };
      this.store.save(running);
      this.poststart(running, lock);
    } finally {
      this.store.unlock(lock);
    }
    if (notify !== undefined) this.attendNotify(notify, this.store.load(id));
  }

  /** runtime.md#query-state */
  state(id: string): ContainerState {
    return stateOf(this.store.load(id));
  }

  /** All that is known of it. */
  record(id: string): ContainerRecord {
    return this.store.load(id);
  }

  /** Every container below the state root, by id. */
  list(): ContainerState[] {
    return this.store.ids().flatMap((id) => {
      try {
        const record = this.store.find(id);
        return record === undefined ? [] : [stateOf(record)];
      } catch (error) {
        // One container of which nothing can be told must not hide the others.
        if (!(error instanceof TsrunError) && !isSysError(error)) throw error;
        this.options.warn(
          isSysError(error) ? sysError(`container ${JSON.stringify(id)}`, error).message : error.message,
        );
        return [];
      }
    });
  }

  /** runtime.md#kill. With `all`, every process of the container's cgroup. */
  kill(id: string, signal: number, all: boolean): void {
    const record = this.store.load(id);
    const { cgroup } = record;
    const status = statusOf(record);
    // Where the pid namespace is shared, processes may outlive the first one: --all still reaches them.
    if (!(all && status === 'stopped')) check('kill', id, status);
    if (cgroup !== undefined && (all || (signal === SIGKILL && record.sharedPid))) signalCgroup(cgroup.path, signal);
    else if (status !== 'stopped') signalProcess(record, signal);
  }

  /** runtime.md#delete. With `force`, a running one is killed first and a missing one is no failure. */
  async delete(id: string, force: boolean): Promise<void> {
    await this.connectFor(id);
    // Whoever holds the lock may be waiting for a hook, or for the container: without its processes it lets go.
    const lock = force ? this.store.lockHastily(id, () => this.killAnyway(id)) : this.store.lock(id);
    if (lock === undefined) {
      if (force) return;
      throw noSuchContainer(id);
    }
    try {
      const record = force ? this.store.find(id) : this.store.load(id);
      if (record === undefined) {
        this.store.remove(id);
        return;
      }
      const status = statusOf(record);
      if (!force) check('delete', id, status);
      if (status !== 'stopped') killAndWait(record);
      this.remove(record);
    } finally {
      this.store.unlock(lock);
    }
  }

  /** Stops every process of the container. runc-pause(8) */
  async pause(id: string): Promise<void> {
    const { freeze } = await import('./state/freezer.ts');
    this.change(id, 'pause', ({ path }) => freeze(path));
  }

  /** Lets all go on. runc-resume(8) */
  async resume(id: string): Promise<void> {
    const { thaw } = await import('./state/freezer.ts');
    this.change(id, 'resume', ({ path }) => thaw(path));
  }

  /**
   * Changes limits while the container runs: all of them, or after a failure none. runc-update(8)
   * @param schemas Lines for its class of resctrl.
   */
  async update(id: string, change: LinuxResources, schemas: readonly string[] = []): Promise<void> {
    const { updateCgroup, updateSchemas } = await import('./updater.ts');
    await this.connectFor(id);
    this.change(id, 'update', ({ path, unit }, record) => {
      const setProperties =
        unit === undefined ? undefined : (list: readonly UnitProperty[]) => this.systemd?.setProperties(unit, list);
      const made = schemas.length === 0 ? [] : updateSchemas(record, this.store.config(id), schemas, processesOf(path));
      const resources = updateCgroup(path, record.resources ?? {}, change, setProperties);
      const resctrl = made.length === 0 ? {} : { resctrl: [...made, ...(record.resctrl ?? [])] };
      this.store.save({ ...record, resources, ...resctrl });
    });
  }

  /** The pids of all processes of the container, as the host sees them. */
  processes(id: string): number[] {
    const record = this.store.load(id);
    const members = record.cgroup === undefined ? [] : processesOf(record.cgroup.path);
    return members.length === 0 && statusOf(record) !== 'stopped' ? [record.pid] : members;
  }

  /** Whether it has processes: created, running or paused. */
  isRunning(id: string): boolean {
    const record = this.store.find(id);
    return record !== undefined && statusOf(record) !== 'stopped';
  }

  /** The numbers of one container now. */
  async stats(id: string): Promise<CgroupStats> {
    const { readStats } = await import('./stats/read.ts');
    return readStats(this.cgroupOf(id, 'events').path);
  }

  /** Tells numbers and OOM kills until the container ends. */
  async watch(id: string, interval: number, watcher: Watcher): Promise<void> {
    const { watch } = await import('./stats/watch.ts');
    const { path } = this.cgroupOf(id, 'events');
    const pidfd = openProcess(this.store.load(id));
    if (pidfd !== undefined) watch(pidfd, path, interval, watcher);
  }

  /** The numbers of all containers that have processes, or of those named. */
  async samples(ids: readonly string[]): Promise<Sample[]> {
    const { takeSample } = await import('./stats/sample.ts');
    for (const id of ids) this.cgroupOf(id, 'events');
    return this.list()
      .filter(
        ({ id, status }) => status !== 'stopped' && status !== 'creating' && (ids.length === 0 || ids.includes(id)),
      )
      .flatMap(({ id }) => {
        const record = this.store.find(id);
        return record?.cgroup === undefined ? [] : [takeSample(record, record.cgroup.path)];
      });
  }

  /** An id for a bundle that is run by its path: the directory's name, with a number behind it if it is taken. */
  idFor(bundle: string): string {
    const name = idFromPath(bundle);
    for (let number = 1; ; number++) {
      const id = number === 1 ? name : `${name}-${number}`;
      if (!this.store.has(id)) return id;
    }
  }

  /** Where the state of a container with this id is, or would be. */
  stateDir(id: string): string {
    return this.store.dirOf(id);
  }

  /** Does something to the container's cgroup that its status must allow, while nobody else changes it. */
  private change(
    id: string,
    operation: Operation,
    apply: (cgroup: CgroupRecord, record: ContainerRecord) => void,
  ): void {
    const lock = this.lock(id);
    try {
      const cgroup = this.cgroupOf(id, operation);
      apply(cgroup, this.store.load(id));
    } finally {
      this.store.unlock(lock);
    }
  }

  private cgroupOf(id: string, operation: Operation): CgroupRecord {
    const record = this.store.load(id);
    check(operation, id, statusOf(record));
    if (record.cgroup === undefined) throw withoutCgroup(id);
    return record.cgroup;
  }

  private lock(id: string): Lock {
    const lock = this.store.lock(id);
    if (lock === undefined) throw noSuchContainer(id);
    return lock;
  }

  private get cgroupManager(): CgroupManager {
    const { cgroupManager } = this.options;
    if (cgroupManager !== 'systemd' || this.systemd === undefined)
      return cgroupManager === 'disabled' ? 'disabled' : 'cgroupfs';
    return { base: this.systemd.base, user: this.systemd.user };
  }

  private async connectSystemd(): Promise<void> {
    const { Systemd } = await import('./execute/systemd.ts');
    this.systemd ??= Systemd.connect();
  }

  /** The unit of a container must be changed and ended through systemd, whatever manager this command was given. */
  private async connectFor(id: string): Promise<void> {
    if (this.store.find(id)?.cgroup?.unit !== undefined) await this.connectSystemd();
  }

  /** With the directory of the socket that the container gets where the caller has one. */
  private async notified<O extends CreateOptions>(id: string, bundle: Bundle, options: O): Promise<[Bundle, O]> {
    if (options.notifySocket === undefined) return [bundle, options];
    const { canNotify, notifyVariable, withNotify } = await import('./execute/notify.ts');
    if (!canNotify(bundle.spec)) return [bundle, options];
    const dir = this.store.notifyOf(id);
    return [
      { ...bundle, spec: withNotify(bundle.spec, dir), notify: dir },
      { ...options, env: [...options.env, notifyVariable] },
    ];
  }

  /** The socket that the container sees, if it was made with one; there are no messages before it is released. */
  private async openNotify(id: string, host: string | undefined): Promise<NotifyProxy | undefined> {
    const dir = this.store.notifyOf(id);
    if (host === undefined || unlessMissing(() => sys.stat(dir)) === undefined) return undefined;
    const { NotifyProxy } = await import('./execute/notify.ts');
    return new NotifyProxy(host, dir);
  }

  private async notifyOf({ record, report }: Created, host: string | undefined): Promise<NotifyProxy | undefined> {
    try {
      return await this.openNotify(record.id, host);
    } catch (error) {
      this.abandon(record, report.pidfd);
      throw error;
    }
  }

  private attendNotify(notify: NotifyProxy, record: ContainerRecord): void {
    const pidfd = openProcess(record);
    if (pidfd === undefined) return;
    notify.attend(record.pid, pidfd);
    sys.close(pidfd);
  }

  /** Compiles and executes; on failure nothing of the container is left. */
  private make(id: string, bundle: Bundle, options: CreateOptions & PlanOptions, plans: Planner): Created {
    try {
      const plan = plans(id, bundle, options, this.cgroupManager);
      for (const { from, why } of plan.cgroup?.ignored ?? []) this.options.warn(ignoredLimit(from, why));
      const draft = draftRecord(id, bundle, plan, options.noNewKeyring, options.bundleUser);
      // Written before the first step: whatever a crash leaves, `delete --force` can find.
      this.store.save(draft);
      this.store.keepConfig(id, bundle.text);
      if (bundle.notify !== undefined) sys.makeDir(bundle.notify, 0o755);
      const report = this.execute(plan, draft, options.observe);
      try {
        const record = completeRecord(draft, plan, report);
        const unit = plan.cgroup?.unit;
        if (unit !== undefined) this.systemd?.setProperties(unit.name, unit.late);
        // In the foreground the next word of the state is "running", a moment later.
        if (options.gate !== undefined) this.store.save(record);
        handOut(options, report);
        return { record, plan, report };
      } catch (error) {
        this.abandon(draft, report.pidfd);
        throw error;
      }
    } catch (error) {
      this.store.remove(id);
      throw isSysError(error) ? sysError(`create ${id}`, error) : error;
    }
  }

  /** config.md#posix-platform-hooks: when a hook stops the creation, the poststop hooks still run. */
  private execute(plan: Plan, draft: ContainerRecord, observe: Observer | undefined): Report {
    try {
      const { systemd } = this;
      const unit = plan.cgroup?.unit;
      return systemd === undefined || unit === undefined
        ? execute(plan, observe)
        : systemd.inUnit(unit, () => execute(plan, observe));
    } catch (error) {
      this.store.remove(draft.id);
      this.poststop(draft);
      throw error;
    }
  }

  /** Lets init become the program, and waits until it has, or has failed to. */
  private release({ record, plan, report }: Created, observe: Observer | undefined): ContainerRecord {
    const control = report.control ?? -1;
    const running: ContainerRecord = { ...record, stage: 'running' };
    let after: AfterGate;
    try {
      // The record first: of a program that runs, something must tell.
      this.store.save(running);
      send(control);
      after = readAfterGate(control);
      observe?.(plan, { ...report, done: [...report.done, ...after.done], failed: after.failed });
    } catch (error) {
      this.abandon(running, report.pidfd);
      throw error;
    }
    const { failed } = after;
    if (failed !== undefined) {
      this.remove(running);
      throw failure(plan, failed);
    }
    return running;
  }

  /** The foreground: waits for the container's end while others may change it. */
  private attend(
    record: ContainerRecord,
    report: Report,
    signals: number,
    lock: Lock,
    notify: NotifyProxy | undefined,
  ): number {
    const { pid, pidfd = -1, console } = report;
    this.store.yield(lock);
    try {
      const other = notify === undefined ? undefined : { fd: notify.fd, onInput: () => void notify.forward() };
      return waitInForeground({ pid, pidfd, console, signals, other });
    } catch (error) {
      if (this.store.retake(lock)) this.abandon(record, pidfd);
      throw error;
    }
  }

  /** The kernel's OOM killer leaves the same exit code as `kill -9`. */
  private async tellOutOfMemory({ id, cgroup }: ContainerRecord): Promise<void> {
    if (cgroup === undefined) return;
    const { oomKills } = await import('./stats/read.ts');
    const kills = oomKills(cgroup.path);
    if (kills > 0) this.options.error(outOfMemory(id, kills));
  }

  /** Ends what a record names, whoever is at work on it. Best effort: what is left is found under the lock. */
  private killAnyway(id: string): void {
    const record = this.store.find(id);
    if (record !== undefined) killAndWait(record);
  }

  /** Ends a container that this command made and cannot attend to, and takes it away. */
  private abandon(record: ContainerRecord, pidfd: number | undefined): void {
    try {
      if (pidfd !== undefined) sys.pidfdSignal(pidfd, SIGKILL);
    } catch (error) {
      // ESRCH: it ended by itself.
      if (!isSysError(error)) throw error;
    }
    killAndWait(record);
    this.remove(record);
  }

  /** config.md#poststart: a failing hook ends the container. It may take its time: the container is free meanwhile. */
  private poststart(record: ContainerRecord, lock: Lock): void {
    if (record.hooks?.poststart === undefined) return;
    const steps = hookSteps(hookState(record), 'poststart', 'running', record.pid);
    this.store.yield(lock);
    const failed = runHostSteps(steps);
    if (failed === undefined) return;
    if (this.store.retake(lock)) {
      killAndWait(record);
      this.remove(record);
    }
    throw failure({ host: steps, init: [] }, failed);
  }

  /** Takes away what the record names, and runs the poststop hooks: their failure is only told. */
  private remove(record: ContainerRecord): void {
    const steps = [
      ...(record.cgroup === undefined ? [] : removeCgroup(record.cgroup.path, record.cgroup.made)),
      ...removeResctrl(record.resctrl ?? []),
    ];
    const stuck = runHostSteps(steps);
    if (stuck !== undefined) throw failure({ host: steps, init: [] }, stuck);
    if (record.cgroup?.unit !== undefined) this.systemd?.stopUnit(record.cgroup.unit);
    removeBundle(record);
    this.store.remove(record.id);
    this.poststop(record);
  }

  /** config.md#poststop: a failing hook is told and changes nothing. */
  private poststop(record: ContainerRecord): void {
    if (record.hooks?.poststop === undefined) return;
    for (const step of hookSteps(hookState(record), 'poststop', 'stopped')) {
      const failed = runHostSteps([step]);
      if (failed !== undefined) this.options.warn(failure({ host: [step], init: [] }, failed).message);
    }
  }
}

const hookState = (record: ContainerRecord): HookState => ({
  spec: record,
  id: record.id,
  bundle: record.bundle,
  environment: sys.environment(),
});
