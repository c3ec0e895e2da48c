import { TsrunError } from '../errors.ts';
import { parseSignal } from '../linux/signals.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export function kill({ flags, args }: InvocationOf<'kill'>, context: Context): number {
  const signal = parseSignal(args.signal);
  if (signal === undefined)
    throw new TsrunError(`unknown signal ${JSON.stringify(args.signal)}: give a name such as TERM, or a number`);
  runtimeOf(context).kill(args.containerId, signal, flags.all);
  return 0;
}
