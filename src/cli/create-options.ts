// The flags that create, run and explain share, as the runtime takes them.

import { TsrunError } from '../errors.ts';
import type { Observer } from '../execute/execute.ts';
import { sys } from '../linux/sys.ts';
import type { CreateOptions } from '../runtime.ts';
import { activation } from './activation.ts';
import { environment } from './runtime-of.ts';
import type { InvocationOf } from './args.ts';

type Flags = (InvocationOf<'create'> | InvocationOf<'run'>)['flags'];

export async function createOptions(flags: Flags, id: string, bundle = flags.bundle): Promise<CreateOptions> {
  const { count, env } = activation(sys.environment(), sys.processId());
  const preserveFds = count + flags.preserveFds;
  checkDescriptors(preserveFds);
  return {
    bundle: bundle ?? '.',
    config: flags.config,
    noPivot: flags.noPivot,
    noNewKeyring: flags.noNewKeyring,
    preserveFds,
    env,
    notifySocket: environment('NOTIFY_SOCKET'),
    pidFile: flags.pidFile,
    consoleSocket: flags.consoleSocket,
    pidfdSocket: flags.pidfdSocket,
    observe: flags.trace === undefined ? undefined : await observer(flags.trace, id, flags.json),
  };
}

async function observer(file: string, id: string, json: boolean): Promise<Observer> {
  const { traceWriter } = await import('./trace.ts');
  return traceWriter(file, id, json);
}

export function checkDescriptors(count: number): void {
  for (let fd = 3; fd < 3 + count; fd++) {
    if (sys.isOpen(fd) === 0)
      throw new TsrunError(`--preserve-fds and LISTEN_FDS: descriptor ${fd} of ${count} from 3 on is not open`);
  }
}
