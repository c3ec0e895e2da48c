// How processes come into being: Create, Exec and Start.

import { decodeText } from '../linux/utf8.ts';
import type { ValueOf } from '../proto/message.ts';
import { Empty } from '../proto/well-known.ts';
import type { Answer } from '../ttrpc/method.ts';
import { Container } from './container.ts';
import { alreadyExists, failed, invalid, refused, unimplemented } from './errors.ts';
import { TaskCreate, TaskExecAdded, TaskExecStarted, TaskStart } from './messages/events.ts';
import type {
  CreateTaskRequest,
  CreateTaskResponse,
  ExecProcessRequest,
  StartRequest,
  StartResponse,
} from './messages/task.ts';
import { createContainer, deleteContainer, execProcess, type Made, startContainer } from './operations.ts';
import { type Options, parseOptions, stateRoot } from './options.ts';
import { Process, timestamp } from './process.ts';
import { ProcessIo } from './process-io.ts';
import { endLogger } from './removing.ts';
import type { Tasks } from './tasks.ts';
import type { Done } from './worker.ts';

type Started = Answer<typeof StartResponse>;

/** For the exit status of a process that could not be started. */
const NOT_STARTED = 255;

export function create(
  tasks: Tasks,
  request: ValueOf<typeof CreateTaskRequest>,
  answer: Answer<typeof CreateTaskResponse>,
): void {
  const { id, bundle, rootfs } = request;
  if (request.checkpoint !== '') throw unimplemented('restoring a container from a checkpoint');
  if (tasks.containers.has(id) || tasks.busy.has(id)) throw alreadyExists(`container ${id}`);
  const options = optionsOf(request);
  const { namespace, publish, workers } = tasks.parts;
  const place = { id, bundle, namespace, root: stateRoot(options.root, namespace), options };
  const container = new Container(place, streamsOf(request), publish);
  tasks.busy.add(id);
  workers.start(
    `create ${id}`,
    () => createContainer(place, rootfs, container.init.streams),
    (outcome) => {
      if (outcome.error !== undefined) {
        answer.fail(failed(outcome.error));
        // What a worker leaves that has died itself, somebody has to take away.
        if (outcome.isCrash) discard(tasks, container);
        else tasks.busy.delete(id);
        return;
      }
      taken(tasks, container, outcome);
      if (answer.call.over) {
        // Nobody knows of it, so nobody would ever delete it.
        discard(tasks, container);
        return;
      }
      tasks.busy.delete(id);
      tasks.containers.set(id, container);
      const { stdin, stdout, stderr, terminal } = container.init.streams;
      const { pid } = container.init;
      answer.reply({ pid });
      container.tell('/tasks/create', TaskCreate, {
        containerId: id,
        bundle,
        rootfs,
        io: { stdin, stdout, stderr, terminal },
        pid,
      });
    },
  );
}

function optionsOf({ options }: ValueOf<typeof CreateTaskRequest>): Options {
  try {
    return parseOptions(options);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

const streamsOf = ({
  stdin,
  stdout,
  stderr,
  terminal,
}: ValueOf<typeof CreateTaskRequest | typeof ExecProcessRequest>) => ({
  stdin,
  stdout,
  stderr,
  terminal,
});

function taken(tasks: Tasks, container: Container, done: Done<Made>): void {
  const { value } = done;
  for (const warning of value.warnings) tasks.parts.log('warning', warning);
  container.made(value, tasks.watches);
  container.init.stage = 'created';
  attach(tasks, container, container.init, done);
}

/** The process is this shim's child, or will be in a moment. */
function attach(
  tasks: Tasks,
  container: Container,
  process: Process,
  { value, fds, copy }: Done<Pick<Made, 'pid' | 'logger'>>,
): void {
  const { loop, reaper } = tasks.parts;
  const { pid, logger } = value;
  process.pid = pid;
  process.io = new ProcessIo(loop, { ...fds });
  process.pidfd = reaper.adopt(pid, copy, (status) => container.ended(process, status));
  if (logger !== 0) {
    process.logger = reaper.adopt(logger, copy, () => {
      process.logger = -1;
    });
  }
}

/** Takes away what nobody is told of. */
function discard(tasks: Tasks, container: Container): void {
  const { id, place, init } = container;
  container.isSecret = true;
  tasks.parts.workers.start(
    `delete ${id}`,
    () => deleteContainer(place),
    (outcome) => {
      if (outcome.error !== undefined) tasks.parts.log('error', outcome.error);
      endLogger(tasks.parts.loop, init);
      container.close();
      tasks.busy.delete(id);
    },
  );
}

/** Remembers a process that is to be started. */
export function exec(tasks: Tasks, request: ValueOf<typeof ExecProcessRequest>, answer: Answer<typeof Empty>): void {
  const { id, execId, spec } = request;
  const container = tasks.container(id);
  if (execId === '') throw invalid('an exec needs an id');
  if (container.execs.has(execId)) throw alreadyExists(`id ${execId}`);
  if (container.freezing !== 'running') throw refused('cannot exec in a paused container');
  if (container.init.stage === 'ended' || container.init.isStopped) throw refused('cannot exec in a stopped container');
  const process = new Process(execId, streamsOf(request));
  process.spec = specOf(spec?.value ?? new Uint8Array(0), request.terminal);
  container.execs.set(execId, process);
  answer.reply({});
  container.tell('/tasks/exec-added', TaskExecAdded, { containerId: id, execId });
}

/** What the request says about a terminal counts. */
function specOf(bytes: Uint8Array, terminal: boolean): string {
  try {
    const spec: unknown = JSON.parse(decodeText(bytes));
    return JSON.stringify({ ...(spec as object), terminal });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid(`the process to run is no JSON: ${error.message}`);
  }
}

export function start(tasks: Tasks, { id, execId }: ValueOf<typeof StartRequest>, answer: Started): void {
  const container = tasks.container(id);
  const process = tasks.process(container, execId);
  if (execId === '') startInit(tasks, container, answer);
  else startExec(tasks, container, process, answer);
}

function startInit(tasks: Tasks, container: Container, answer: Started): void {
  const { init, id } = container;
  if (init.stage === 'ended' || init.isStopped)
    throw refused('OCI runtime start failed: cannot start a container that has stopped');
  if (init.stage !== 'created') throw refused('OCI runtime start failed: cannot start an already running container');
  init.stage = 'starting';
  tasks.parts.workers.start(
    `start ${id}`,
    () => startContainer(container.place),
    (outcome) => {
      if (outcome.error === undefined) {
        init.stage = 'running';
        answer.reply({ pid: init.pid });
        container.tell('/tasks/start', TaskStart, { containerId: id, pid: init.pid });
      } else {
        init.stage = 'created';
        answer.fail(failed(outcome.error));
      }
      container.settle(init);
    },
  );
}

function startExec(tasks: Tasks, container: Container, process: Process, answer: Started): void {
  const { init, id, place } = container;
  const { execId, streams, spec } = process;
  if (init.exit !== undefined) throw refused(`container ${id} init process is not running`);
  if (process.stage !== 'new') throw refused(`cannot start process ${execId} again`);
  process.stage = 'starting';
  tasks.parts.workers.start(
    `exec ${execId} in ${id}`,
    () => execProcess(place, spec, streams),
    (outcome) => {
      if (outcome.error === undefined) {
        process.stage = 'running';
        attach(tasks, container, process, outcome);
        const { pid } = process;
        answer.reply({ pid });
        container.tell('/tasks/exec-started', TaskExecStarted, { containerId: id, execId, pid });
      } else {
        process.stop({ status: NOT_STARTED, at: timestamp() });
        answer.fail(failed(outcome.error));
        container.settle(init);
      }
    },
  );
}
