// The shim itself: one process for the containers of a pod, from `start` to Shutdown.

import { O_NONBLOCK, O_WRONLY } from '../linux/flags.ts';
import { signals } from '../linux/signals.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { Farewell } from './farewell.ts';
import { openLog } from './log.ts';
import type { Publish } from './container.ts';
import { Loop } from './loop.ts';
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
  const farewell = new Farewell(loop, daemon, publisher, tasks);
  const served = serve(
    loop,
    daemon.listener,
    servicesOf(tasks, () => farewell.asked(served)),
  );
  const leaveIfLonely = (): void => void loop.after(LONELY_MS, () => farewell.unlessNeeded(served));
  served.onIdle = leaveIfLonely;
  // containerd may die before it comes for the first time.
  leaveIfLonely();
  heedSignals(loop, reaper, (number) => {
    if (number === signals['TERM'] || number === signals['INT']) farewell.leaveAll();
  });
  await loadAhead();
  const inCopy = loop.run();
  return inCopy();
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
