// The task service. containerd.task.v2 and containerd.task.v3 have the same messages and differ in their package only.
// (containerd api/runtime/task/v2/shim.proto, api/types/mount.proto, api/types/task/task.proto)

import { message, type ValueOf } from '../../proto/message.ts';
import { Any, Timestamp } from '../../proto/well-known.ts';

/** `containerd.v1.types.Status` */
export const Status = { UNKNOWN: 0, CREATED: 1, RUNNING: 2, STOPPED: 3, PAUSED: 4, PAUSING: 5 } as const;

export const Mount = message('containerd.types.Mount', () => ({
  type: [1, 'string'],
  source: [2, 'string'],
  /** Below the root filesystem; containerd 1.6 does not have it. */
  target: [3, 'string'],
  options: [4, 'string', 'repeated'],
}));
export type Mount = ValueOf<typeof Mount>;

const id = [1, 'string'] as const;
const execId = [2, 'string'] as const;

export const CreateTaskRequest = message('CreateTaskRequest', () => ({
  id,
  bundle: [2, 'string'],
  rootfs: [3, Mount, 'repeated'],
  terminal: [4, 'bool'],
  stdin: [5, 'string'],
  stdout: [6, 'string'],
  stderr: [7, 'string'],
  checkpoint: [8, 'string'],
  parentCheckpoint: [9, 'string'],
  options: [10, Any],
}));
export type CreateTaskRequest = ValueOf<typeof CreateTaskRequest>;

export const CreateTaskResponse = message('CreateTaskResponse', () => ({ pid: [1, 'uint32'] }));

export const StartRequest = message('StartRequest', () => ({ id, execId }));
export const StartResponse = message('StartResponse', () => ({ pid: [1, 'uint32'] }));

export const DeleteRequest = message('DeleteRequest', () => ({ id, execId }));
export const DeleteResponse = message('DeleteResponse', () => ({
  pid: [1, 'uint32'],
  exitStatus: [2, 'uint32'],
  exitedAt: [3, Timestamp],
}));

export const ExecProcessRequest = message('ExecProcessRequest', () => ({
  id,
  execId,
  terminal: [3, 'bool'],
  stdin: [4, 'string'],
  stdout: [5, 'string'],
  stderr: [6, 'string'],
  /** The JSON of runtime-spec's `process`. */
  spec: [7, Any],
}));
export type ExecProcessRequest = ValueOf<typeof ExecProcessRequest>;

export const ResizePtyRequest = message('ResizePtyRequest', () => ({
  id,
  execId,
  width: [3, 'uint32'],
  height: [4, 'uint32'],
}));

export const StateRequest = message('StateRequest', () => ({ id, execId }));
export const StateResponse = message('StateResponse', () => ({
  id,
  bundle: [2, 'string'],
  pid: [3, 'uint32'],
  /** See `Status`. */
  status: [4, 'int32'],
  stdin: [5, 'string'],
  stdout: [6, 'string'],
  stderr: [7, 'string'],
  terminal: [8, 'bool'],
  exitStatus: [9, 'uint32'],
  /** What has not exited says `never`: readers take a missing time for 1970. */
  exitedAt: [10, Timestamp],
  execId: [11, 'string'],
}));

/** The zero of Go's time.Time: January 1, year 1. */
export const never: Timestamp = { seconds: -62135596800, nanos: 0 };

export const KillRequest = message('KillRequest', () => ({ id, execId, signal: [3, 'uint32'], all: [4, 'bool'] }));

export const CloseIORequest = message('CloseIORequest', () => ({ id, execId, stdin: [3, 'bool'] }));

/** `containerd.v1.types.ProcessInfo` */
const ProcessInfo = message('ProcessInfo', () => ({
  pid: [1, 'uint32'],
  /** For an exec a `ProcessDetails`. */
  info: [2, Any],
}));
export const PidsRequest = message('PidsRequest', () => ({ id }));
export const PidsResponse = message('PidsResponse', () => ({ processes: [1, ProcessInfo, 'repeated'] }));

export const CheckpointTaskRequest = message('CheckpointTaskRequest', () => ({
  id,
  path: [2, 'string'],
  options: [3, Any],
}));

export const UpdateTaskRequest = message('UpdateTaskRequest', () => ({
  id,
  /** The JSON of runtime-spec's `linux.resources`. */
  resources: [2, Any],
  annotations: [3, 'string', 'map'],
}));

export const WaitRequest = message('WaitRequest', () => ({ id, execId }));
export const WaitResponse = message('WaitResponse', () => ({ exitStatus: [1, 'uint32'], exitedAt: [2, Timestamp] }));

export const StatsRequest = message('StatsRequest', () => ({ id }));
export const StatsResponse = message('StatsResponse', () => ({ stats: [1, Any] }));

export const PauseRequest = message('PauseRequest', () => ({ id }));
export const ResumeRequest = message('ResumeRequest', () => ({ id }));

export const ConnectRequest = message('ConnectRequest', () => ({ id }));
export const ConnectResponse = message('ConnectResponse', () => ({
  shimPid: [1, 'uint32'],
  taskPid: [2, 'uint32'],
  version: [3, 'string'],
}));

export const ShutdownRequest = message('ShutdownRequest', () => ({ id, now: [2, 'bool'] }));
