// Runs a program of the host and takes what it prints.

import { sys, unlessMissing } from './sys.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MOST = 64 << 20;

/**
 * @param name Looked for in $PATH, and in the usual directories where there is none: engines hand on little environment.
 * @returns what it wrote to its stdout, and its status as wait(2) words it. Its stderr is ours.
 * @throws {SysError} if it cannot be started; ENOENT if it is nowhere.
 */
export function capture(name: string, args: readonly string[]): { text: string; status: number } {
  const environment = sys.environment();
  const path = environment.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? PATH;
  const program = path
    .split(':')
    .map((directory) => `${directory}/${name}`)
    .find((file) => file.startsWith('/') && unlessMissing(() => sys.stat(file)) !== undefined);
  const [reader = -1, writer = -1] = sys.pipe();
  const nothing = sys.open('/dev/null', 0, 0);
  let pid: number;
  try {
    pid = sys.spawn(program ?? name, pool([name, ...args]), pool(environment), new Uint32Array([nothing, writer, 2]));
  } finally {
    sys.close(writer);
    sys.close(nothing);
  }
  const text = sys.readText(reader, MOST);
  sys.close(reader);
  const [, status = 0] = sys.wait(pid, 0);
  return { text, status };
}

/** Strings as `sys.spawn` takes them. */
const pool = (list: readonly string[]): string => list.map((item) => `${item}\0`).join('');
