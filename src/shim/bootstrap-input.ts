// What `start` is told: flags, environment, and a message on its input whose kind depends on containerd's version.

import { sys } from '../linux/sys.ts';
import { decode } from '../proto/decode.ts';
import { Any } from '../proto/well-known.ts';
import { variable } from './environment.ts';
import type { Flags } from './flags.ts';
import { BootstrapMark, BootstrapParams } from './messages/bootstrap.ts';

export interface Asked {
  readonly id: string;
  readonly namespace: string;
  /** containerd's socket, as it is given. */
  readonly address: string;
  /** The path of containerd's socket for events; undefined where there is none. */
  readonly ttrpcAddress: string | undefined;
  /** For the shim's own; undefined for the usual one. */
  readonly socketDir: string | undefined;
  readonly options: Any | undefined;
  /** Of the task service, for the answer. */
  readonly version: number;
  /** The answer is a message. */
  readonly speaksProtobuf: boolean;
}

const INPUT_MOST = 4 << 20;

export function readAsked(flags: Flags): Asked {
  const input = readInput(0);
  const params = input.length === 0 ? undefined : paramsOf(input);
  const ttrpcAddress = variable('TTRPC_ADDRESS')?.replace(/^unix:\/\//, '');
  if (params === undefined) {
    return {
      id: flags.id,
      namespace: flags.namespace,
      address: flags.address,
      ttrpcAddress,
      socketDir: undefined,
      options: input.length === 0 ? undefined : decode(Any, input),
      version: wanted() ?? 2,
      speaksProtobuf: false,
    };
  }
  return {
    id: params.instanceId === '' ? flags.id : params.instanceId,
    namespace: params.namespace === '' ? flags.namespace : params.namespace,
    address: params.containerdGrpcAddress === '' ? flags.address : params.containerdGrpcAddress,
    ttrpcAddress: params.containerdTtrpcAddress === '' ? ttrpcAddress : params.containerdTtrpcAddress,
    socketDir: params.socketDir === '' ? undefined : params.socketDir,
    options: params.extensions
      .map(({ value }) => value)
      .find((value) => value !== undefined && /(^|\.)Options$/.test(value.typeUrl)),
    // Only a containerd that speaks this knows the third version for sure.
    version: wanted() ?? 3,
    speaksProtobuf: true,
  };
}

/** containerd does not say which version it takes: `env` of its shim manager can. */
function wanted(): number | undefined {
  const value = variable('TSRUN_SHIM_API');
  return value === '2' || value === '3' ? Number(value) : undefined;
}

/** Both messages have fields 1 and 2, of different types; only one of them goes on. */
function paramsOf(input: Uint8Array) {
  const { containerdVersion, containerdTtrpcAddress, extensions } = decode(BootstrapMark, input);
  const isParams = containerdVersion.length > 0 || containerdTtrpcAddress.length > 0 || extensions.length > 0;
  return isParams ? decode(BootstrapParams, input) : undefined;
}

export function readInput(fd: number): Uint8Array {
  const pieces: number[] = [];
  for (;;) {
    const bytes = sys.read(fd, 65536);
    if (bytes.length === 0 || pieces.length > INPUT_MOST) return Uint8Array.from(pieces);
    for (const byte of bytes) pieces.push(byte);
  }
}
