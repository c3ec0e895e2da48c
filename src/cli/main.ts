// From the words of the command line to an exit code.

import { TsrunError, UsageError, sysError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { type Globals, type Head, type Invocation, parseGlobals, parseVerb } from './args.ts';
import { Log } from './log.ts';

/** What a verb has at hand beside its own words. */
export interface Context {
  readonly globals: Globals;
  readonly log: Log;
}

/** @param argv The words behind the program's name. @returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let log = new Log({ file: undefined, format: 'text', level: 'error' });
  try {
    const head = parseGlobals(argv);
    // Before the verb is read: a usage error of the verb belongs into the log as well.
    log = openLog(head);
    return await dispatch(parseVerb(head), log);
  } catch (thrown) {
    const error = isSysError(thrown) ? sysError('unexpected failure', thrown) : thrown;
    if (!(error instanceof TsrunError)) throw error;
    if (error instanceof UsageError) sys.writeText(1, (await import('./help.ts')).helpText(error.command));
    log.write('error', error.message);
    return error.exitCode;
  }
}

function openLog({ globals }: Head): Log {
  if (globals.log !== undefined) sys.appendFile(globals.log, '');
  return new Log({
    file: globals.log,
    format: globals.logFormat,
    level: globals.debug ? 'debug' : globals.logLevel,
  });
}

/** The verbs that engines call for each container; to know of the others is too much for them. */
async function dispatch(invocation: Invocation, log: Log): Promise<number> {
  const context: Context = { globals: invocation.globals, log };
  switch (invocation.command) {
    case 'run':
      return (await import('./run.ts')).run(invocation, context);
    case 'create':
      return (await import('./create.ts')).create(invocation, context);
    case 'start':
      return (await import('./start.ts')).start(invocation, context);
    case 'state':
      return (await import('./state.ts')).state(invocation, context);
    case 'kill':
      return (await import('./kill.ts')).kill(invocation, context);
    case 'delete':
      return (await import('./delete.ts')).remove(invocation, context);
    case 'exec':
      return (await import('./exec.ts')).exec(invocation, context);
    default:
      return (await import('./other-verbs.ts')).dispatchOther(invocation, context);
  }
}
