// What may be packed into CreateTaskRequest.options, and beside the processes of a task.
// (containerd api/types/runc/options/oci.proto, runtime/linux/runctypes/runc.proto, api/types/runtimeoptions/v1/api.proto)

import { message, type ValueOf } from '../../proto/message.ts';

export const RuncOptions = message('containerd.runc.v1.Options', () => ({
  noPivotRoot: [1, 'bool'],
  noNewKeyring: [2, 'bool'],
  shimCgroup: [3, 'string'],
  ioUid: [4, 'uint32'],
  ioGid: [5, 'uint32'],
  binaryName: [6, 'string'],
  root: [7, 'string'],
  criuPath: [8, 'string'],
  systemdCgroup: [9, 'bool'],
  criuImagePath: [10, 'string'],
  criuWorkPath: [11, 'string'],
}));
export type RuncOptions = ValueOf<typeof RuncOptions>;

/** What containerd 1.6's client makes of user namespaces for any other runtime than that for runc. */
export const CreateOptions = message('containerd.linux.runc.CreateOptions', () => ({
  noPivotRoot: [1, 'bool'],
  noNewKeyring: [8, 'bool'],
  shimCgroup: [9, 'string'],
  ioUid: [10, 'uint32'],
  ioGid: [11, 'uint32'],
}));

export const CheckpointOptions = message('containerd.runc.v1.CheckpointOptions', () => ({
  exit: [1, 'bool'],
  openTcp: [2, 'bool'],
  externalUnixSockets: [3, 'bool'],
  terminal: [4, 'bool'],
  fileLocks: [5, 'bool'],
  emptyNamespaces: [6, 'string', 'repeated'],
  cgroupsMode: [7, 'string'],
  imagePath: [8, 'string'],
  workPath: [9, 'string'],
}));

export const ProcessDetails = message('containerd.runc.v1.ProcessDetails', () => ({ execId: [1, 'string'] }));

/** What CRI sends for a runtime type that it does not know. */
export const RuntimeOptions = message('runtimeoptions.v1.Options', () => ({
  typeUrl: [1, 'string'],
  configPath: [2, 'string'],
  /** The options table of the handler in config.toml, as TOML; from containerd 1.7 on. */
  configBody: [3, 'bytes'],
}));

/** Names of JSON values in an `Any`, as containerd registers them. */
export const typeUrls = {
  process: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
  resources: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources',
  features: 'types.containerd.io/opencontainers/runtime-spec/1/features/Features',
} as const;
