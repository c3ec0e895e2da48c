// What frames hold. (containerd/ttrpc request.proto; google/rpc/status.proto)

import { message } from '../proto/message.ts';
import { Any } from '../proto/well-known.ts';

const KeyValue = message('ttrpc.KeyValue', () => ({ key: [1, 'string'], value: [2, 'string'] }));

export const Request = message('ttrpc.Request', () => ({
  /** With its package: `containerd.task.v2.Task`. */
  service: [1, 'string'],
  method: [2, 'string'],
  payload: [3, 'bytes'],
  /** What is left of the caller's time; 0 for ever. */
  timeoutNano: [4, 'int64'],
  metadata: [5, KeyValue, 'repeated'],
}));

export const Status = message('google.rpc.Status', () => ({
  code: [1, 'int32'],
  message: [2, 'string'],
  details: [3, Any, 'repeated'],
}));

export const Response = message('ttrpc.Response', () => ({ status: [1, Status], payload: [2, 'bytes'] }));
