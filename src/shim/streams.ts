// The standard streams of a container's process, as containerd names them: FIFOs, a file, or a program that logs.
// All of this runs in a worker, which may wait for a reader and which gives the streams to the process by having them.

import { sysError, TsrunError } from '../errors.ts';
import {
  O_APPEND,
  O_CREAT,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLIN,
  S_IFIFO,
  S_IFMT,
} from '../linux/flags.ts';
import { isSysError, sys } from '../linux/sys.ts';

/** As they stand in a request; '' for a stream that is not there. */
export interface StreamNames {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Who writes, for a program that logs. */
export interface Writer {
  readonly id: string;
  readonly namespace: string;
  /** Owner of the FIFOs: root of the container's user namespace. */
  readonly uid: number;
  readonly gid: number;
}

/** What the worker opened, by name: the shim keeps it while the process lives. */
export type Held = Record<string, number>;

export interface Opened {
  readonly held: Held;
  /** The program that logs, 0 without one. */
  readonly logger: number;
}

const ENXIO = 6;
const READER_MS = 30_000;
const STEP_MS = 5;
const READY_MS = 10_000;

/**
 * Makes the streams descriptors 0, 1 and 2 of this process. With a terminal the process gets none of them: then what
 * the terminal's bytes come from and go to is among what is held, as `in` and `out`.
 */
export function openStreams(names: StreamNames, writer: Writer): Opened {
  try {
    const output = outputsOf(names, writer);
    const nothing = sys.open('/dev/null', O_RDWR, 0);
    const input = names.stdin === '' ? undefined : openInput(pathOf(names.stdin), writer, names.terminal);
    if (names.terminal) {
      for (const fd of [0, 1, 2]) sys.duplicate(nothing, fd);
      return {
        logger: output.logger,
        held: { ...output.held, ...input?.held, ...named('in', input?.fd), ...named('out', output.stdout) },
      };
    }
    sys.duplicate(input?.fd ?? nothing, 0);
    sys.duplicate(output.stdout ?? nothing, 1);
    sys.duplicate(output.stderr ?? nothing, 2);
    return { logger: output.logger, held: { ...output.held, ...input?.held } };
  } catch (error) {
    throw isSysError(error) ? sysError('standard streams', error) : error;
  }
}

const named = (name: string, fd: number | undefined): Held => (fd === undefined ? {} : { [name]: fd });

interface Outputs {
  readonly stdout: number | undefined;
  readonly stderr: number | undefined;
  readonly held: Held;
  readonly logger: number;
}

/** What stdout names decides for stderr too. */
function outputsOf(names: StreamNames, writer: Writer): Outputs {
  const { stdout, stderr, terminal } = names;
  switch (schemeOf(stdout === '' ? stderr : stdout)) {
    case 'fifo': {
      const out = stdout === '' ? undefined : openOutput(pathOf(stdout), writer, terminal);
      const same = stderr === stdout;
      const err = stderr === '' || same || terminal ? undefined : openOutput(pathOf(stderr), writer, false);
      return {
        stdout: out?.fd,
        stderr: same ? out?.fd : err?.fd,
        held: { ...named('outReader', out?.reader), ...named('errReader', err?.reader) },
        logger: 0,
      };
    }
    case 'file': {
      const fd = openLog(pathOf(stdout));
      return { stdout: fd, stderr: fd, held: {}, logger: 0 };
    }
    case 'binary':
      return startLogger(stdout, writer);
    default:
      throw new TsrunError(`unknown STDIO scheme ${JSON.stringify(schemeOf(stdout))}`);
  }
}

const schemeOf = (name: string): string => /^([a-z][a-z0-9+.-]*):\/\//.exec(name)?.[1] ?? 'fifo';

const pathOf = (name: string): string => decode(name.replace(/^[a-z][a-z0-9+.-]*:\/\//, '').replace(/\?.*$/, ''), name);

/** In a bare path % is a letter like any other. */
const decode = (path: string, name: string): string => (name.includes('://') ? decodeURIComponent(path) : path);

/** By a handle: what lies at the path may be another thing a moment later. */
function handleOf(path: string): { at: string; isFifo: boolean; close: () => void } {
  const handle = sys.open(path, O_PATH, 0);
  const at = `/proc/self/fd/${handle}`;
  const [mode = 0] = sys.stat(at);
  return { at, isFifo: (mode & S_IFMT) === S_IFIFO, close: () => sys.close(handle) };
}

/**
 * Waits for a reader, and then is one too: a client that leaves, or a containerd that restarts, breaks nothing. The end
 * that is held does not keep the reader from seeing the end.
 */
function openOutput(path: string, writer: Writer, nonBlocking: boolean): { fd: number; reader: number | undefined } {
  const { at, isFifo, close } = handleOf(path);
  try {
    if (!isFifo) return { fd: sys.open(at, O_WRONLY | O_APPEND, 0), reader: undefined };
    const probe = openForReader(at, path);
    const reader = sys.open(at, O_RDONLY | O_NONBLOCK, 0);
    const fd = sys.open(at, O_WRONLY | (nonBlocking ? O_NONBLOCK : 0), 0);
    sys.close(probe);
    own(fd, writer);
    return { fd, reader };
  } finally {
    close();
  }
}

function openForReader(at: string, path: string): number {
  for (let waited = 0; ; waited += STEP_MS) {
    try {
      return sys.open(at, O_WRONLY | O_NONBLOCK, 0);
    } catch (error) {
      if (!isSysError(error) || error.errno !== ENXIO) throw error;
      if (waited >= READER_MS) throw new TsrunError(`standard streams: nobody reads ${path}`);
      sys.poll(new Uint32Array(0), STEP_MS);
    }
  }
}

/** With a writer of our own, so that a client that leaves is not the end of the input. */
function openInput(path: string, writer: Writer, nonBlocking: boolean): { fd: number; held: Held } {
  const { at, isFifo, close } = handleOf(path);
  try {
    if (!isFifo) return { fd: sys.open(at, O_RDONLY, 0), held: {} };
    const both = sys.open(at, O_RDWR | O_NONBLOCK, 0);
    const fd = sys.open(at, O_RDONLY | (nonBlocking ? O_NONBLOCK : 0), 0);
    const inWriter = sys.open(at, O_WRONLY | O_NONBLOCK, 0);
    sys.close(both);
    own(fd, writer);
    return { fd, held: { inWriter } };
  } finally {
    close();
  }
}

function own(fd: number, { uid, gid }: Writer): void {
  if (uid !== 0 || gid !== 0) sys.changeOwner(fd, uid, gid);
}

function openLog(path: string): number {
  makePath(path.slice(0, path.lastIndexOf('/')));
  return sys.open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644);
}

function makePath(path: string): void {
  const EEXIST = 17;
  const ENOENT = 2;
  if (path === '') return;
  try {
    sys.makeDir(path, 0o755);
  } catch (error) {
    if (!isSysError(error)) throw error;
    if (error.errno === EEXIST) return;
    if (error.errno !== ENOENT) throw error;
    makePath(path.slice(0, path.lastIndexOf('/')));
    makePath(path);
  }
}

/** `binary:///program?key=value`: it reads at 3 and 4, and says at 5 that it is ready by a byte or by closing it. */
function startLogger(uri: string, { id, namespace }: Writer): Outputs {
  const program = pathOf(uri);
  const query = /\?(.*)$/.exec(uri)?.[1] ?? '';
  const words = query
    .split('&')
    .filter((pair) => pair !== '')
    .flatMap((pair) => {
      const cut = pair.indexOf('=');
      return cut < 0 ? [pair] : [pair.slice(0, cut), pair.slice(cut + 1)];
    })
    .map((word) => decodeURIComponent(word.replaceAll('+', ' ')));
  const [outEnd = -1, stdout = -1] = sys.pipe();
  const [errEnd = -1, stderr = -1] = sys.pipe();
  const [readyEnd = -1, ready = -1] = sys.pipe();
  const nothing = sys.open('/dev/null', O_RDWR, 0);
  const logger = sys.spawn(
    program,
    pool([program, ...words]),
    pool([`CONTAINER_ID=${id}`, `CONTAINER_NAMESPACE=${namespace}`]),
    new Uint32Array([nothing, nothing, nothing, outEnd, errEnd, ready]),
  );
  for (const fd of [outEnd, errEnd, ready, nothing]) sys.close(fd);
  if (sys.poll(new Uint32Array([readyEnd, POLLIN]), READY_MS).length === 0) {
    sys.pidfdSignal(sys.pidfdOpen(logger), 9);
    throw new TsrunError(`${program} is not ready to log after ${READY_MS / 1000} s`);
  }
  sys.close(readyEnd);
  return { stdout, stderr, held: {}, logger };
}

const pool = (list: readonly string[]): string => list.map((item) => `${item}\0`).join('');
