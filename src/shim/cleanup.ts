// `delete`: takes away what a shim left that is no more. containerd calls it after every task, so mostly there is nothing.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { encode } from '../proto/encode.ts';
import { answers } from './bootstrap.ts';
import type { Flags } from './flags.ts';
import { DeleteResponse } from './messages/task.ts';
import type { Place } from './operations.ts';
import { readPlace } from './place-file.ts';
import { timestamp } from './process.ts';

const KILLED = 137;
/** For who has no pid: what Go makes of it. */
const NO_PID = 0xffffffff;

export async function cleanUp(flags: Flags): Promise<number> {
  const here = flags.bundle === '' ? sys.currentDir() : flags.bundle;
  const parent = here.slice(0, here.lastIndexOf('/'));
  const bundle = `${parent}/${flags.id}`;
  const pid = pidOf(bundle);
  for (const member of membersOf(parent, flags.id)) await takeAway(`${parent}/${member}`, member, flags);
  await takeAway(bundle, flags.id, flags);
  removeSocket(bundle);
  sys.write(1, encode(DeleteResponse, { pid, exitStatus: KILLED, exitedAt: timestamp() }));
  return 0;
}

async function takeAway(bundle: string, id: string, { namespace }: Flags): Promise<void> {
  const place = readPlace(bundle, id, namespace);
  if (isGone(place)) return;
  const { deleteContainer } = await import('./operations.ts');
  const { value } = await deleteContainer(place);
  for (const warning of value) sys.writeText(2, `${warning}\n`);
}

/** As after Delete. containerd waits for an answer, and what could take something away is half of the program. */
const isGone = ({ root, id, bundle }: Place): boolean =>
  unlessMissing(() => sys.stat(`${root}/${id}`)) === undefined &&
  unlessMissing(() => sys.isMountRoot(`${bundle}/rootfs`)) !== 1;

/** From containerd 2 on, containers of a pod have none who asks for them if their shim dies: the pod's own is asked for. */
function membersOf(parent: string, id: string): string[] {
  // Only that containerd leaves such a file. Without, there is no need to look at all bundles of the namespace.
  if (unlessMissing(() => sys.stat(`${parent}/${id}/bootstrap.json`)) === undefined) return [];
  const names = unlessMissing(() => sys.readDir(parent)) ?? [];
  return names.filter((name) => name !== id && textOf(`${parent}/${name}/sandbox`) === id);
}

function pidOf(bundle: string): number {
  const text = textOf(`${bundle}/init.pid`);
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : NO_PID;
}

/** A socket at which nobody listens any more. */
function removeSocket(bundle: string): void {
  const path = textOf(`${bundle}/address`)?.replace(/^unix:\/\//, '');
  if (path === undefined || !path.startsWith('/') || unlessMissing(() => sys.stat(path)) === undefined) return;
  if (!answers(path)) unlessMissing(() => sys.removeFile(path));
}

function textOf(path: string): string | undefined {
  try {
    return unlessMissing(() => sys.readFile(path, 65536))?.trim();
  } catch (error) {
    const ENOTDIR = 20;
    if (isSysError(error) && error.errno === ENOTDIR) return undefined;
    throw isSysError(error) ? sysError('delete', error) : (error as TsrunError);
  }
}
