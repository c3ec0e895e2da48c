// A client of containerd's CRI plugin, as the kubelet is one: gRPC over the socket, one call a stream.
// Field numbers are those of the Kubernetes CRI, runtime.v1; fields that no test uses are left out.
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as dial } from 'node:net';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import { type InputOf, type Message, message, type ValueOf } from '../../src/proto/message.ts';
import { slowness } from '../harness/wait.ts';

const Int64Value = message('Int64Value', () => ({ value: [1, 'int64'] }));
const UInt64Value = message('UInt64Value', () => ({ value: [1, 'uint64'] }));
const IDMapping = message('IDMapping', () => ({
  hostId: [1, 'uint32'],
  containerId: [2, 'uint32'],
  length: [3, 'uint32'],
}));
const UserNamespace = message('UserNamespace', () => ({
  mode: [1, 'int32'],
  uids: [2, IDMapping, 'repeated'],
  gids: [3, IDMapping, 'repeated'],
}));

/** Whose namespace: a container's own, or the machine's. */
export const CONTAINER = 1;
export const NODE = 2;

const NamespaceOption = message('NamespaceOption', () => ({
  network: [1, 'int32'],
  pid: [2, 'int32'],
  ipc: [3, 'int32'],
  targetId: [4, 'string'],
  usernsOptions: [5, UserNamespace],
}));
/** 0 is the runtime's default, 1 none, 2 the one of the name. */
const SecurityProfile = message('SecurityProfile', () => ({ profileType: [1, 'int32'], localhostRef: [2, 'string'] }));
const LinuxSandboxSecurityContext = message('LinuxSandboxSecurityContext', () => ({
  namespaceOptions: [1, NamespaceOption],
}));
const LinuxPodSandboxConfig = message('LinuxPodSandboxConfig', () => ({
  cgroupParent: [1, 'string'],
  securityContext: [2, LinuxSandboxSecurityContext],
}));
const PodSandboxMetadata = message('PodSandboxMetadata', () => ({
  name: [1, 'string'],
  uid: [2, 'string'],
  namespace: [3, 'string'],
  attempt: [4, 'uint32'],
}));
export const PodSandboxConfig = message('PodSandboxConfig', () => ({
  metadata: [1, PodSandboxMetadata],
  hostname: [2, 'string'],
  logDirectory: [3, 'string'],
  linux: [8, LinuxPodSandboxConfig],
}));

const ImageSpec = message('ImageSpec', () => ({ image: [1, 'string'] }));
const KeyValue = message('KeyValue', () => ({ key: [1, 'string'], value: [2, 'string'] }));
const Mount = message('Mount', () => ({
  containerPath: [1, 'string'],
  hostPath: [2, 'string'],
  readonly: [3, 'bool'],
}));
const LinuxContainerResources = message('LinuxContainerResources', () => ({
  cpuShares: [3, 'int64'],
  memoryLimitInBytes: [4, 'int64'],
  oomScoreAdj: [5, 'int64'],
}));
const Capability = message('Capability', () => ({
  addCapabilities: [1, 'string', 'repeated'],
  dropCapabilities: [2, 'string', 'repeated'],
}));
const LinuxContainerSecurityContext = message('LinuxContainerSecurityContext', () => ({
  capabilities: [1, Capability],
  privileged: [2, 'bool'],
  namespaceOptions: [3, NamespaceOption],
  runAsUser: [5, Int64Value],
  readonlyRootfs: [7, 'bool'],
  noNewPrivs: [11, 'bool'],
  seccomp: [15, SecurityProfile],
  apparmor: [16, SecurityProfile],
}));
const LinuxContainerConfig = message('LinuxContainerConfig', () => ({
  resources: [1, LinuxContainerResources],
  securityContext: [2, LinuxContainerSecurityContext],
}));
const ContainerMetadata = message('ContainerMetadata', () => ({ name: [1, 'string'], attempt: [2, 'uint32'] }));
export const ContainerConfig = message('ContainerConfig', () => ({
  metadata: [1, ContainerMetadata],
  image: [2, ImageSpec],
  command: [3, 'string', 'repeated'],
  args: [4, 'string', 'repeated'],
  envs: [6, KeyValue, 'repeated'],
  mounts: [7, Mount, 'repeated'],
  logPath: [11, 'string'],
  tty: [14, 'bool'],
  linux: [15, LinuxContainerConfig],
}));

const ContainerStatus = message('ContainerStatus', () => ({
  id: [1, 'string'],
  /** 0 created, 1 running, 2 exited. */
  state: [3, 'int32'],
  startedAt: [5, 'int64'],
  finishedAt: [6, 'int64'],
  exitCode: [7, 'int32'],
  reason: [10, 'string'],
  message: [11, 'string'],
}));

const CpuUsage = message('CpuUsage', () => ({ timestamp: [1, 'int64'], usageCoreNanoSeconds: [2, UInt64Value] }));
const MemoryUsage = message('MemoryUsage', () => ({ timestamp: [1, 'int64'], workingSetBytes: [2, UInt64Value] }));
const ContainerStats = message('ContainerStats', () => ({ cpu: [2, CpuUsage], memory: [3, MemoryUsage] }));

const pod = message('pod', () => ({ podSandboxId: [1, 'string'] }));
const container = message('container', () => ({ containerId: [1, 'string'] }));
const nothing = message('nothing', () => ({}));

/** Request and response of each call. */
const calls = {
  RunPodSandbox: [
    message('RunPodSandboxRequest', () => ({ config: [1, PodSandboxConfig], runtimeHandler: [2, 'string'] })),
    pod,
  ],
  StopPodSandbox: [pod, nothing],
  RemovePodSandbox: [pod, nothing],
  PodSandboxStatus: [
    pod,
    message('PodSandboxStatusResponse', () => ({
      status: [1, message('PodSandboxStatus', () => ({ id: [1, 'string'], state: [3, 'int32'] }))],
    })),
  ],
  CreateContainer: [
    message('CreateContainerRequest', () => ({
      podSandboxId: [1, 'string'],
      config: [2, ContainerConfig],
      sandboxConfig: [3, PodSandboxConfig],
    })),
    container,
  ],
  StartContainer: [container, nothing],
  StopContainer: [
    message('StopContainerRequest', () => ({ containerId: [1, 'string'], timeout: [2, 'int64'] })),
    nothing,
  ],
  RemoveContainer: [container, nothing],
  ContainerStatus: [container, message('ContainerStatusResponse', () => ({ status: [1, ContainerStatus] }))],
  UpdateContainerResources: [
    message('UpdateContainerResourcesRequest', () => ({
      containerId: [1, 'string'],
      linux: [2, LinuxContainerResources],
    })),
    nothing,
  ],
  ExecSync: [
    message('ExecSyncRequest', () => ({
      containerId: [1, 'string'],
      cmd: [2, 'string', 'repeated'],
      timeout: [3, 'int64'],
    })),
    message('ExecSyncResponse', () => ({ stdout: [1, 'bytes'], stderr: [2, 'bytes'], exitCode: [3, 'int32'] })),
  ],
  ContainerStats: [container, message('ContainerStatsResponse', () => ({ stats: [1, ContainerStats] }))],
} as const;

type Calls = typeof calls;

export class Cri {
  private readonly session: ClientHttp2Session;

  constructor(socket: string) {
    this.session = connect('http://localhost', { createConnection: () => dial(socket) });
    this.session.on('error', () => {});
  }

  /** Fails with `CODE sentence`, both of gRPC. */
  async call<N extends keyof Calls>(name: N, value: InputOf<Calls[N][0]>): Promise<ValueOf<Calls[N][1]>> {
    const [request, response] = calls[name] as readonly [Message, Message];
    return decode(response, await this.send(name, encode(request, value))) as ValueOf<Calls[N][1]>;
  }

  close(): void {
    this.session.close();
  }

  /** A message in gRPC has five bytes before it: whether it is compressed, and its length. */
  private send(method: string, payload: Uint8Array): Promise<Uint8Array> {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': `/runtime.v1.RuntimeService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(payload.length, 1);
    stream.end(Buffer.concat([head, payload]));
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      let status = '2';
      let sentence = 'no trailers';
      const note = (headers: Record<string, unknown>) => {
        if (headers['grpc-status'] === undefined) return;
        status = headers['grpc-status'] as string;
        sentence = decodeURIComponent((headers['grpc-message'] as string | undefined) ?? '');
      };
      stream.setTimeout(60_000 * slowness, () => stream.destroy(new Error(`${method}: no answer`)));
      stream.on('response', note);
      stream.on('trailers', note);
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === '0') resolve(Uint8Array.from(Buffer.concat(pieces).subarray(5)));
        else reject(new Error(`${method}: ${status} ${sentence}`));
      });
    });
  }
}
