// What workers do: the runtime's verbs as containerd asks for them. Each runs in a copy of the shim and may wait.

import { TsrunError, sysError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { Runtime } from '../runtime.ts';
import { parseResources } from '../spec/parse.ts';
import { signalCgroup } from '../state/processes.ts';
import type { Options } from './options.ts';
import { writePlace } from './place-file.ts';
import { mountRootfs, type RootfsMount, unmountRootfs } from './rootfs.ts';
import { openStreams, type StreamNames } from './streams.ts';
import type { Answer } from './worker.ts';

/** Where a container is, for every operation on it. */
export interface Place {
  readonly id: string;
  readonly bundle: string;
  readonly namespace: string;
  /** The state root. */
  readonly root: string;
  readonly options: Options;
}

/** What the shim remembers of a container that was made. */
export interface Made {
  readonly pid: number;
  /** '' if it has none. */
  readonly cgroup: string;
  /** Its pid namespace is not its own: other processes do not end with the first one. */
  readonly sharedPid: boolean;
  readonly logger: number;
  readonly warnings: readonly string[];
}

export interface Executed {
  readonly pid: number;
  readonly logger: number;
}

const none = { pidFile: undefined, consoleSocket: undefined, pidfdSocket: undefined };
const CONFIG_MOST = 16 << 20;

export async function createContainer(
  place: Place,
  mounts: readonly RootfsMount[],
  streams: StreamNames,
): Promise<Answer<Made>> {
  const { id, bundle, options } = place;
  const rootfs = `${bundle}/rootfs`;
  const warnings: string[] = [];
  writePlace(place);
  mountRootfs(mounts, rootfs);
  sys.changeDir(bundle);
  try {
    const { held, logger } = openFor(place, streams);
    const runtime = runtimeOf(place, managerOf(place), (message) => warnings.push(message));
    let fds = held;
    const pid = await runtime.create(id, {
      ...none,
      bundle,
      config: 'config.json',
      noPivot: options.noPivot,
      noNewKeyring: options.noNewKeyring,
      preserveFds: 0,
      env: [],
      notifySocket: undefined,
      observe: undefined,
      pidFile: `${bundle}/init.pid`,
      taken: (_, master) => {
        fds = withConsole(fds, master);
      },
    });
    const record = runtime.record(id);
    return {
      value: {
        pid,
        cgroup: record.cgroup?.path ?? '',
        sharedPid: record.sharedPid,
        logger,
        warnings: bounded(warnings),
      },
      fds,
    };
  } catch (error) {
    unmountRootfs(rootfs);
    throw told('OCI runtime create failed', error);
  }
}

export async function startContainer(place: Place): Promise<Answer<null>> {
  try {
    await runtimeOf(place).start(place.id);
  } catch (error) {
    throw told('OCI runtime start failed', error);
  }
  return { value: null, fds: {} };
}

/** @param spec The JSON of runtime-spec's `process`. */
export async function execProcess(place: Place, spec: string, streams: StreamNames): Promise<Answer<Executed>> {
  const { id } = place;
  try {
    const { held, logger } = openFor(place, streams);
    let fds = held;
    let pid = 0;
    await runtimeOf(place).exec(id, {
      ...none,
      process: { name: 'the process to run', text: spec },
      changes: { env: [], additionalGids: [], capabilities: [] },
      detach: true,
      ignorePaused: false,
      cgroup: undefined,
      preserveFds: 0,
      taken: (started, master) => {
        pid = started;
        fds = withConsole(fds, master);
      },
    });
    return { value: { pid, logger }, fds };
  } catch (error) {
    throw told('OCI runtime exec failed', error);
  }
}

/** Ends what is left of the container, and takes it and its mounts away. Twice is no failure. */
export async function deleteContainer(place: Place): Promise<Answer<readonly string[]>> {
  const warnings: string[] = [];
  try {
    await runtimeOf(place, 'cgroupfs', (message) => warnings.push(message)).delete(place.id, true);
    unmountRootfs(`${place.bundle}/rootfs`);
  } catch (error) {
    throw told('delete', error);
  }
  return { value: bounded(warnings), fds: {} };
}

/** A worker's message has a size. */
const bounded = (warnings: readonly string[]): string[] => warnings.slice(0, 16).map((text) => text.slice(0, 400));

export async function pauseContainer(place: Place): Promise<Answer<null>> {
  await runtimeOf(place).pause(place.id);
  return { value: null, fds: {} };
}

export async function resumeContainer(place: Place): Promise<Answer<null>> {
  await runtimeOf(place).resume(place.id);
  return { value: null, fds: {} };
}

/** @param text The JSON of runtime-spec's `linux.resources`, with the limits that are to change. */
export async function updateContainer(place: Place, text: string): Promise<Answer<null>> {
  // CRI sends a rule that denies all devices, which stands for "as before".
  const { devices: _, ...change } = parseResources(text, 'the resources');
  await runtimeOf(place).update(place.id, change);
  return { value: null, fds: {} };
}

export function signalAll(cgroup: string, signal: number): Answer<null> {
  signalCgroup(cgroup, signal);
  return { value: null, fds: {} };
}

function runtimeOf(
  { root }: Place,
  cgroupManager: 'cgroupfs' | 'systemd' = 'cgroupfs',
  warn: (message: string) => void = () => {},
): Runtime {
  return new Runtime({ root, cgroupManager, warn, error: warn });
}

/** A path such as `kubepods.slice:cri-containerd:ID` is one that only systemd can make. */
function managerOf({ bundle, options }: Place): 'cgroupfs' | 'systemd' {
  if (options.systemdCgroup !== undefined) return options.systemdCgroup ? 'systemd' : 'cgroupfs';
  const text = sys.readFile(`${bundle}/config.json`, CONFIG_MOST);
  return /"cgroupsPath"\s*:\s*"[^"/:]*\.slice:[^":]*:[^":]+"/.test(text) ? 'systemd' : 'cgroupfs';
}

const openFor = ({ id, namespace, options }: Place, streams: StreamNames) =>
  openStreams(streams, { id, namespace, uid: options.uid, gid: options.gid });

/** The master twice: it is read from and written to, and waited for in both ways. The runtime closes the one that it has. */
function withConsole(fds: Record<string, number>, master: number | undefined): Record<string, number> {
  if (master === undefined) return fds;
  return { ...fds, console: sys.copyOf(master), consoleIn: sys.copyOf(master) };
}

function told(prefix: string, thrown: unknown): Error {
  const error = isSysError(thrown) ? sysError('unexpected failure', thrown) : thrown;
  return error instanceof TsrunError ? new TsrunError(`${prefix}: ${error.message}`) : (error as Error);
}
