// What a shim tells containerd, and the envelope for it. (containerd api/events/task.proto, api/types/event.proto,
// api/services/ttrpc/events/v1/events.proto)

import { message, type ValueOf } from '../../proto/message.ts';
import { Any, Timestamp } from '../../proto/well-known.ts';
import { Mount } from './task.ts';

const containerId = [1, 'string'] as const;

const TaskIO = message('containerd.events.TaskIO', () => ({
  stdin: [1, 'string'],
  stdout: [2, 'string'],
  stderr: [3, 'string'],
  terminal: [4, 'bool'],
}));

export const TaskCreate = message('containerd.events.TaskCreate', () => ({
  containerId,
  bundle: [2, 'string'],
  rootfs: [3, Mount, 'repeated'],
  io: [4, TaskIO],
  checkpoint: [5, 'string'],
  pid: [6, 'uint32'],
}));

export const TaskStart = message('containerd.events.TaskStart', () => ({ containerId, pid: [2, 'uint32'] }));

export const TaskExit = message('containerd.events.TaskExit', () => ({
  containerId,
  /** The container's for its first process, an exec's for that. */
  id: [2, 'string'],
  pid: [3, 'uint32'],
  exitStatus: [4, 'uint32'],
  exitedAt: [5, Timestamp],
}));

export const TaskDelete = message('containerd.events.TaskDelete', () => ({
  containerId,
  pid: [2, 'uint32'],
  exitStatus: [3, 'uint32'],
  exitedAt: [4, Timestamp],
  /** Empty for the first process. */
  id: [5, 'string'],
}));

export const TaskExecAdded = message('containerd.events.TaskExecAdded', () => ({ containerId, execId: [2, 'string'] }));

export const TaskExecStarted = message('containerd.events.TaskExecStarted', () => ({
  containerId,
  execId: [2, 'string'],
  pid: [3, 'uint32'],
}));

export const TaskOOM = message('containerd.events.TaskOOM', () => ({ containerId }));
export const TaskPaused = message('containerd.events.TaskPaused', () => ({ containerId }));
export const TaskResumed = message('containerd.events.TaskResumed', () => ({ containerId }));

export const Envelope = message('containerd.types.Envelope', () => ({
  timestamp: [1, Timestamp],
  namespace: [2, 'string'],
  topic: [3, 'string'],
  event: [4, Any],
}));
export type Envelope = ValueOf<typeof Envelope>;

export const ForwardRequest = message('containerd.services.events.ttrpc.v1.ForwardRequest', () => ({
  envelope: [1, Envelope],
}));
