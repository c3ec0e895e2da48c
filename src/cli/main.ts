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

/** Verbs of the hot road are in the first chunk of bytecode, the others are read when they are called. */
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
    case 'pause':
      return (await import('./pause.ts')).pause(invocation, context);
    case 'resume':
      return (await import('./pause.ts')).resume(invocation, context);
    case 'update':
      return (await import('./update.ts')).update(invocation, context);
    case 'ps':
      return (await import('./ps.ts')).ps(invocation, context);
    case 'events':
      return (await import('./events.ts')).events(invocation, context);
    case 'stats':
      return (await import('./stats.ts')).stats(invocation, context);
    case 'list':
      return (await import('./list.ts')).list(invocation, context);
    case 'spec':
      return (await import('./spec.ts')).spec(invocation);
    case 'explain':
      return (await import('./explain.ts')).explain(invocation, context);
    case 'features':
      return (await import('./features.ts')).showFeatures();
    case 'seccomp':
      return (await import('./seccomp.ts')).seccomp(invocation);
    case 'commit':
      return await (await import('./commit.ts')).commit(invocation, context);
    case 'unpack':
      return (await import('./unpack.ts')).unpack(invocation, context);
    case 'images':
      return (await import('./images.ts')).images(invocation, context);
    case 'image':
      return (await import('./image.ts')).image(invocation, context);
    case 'completion':
      return (await import('./show-completion.ts')).showCompletion(invocation);
    case 'man':
      return (await import('./show-man.ts')).showMan();
    case 'help':
      return (await import('./show.ts')).showHelp(invocation);
    case 'version':
      return (await import('./show.ts')).showVersion();
    default:
      return invocation satisfies never;
  }
}
