import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function remove({ flags, args }: InvocationOf<'delete'>, context: Context): Promise<number> {
  await runtimeOf(context).delete(args.containerId, flags.force);
  return 0;
}
