// The containers of a shim: found by their ids, asked, signalled and changed. How they come and go is in making.ts and
// removing.ts.

import { isSysError, sys } from '../linux/sys.ts';
import { decodeText } from '../linux/utf8.ts';
import { Empty, pack } from '../proto/well-known.ts';
import type { InputOf, ValueOf } from '../proto/message.ts';
import type { Answer } from '../ttrpc/method.ts';
import { pidsOf } from './cgroup-pids.ts';
import type { Container, Publish } from './container.ts';
import { alreadyFinished, failed, notFound, refused } from './errors.ts';
import type { Log } from './log.ts';
import type { Loop } from './loop.ts';
import { TaskPaused, TaskResumed } from './messages/events.ts';
import { ProcessDetails } from './messages/options.ts';
import {
  type CloseIORequest,
  type ConnectResponse,
  type KillRequest,
  never,
  type PidsResponse,
  type ResizePtyRequest,
  type StateResponse,
  type StatsResponse,
  Status,
  type UpdateTaskRequest,
} from './messages/task.ts';
import { OomWatches } from './oom.ts';
import { pauseContainer, resumeContainer, signalAll, updateContainer } from './operations.ts';
import type { Process } from './process.ts';
import type { Reaper } from './reaper.ts';
import { statsOf } from './stats.ts';
import type { Done, Failed, Work, Workers } from './worker.ts';

export interface Parts {
  readonly loop: Loop;
  readonly reaper: Reaper;
  readonly workers: Workers;
  readonly publish: Publish;
  readonly log: Log;
  readonly namespace: string;
}

const SIGKILL = 9;
const ESRCH = 3;

type Nothing = Answer<typeof Empty>;

export class Tasks {
  readonly parts: Parts;
  readonly watches: OomWatches;
  readonly containers: Map<string, Container> = new Map();
  /** Ids whose containers are being made, or unmade after a failure. */
  readonly busy: Set<string> = new Set();

  constructor(parts: Parts) {
    this.parts = parts;
    this.watches = new OomWatches(parts.loop);
  }

  get isEmpty(): boolean {
    return this.containers.size === 0 && this.busy.size === 0;
  }

  container(id: string): Container {
    const container = this.containers.get(id);
    if (container === undefined) throw notFound('container not created');
    return container;
  }

  process(container: Container, execId: string): Process {
    if (execId === '') return container.init;
    const process = container.execs.get(execId);
    if (process === undefined) throw notFound(`process does not exist ${execId}`);
    return process;
  }

  state(id: string, execId: string): InputOf<typeof StateResponse> {
    const container = this.container(id);
    const process = this.process(container, execId);
    const { stdin, stdout, stderr, terminal } = process.streams;
    return {
      id: execId === '' ? id : execId,
      bundle: container.place.bundle,
      pid: process.pid,
      status: statusOf(container, process),
      stdin,
      stdout,
      stderr,
      terminal,
      exitStatus: process.isStopped ? (process.exit?.status ?? 0) : 0,
      exitedAt: process.isStopped ? process.exit?.at : never,
    };
  }

  pids(id: string): InputOf<typeof PidsResponse> {
    const container = this.container(id);
    const { cgroup, init, execs } = container;
    const pids = cgroup === '' ? [] : pidsOf(cgroup);
    if (pids.length === 0 && init.isAlive) pids.push(init.pid);
    const byPid = new Map([...execs.values()].map((process) => [process.pid, process.execId]));
    return {
      processes: pids.map((pid) => {
        const execId = byPid.get(pid);
        return { pid, info: execId === undefined ? undefined : pack(ProcessDetails, { execId }) };
      }),
    };
  }

  stats(id: string): InputOf<typeof StatsResponse> {
    const { cgroup } = this.container(id);
    if (cgroup === '') throw notFound('cgroup does not exist');
    return { stats: statsOf(cgroup) };
  }

  connect(id: string): InputOf<typeof ConnectResponse> {
    return { shimPid: sys.processId(), taskPid: this.containers.get(id)?.init.pid ?? 0 };
  }

  kill({ id, execId, signal, all }: ValueOf<typeof KillRequest>, answer: Nothing): void {
    const container = this.container(id);
    const process = this.process(container, execId);
    if (execId === '' && all && container.cgroup !== '') {
      if (signal !== SIGKILL) {
        this.work('kill', () => signalAll(container.cgroup, signal), answer);
        return;
      }
      container.killAll();
    } else {
      if (process.stage === 'new') throw refused('process not created');
      if (!process.isAlive) throw alreadyFinished();
      sendSignal(process, signal);
    }
    answer.reply({});
  }

  resize({ id, execId, width, height }: ValueOf<typeof ResizePtyRequest>): void {
    const process = this.process(this.container(id), execId);
    if (process.isStopped) throw failed('cannot resize a stopped container');
    process.io?.resize(height, width);
  }

  closeInput({ id, execId, stdin }: ValueOf<typeof CloseIORequest>): void {
    const process = this.process(this.container(id), execId);
    if (stdin) process.io?.closeInput();
  }

  pause(id: string, answer: Nothing): void {
    const container = this.container(id);
    this.mustRun(container, 'pause');
    container.freezing = 'pausing';
    this.work(
      'pause',
      () => pauseContainer(container.place),
      answer,
      (isDone) => {
        if (container.freezing !== 'pausing') return;
        container.freezing = isDone ? 'paused' : 'running';
        if (isDone) container.tell('/tasks/paused', TaskPaused, { containerId: id });
      },
    );
  }

  resume(id: string, answer: Nothing): void {
    const container = this.container(id);
    if (container.freezing !== 'paused') throw refused('cannot resume a container that is not paused');
    this.work(
      'resume',
      () => resumeContainer(container.place),
      answer,
      (isDone) => {
        if (!isDone) return;
        container.freezing = 'running';
        container.tell('/tasks/resumed', TaskResumed, { containerId: id });
      },
    );
  }

  update({ id, resources }: ValueOf<typeof UpdateTaskRequest>, answer: Nothing): void {
    const container = this.container(id);
    const text = decodeText(resources?.value ?? new Uint8Array(0));
    this.work('update', () => updateContainer(container.place, text), answer);
  }

  /** What was asked is done by a worker, and answered when it is. */
  private work<T>(doing: string, work: Work<T>, answer: Nothing, onEnd?: (isDone: boolean) => void): void {
    this.parts.workers.start(doing, work, (outcome: Done<T> | Failed) => {
      if (outcome.error === undefined) answer.reply({});
      else answer.fail(failed(outcome.error));
      onEnd?.(outcome.error === undefined);
    });
  }

  private mustRun({ init, freezing }: Container, what: string): void {
    if (init.stage === 'ended' || init.isStopped) throw refused(`cannot ${what} a stopped container`);
    if (freezing !== 'running') throw refused(`cannot ${what} a paused container`);
  }
}

function statusOf({ freezing }: Container, { stage }: Process): number {
  if (stage === 'stopped') return Status.STOPPED;
  if (freezing === 'paused') return Status.PAUSED;
  if (freezing === 'pausing') return Status.PAUSING;
  return stage === 'running' || stage === 'ended' ? Status.RUNNING : Status.CREATED;
}

/** @throws {StatusError} if it has ended. */
function sendSignal(process: Process, signal: number): void {
  try {
    sys.pidfdSignal(process.pidfd, signal);
  } catch (error) {
    if (isSysError(error) && error.errno === ESRCH) throw alreadyFinished();
    throw error;
  }
}
