import { sys } from '../linux/sys.ts';
import { eventLine, runcStats } from '../stats/events.ts';
import { parseDuration } from './amounts.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function events({ flags, args }: InvocationOf<'events'>, context: Context): Promise<number> {
  const runtime = runtimeOf(context);
  const id = args.containerId;
  const interval = parseDuration(flags.interval, 'interval', 'events');
  const print = (line: string) => sys.writeText(1, `${line}\n`);
  if (flags.stats) {
    print(eventLine('stats', id, runcStats(await runtime.stats(id))));
    return 0;
  }
  await runtime.watch(id, interval, {
    stats: (stats) => print(eventLine('stats', id, runcStats(stats))),
    oom: () => print(eventLine('oom', id)),
  });
  return 0;
}
