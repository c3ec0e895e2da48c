// The shim itself: one process for the containers of a pod, from `start` to Shutdown.

import { O_NONBLOCK, O_WRONLY } from '../linux/flags.ts';
import { signals } from '../linux/signals.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import { openLog } from './log.ts';
import type { Publish } from './container.ts';
import { Loop, now } from './loop.ts';
import type { Publisher } from './publisher.ts';
import { heedSignals, Reaper } from './reaper.ts';
import { serve } from './serve.ts';
import { servicesOf } from './service.ts';
import { Tasks } from './tasks.ts';
import { tellTo } from './telling.ts';
import { Workers } from './worker.ts';

export interface Daemon {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly listener: number;
  /** Of its socket. */
  readonly path: string;
  /** The path of containerd's socket for events. */
  readonly publishTo: string | undefined;
}

/** Without a container and a client for this long, nobody knows of the shim any more. */
const LONELY_MS = 60_000;

const FAREWELL_MS = 5_000;
const FAREWELL_STEP_MS = 5;

/** Ends the process. */
export async function runDaemon(daemon: Daemon): Promise<never> {
  sys.setSubreaper();
  const log = openLog(openLogFifo(daemon.bundle), daemon.id);
  // The bundle goes with its container, and others may still be here.
  sys.changeDir('/');
  const loop = new Loop((error) => log('error', `internal error: ${String(error)}`));
  const reaper = new Reaper(loop);
  const workers = new Workers(loop, reaper);
  const { namespace, publishTo } = daemon;
  const publisher = publishTo === undefined ? undefined : tellTo(publishTo, namespace, loop, log);
  const publish: Publish = (topic, message, event) => publisher?.publish(topic, message, event);
  const tasks = new Tasks({ loop, reaper, workers, publish, log, namespace });
  let isLeaving = false;
  const leave = (): void => {
    if (isLeaving) return;
    isLeaving = true;
    loop.forget(daemon.listener);
    sys.close(daemon.listener);
    unlessMissing(() => sys.removeFile(daemon.path));
    leaveWhenTold(loop, publisher);
  };
  const served = serve(loop, daemon.listener, servicesOf(tasks, leave));
  served.onIdle = () => {
    loop.after(LONELY_MS, () => {
      if (tasks.isEmpty && served.connections === 0) leave();
    });
  };
  heedSignals(loop, reaper, (number) => {
    if (number === signals['TERM'] || number === signals['INT']) leave();
  });
  await loadAhead();
  const inCopy = loop.run();
  return inCopy();
}

/** Ends the process as soon as containerd has heard all, or does not seem to want to. */
function leaveWhenTold(loop: Loop, publisher: Publisher | undefined): void {
  const end = now() + FAREWELL_MS;
  const look = (): void => {
    if (publisher === undefined || publisher.waiting === 0 || now() > end) sys.exit(0);
    loop.after(FAREWELL_STEP_MS, look);
  };
  loop.after(0, look);
}

/** What workers need, once for all of them: a copy has what the original has. */
async function loadAhead(): Promise<void> {
  await import('../compiler.ts');
  await import('../exec.ts');
}

function openLogFifo(bundle: string): number {
  try {
    const fd = sys.open(`${bundle}/log`, O_WRONLY | O_NONBLOCK, 0);
    sys.duplicate(fd, 2);
    sys.close(fd);
  } catch (error) {
    // Nobody wants to hear: standard error is /dev/null already.
    if (!isSysError(error)) throw error;
  }
  return 2;
}
