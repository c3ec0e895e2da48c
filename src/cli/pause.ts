import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function pause({ args }: InvocationOf<'pause'>, context: Context): Promise<number> {
  await runtimeOf(context).pause(args.containerId);
  return 0;
}

export async function resume({ args }: InvocationOf<'resume'>, context: Context): Promise<number> {
  await runtimeOf(context).resume(args.containerId);
  return 0;
}
