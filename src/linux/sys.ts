// The door to the kernel, as the engine that runs this code provides it: native/engine for QuickJS, src/node for Node.
import type { Sys } from './sys.gen.ts';

export const sys: Sys = (globalThis as unknown as { tsrunSys: Sys }).tsrunSys;

/** What a failing call of `sys` throws. */
export interface SysError extends Error {
  /** A positive errno; see src/linux/errno.ts. */
  readonly errno: number;
  readonly syscall: string;
  /** What the call was about, '' where there is no path. */
  readonly path: string;
}

export function isSysError(error: unknown): error is SysError {
  return error instanceof Error && typeof (error as { errno?: unknown }).errno === 'number';
}

/** A file in which anybody may have had a word, such as a process's own name. What is not UTF-8 is replaced. */
export function readAnyText(path: string, most: number): string {
  const fd = sys.open(path, 0, 0);
  try {
    return sys.readText(fd, most);
  } finally {
    sys.close(fd);
  }
}

/** Runs a call of `sys` that may find nothing: undefined for ENOENT, other failures are thrown on. */
export function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isSysError(error) && error.errno === 2) return undefined;
    throw error;
  }
}

/** Runs a call on a descriptor that does not block: undefined where there is nothing to do, other failures are thrown on. */
export function unlessAgain<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isSysError(error) && error.errno === 11) return undefined;
    throw error;
  }
}

/** Makes a directory, and those on the way to it that are missing, with this mode; one that is there is kept. mkdir(2) */
export function makePath(path: string, mode: number): void {
  try {
    sys.makeDir(path, mode);
  } catch (error) {
    const [ENOENT, EEXIST] = [2, 17];
    if (!isSysError(error)) throw error;
    if (error.errno === EEXIST) return;
    const cut = path.lastIndexOf('/');
    if (error.errno !== ENOENT || cut <= 0) throw error;
    makePath(path.slice(0, cut), mode);
    makePath(path, mode);
  }
}
