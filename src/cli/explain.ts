import { explainJson, explainText } from '../explain/render.ts';
import { sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function explain({ flags, args }: InvocationOf<'explain'>, context: Context): Promise<number> {
  const plan = await runtimeOf(context).explain({
    bundle: args.bundle ?? flags.bundle ?? '.',
    config: 'config.json',
    noPivot: false,
    noNewKeyring: false,
    preserveFds: 0,
    env: [],
    notifySocket: undefined,
    pidFile: undefined,
    consoleSocket: undefined,
    pidfdSocket: undefined,
    observe: undefined,
  });
  sys.writeText(1, flags.json ? explainJson(plan) : explainText(plan));
  return 0;
}
