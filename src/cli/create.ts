import type { InvocationOf } from './args.ts';
import { createOptions } from './create-options.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function create({ flags, args }: InvocationOf<'create'>, context: Context): Promise<number> {
  const runtime = runtimeOf(context);
  await runtime.create(args.containerId, await createOptions(flags, args.containerId));
  return 0;
}
