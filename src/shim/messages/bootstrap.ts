// What the shim's program reads and prints: `start` from containerd 2.3 on, and `-info`.
// (containerd api/runtime/bootstrap/v1/bootstrap.proto, api/types/introspection.proto)

import { message } from '../../proto/message.ts';
import { Any } from '../../proto/well-known.ts';

const Extension = message('Extension', () => ({ value: [1, Any] }));

export const BootstrapParams = message('BootstrapParams', () => ({
  instanceId: [1, 'string'],
  namespace: [2, 'string'],
  /** INFO 0, TRACE -8, DEBUG -4, WARN 4, ERROR 8 */
  logLevel: [3, 'int32'],
  containerdVersion: [4, 'string'],
  containerdTtrpcAddress: [5, 'string'],
  containerdGrpcAddress: [6, 'string'],
  containerdBinary: [7, 'string'],
  /** Among them the options of the runtime. */
  extensions: [8, Extension, 'repeated'],
  socketDir: [9, 'string'],
}));

/** The fields that only `BootstrapParams` has: an `Any` has a text where that has bytes, or the other way round. */
export const BootstrapMark = message('BootstrapParams', () => ({
  containerdVersion: [4, 'bytes'],
  containerdTtrpcAddress: [5, 'bytes'],
  extensions: [8, 'bytes', 'repeated'],
}));

export const BootstrapResult = message('BootstrapResult', () => ({
  /** Of the task service. */
  version: [1, 'int32'],
  address: [2, 'string'],
  protocol: [3, 'string'],
  capabilities: [4, 'int32', 'repeated'],
  metadata: [5, 'string', 'map'],
}));

const RuntimeVersion = message('containerd.types.RuntimeVersion', () => ({
  version: [1, 'string'],
  revision: [2, 'string'],
}));

export const RuntimeInfo = message('containerd.types.RuntimeInfo', () => ({
  name: [1, 'string'],
  version: [2, RuntimeVersion],
  options: [3, Any],
  /** JSON, as `tsrun features` prints it. */
  features: [4, Any],
  annotations: [5, 'string', 'map'],
}));
