// How processes and containers go: Delete.

import { isSysError, sys } from '../linux/sys.ts';
import type { InputOf, ValueOf } from '../proto/message.ts';
import type { Answer } from '../ttrpc/method.ts';
import type { Container } from './container.ts';
import { failed, refused } from './errors.ts';
import type { Loop } from './loop.ts';
import { TaskDelete } from './messages/events.ts';
import type { DeleteRequest, DeleteResponse } from './messages/task.ts';
import { deleteContainer } from './operations.ts';
import { type Process, timestamp } from './process.ts';
import type { Tasks } from './tasks.ts';

type Deleted = Answer<typeof DeleteResponse>;

const SIGKILL = 9;
const SIGTERM = 15;
/** For the exit status of what was never started. */
const NEVER_RAN = 255;
/** How long a client may take to read what came out of a terminal. */
const DRAIN_MS = 10_000;
const LOGGER_MS = 12_000;

export function remove(tasks: Tasks, { id, execId }: ValueOf<typeof DeleteRequest>, answer: Deleted): void {
  const container = tasks.container(id);
  const process = tasks.process(container, execId);
  if (execId !== '') removeExec(tasks, container, process, answer);
  else removeContainer(tasks, container, answer);
}

function removeExec(tasks: Tasks, container: Container, process: Process, answer: Deleted): void {
  if (process.stage !== 'new' && !process.isStopped) throw refused('cannot delete a running process');
  afterDrain(tasks.parts.loop, process, () => {
    container.execs.delete(process.execId);
    endLogger(tasks.parts.loop, process);
    process.io?.close();
    answer.reply(goneOf(process));
  });
}

function removeContainer(tasks: Tasks, container: Container, answer: Deleted): void {
  const { init, id } = container;
  // A client that has lost its patience may ask again: both hear of the one end.
  const onDone = (error: string | undefined): void => {
    if (error === undefined) answer.reply(goneOf(init));
    else answer.fail(failed(error));
  };
  if (container.deleting !== undefined) {
    container.deleting.push(onDone);
    return;
  }
  if (
    init.stage === 'running' ||
    init.stage === 'starting' ||
    init.stage === 'ended' ||
    container.freezing !== 'running'
  )
    throw refused('cannot delete a running process');
  container.deleting = [onDone];
  if (init.isAlive) end(init);
  container.whenStopped(() => afterDrain(tasks.parts.loop, init, () => takeAway(tasks, container, id)));
}

function takeAway(tasks: Tasks, container: Container, id: string): void {
  const { loop, workers, log } = tasks.parts;
  const { init, place } = container;
  workers.start(
    `delete ${id}`,
    () => deleteContainer(place),
    (outcome) => {
      const waiting = container.deleting ?? [];
      container.deleting = undefined;
      if (outcome.error === undefined) tasks.containers.delete(id);
      for (const onDone of waiting) onDone(outcome.error);
      if (outcome.error === undefined) {
        for (const warning of outcome.value) log('warning', warning);
        for (const process of [init, ...container.execs.values()]) {
          endLogger(loop, process);
          // Nobody will ever start it: who waits for it is told so.
          if (!process.isStopped) process.stop({ status: NEVER_RAN, at: timestamp() });
        }
        container.close();
        const { pid, exitStatus, exitedAt } = goneOf(init);
        container.tell('/tasks/delete', TaskDelete, { containerId: id, pid, exitStatus, exitedAt });
      }
    },
  );
}

const goneOf = ({ pid, exit }: Process): InputOf<typeof DeleteResponse> => ({
  pid,
  exitStatus: exit?.status ?? 0,
  exitedAt: exit?.at,
});

/** When the client has read what came out of the terminal, or has had the time to. */
function afterDrain(loop: Loop, { io }: Process, run: () => void): void {
  if (io === undefined) return run();
  let isDone = false;
  const once = (): void => {
    if (isDone) return;
    isDone = true;
    loop.cancel(timer);
    run();
  };
  const timer = loop.after(DRAIN_MS, once);
  io.whenDrained(once);
}

/** The program that logs has had its end of input, and ends by itself; a slow one is told to, and then made to. */
export function endLogger(loop: Loop, process: Process): void {
  if (process.logger < 0) return;
  signal(process.logger, SIGTERM);
  loop.after(LOGGER_MS, () => {
    if (process.logger >= 0) signal(process.logger, SIGKILL);
  });
}

const end = ({ pidfd }: Process): void => signal(pidfd, SIGKILL);

function signal(pidfd: number, number: number): void {
  try {
    sys.pidfdSignal(pidfd, number);
  } catch (error) {
    // ESRCH: it has just ended.
    if (!isSysError(error)) throw error;
  }
}
