import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { environment, runtimeOf } from './runtime-of.ts';

export async function start({ args }: InvocationOf<'start'>, context: Context): Promise<number> {
  await runtimeOf(context).start(args.containerId, environment('NOTIFY_SOCKET'));
  return 0;
}
