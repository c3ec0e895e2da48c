import { sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

/** runc's form: two spaces, no newline at the end, and an owner that stays empty. */
export function state({ args }: InvocationOf<'state'>, context: Context): number {
  const { owner: _, ...shown } = runtimeOf(context).state(args.containerId);
  sys.writeText(1, JSON.stringify({ ...shown, owner: '' }, null, 2));
  return 0;
}
