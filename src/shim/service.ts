// containerd's task service as a table: messages in and out, and what each call does with them.

import { Empty } from '../proto/well-known.ts';
import { method } from '../ttrpc/method.ts';
import type { Handler, Services } from '../ttrpc/server.ts';
import { unimplemented } from './errors.ts';
import { create, exec, start } from './making.ts';
import * as messages from './messages/task.ts';
import { remove } from './removing.ts';
import type { Tasks } from './tasks.ts';

/** @param onShutdown Asked to end, and no container is left. */
export function servicesOf(tasks: Tasks, onShutdown: () => void): Services {
  const m = messages;
  const task: Record<string, Handler> = {
    State: method(m.StateRequest, m.StateResponse, ({ id, execId }, answer) => answer.reply(tasks.state(id, execId))),
    Create: method(m.CreateTaskRequest, m.CreateTaskResponse, (request, answer) => create(tasks, request, answer)),
    Start: method(m.StartRequest, m.StartResponse, (request, answer) => start(tasks, request, answer)),
    Delete: method(m.DeleteRequest, m.DeleteResponse, (request, answer) => remove(tasks, request, answer)),
    Pids: method(m.PidsRequest, m.PidsResponse, ({ id }, answer) => answer.reply(tasks.pids(id))),
    Pause: method(m.PauseRequest, Empty, ({ id }, answer) => tasks.pause(id, answer)),
    Resume: method(m.ResumeRequest, Empty, ({ id }, answer) => tasks.resume(id, answer)),
    Checkpoint: method(m.CheckpointTaskRequest, Empty, ({ id }) => {
      tasks.container(id);
      throw unimplemented('checkpoint');
    }),
    Kill: method(m.KillRequest, Empty, (request, answer) => tasks.kill(request, answer)),
    Exec: method(m.ExecProcessRequest, Empty, (request, answer) => exec(tasks, request, answer)),
    ResizePty: method(m.ResizePtyRequest, Empty, (request, answer) => {
      tasks.resize(request);
      answer.reply({});
    }),
    CloseIO: method(m.CloseIORequest, Empty, (request, answer) => {
      tasks.closeInput(request);
      answer.reply({});
    }),
    Update: method(m.UpdateTaskRequest, Empty, (request, answer) => tasks.update(request, answer)),
    Wait: method(m.WaitRequest, m.WaitResponse, ({ id, execId }, answer) =>
      tasks.process(tasks.container(id), execId).wait(answer),
    ),
    Stats: method(m.StatsRequest, m.StatsResponse, ({ id }, answer) => answer.reply(tasks.stats(id))),
    Connect: method(m.ConnectRequest, m.ConnectResponse, ({ id }, answer) => answer.reply(tasks.connect(id))),
    Shutdown: method(m.ShutdownRequest, Empty, (_, answer) => {
      answer.reply({});
      if (tasks.isEmpty) onShutdown();
    }),
  };
  return { 'containerd.task.v2.Task': task, 'containerd.task.v3.Task': task };
}
