import { sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import { completionScript } from './completion.ts';

export function showCompletion({ args: { shell } }: InvocationOf<'completion'>): number {
  sys.writeText(1, completionScript(shell));
  return 0;
}
