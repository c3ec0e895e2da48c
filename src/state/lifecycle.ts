// runtime.md#lifecycle as a table: which operation is allowed in which status, and how its refusal is worded.

import { notPaused, notRunning, TsrunError } from '../errors.ts';
import type { Status } from './container.ts';

const allowed = {
  start: ['created'],
  kill: ['created', 'running', 'paused'],
  pause: ['created', 'running'],
  resume: ['paused'],
  update: ['created', 'running', 'paused'],
  events: ['created', 'running', 'paused'],
  delete: ['stopped', 'created'],
} as const satisfies Record<string, readonly Status[]>;

export type Operation = keyof typeof allowed;

/** A further process needs the first one; what is paused would not run. */
export function checkExec(id: string, status: Status, ignorePaused: boolean): void {
  if (status === 'stopped') throw new TsrunError('cannot exec a container that has stopped');
  if (status === 'creating') throw new TsrunError(`container ${JSON.stringify(id)} is still being created`);
  if (status === 'paused' && !ignorePaused)
    throw new TsrunError('cannot exec in a paused container (use --ignore-paused to override)');
}

/** @throws {TsrunError} with the phrases of runc that engines look for. */
export function check(operation: Operation, id: string, status: Status): void {
  if ((allowed[operation] as readonly Status[]).includes(status)) return;
  if (operation === 'resume') throw notPaused(id);
  if (operation === 'delete') throw new TsrunError(`cannot delete container ${id} that is not stopped: ${status}`);
  if (operation !== 'start') throw notRunning(id);
  if (status === 'paused') throw new TsrunError('cannot start a container in the paused state');
  if (status === 'stopped') throw new TsrunError('cannot start a container that has stopped');
  if (status === 'creating') throw new TsrunError(`container ${JSON.stringify(id)} is still being created`);
  throw new TsrunError('cannot start an already running container');
}
