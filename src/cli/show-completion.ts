import { usageError } from '../errors.ts';
import { sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import { completionScript } from './completion.ts';

export function showCompletion({ args: { shell } }: InvocationOf<'completion'>): number {
  if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish')
    throw usageError(`unknown shell ${JSON.stringify(shell)}: expected bash, zsh or fish`, 'completion');
  sys.writeText(1, completionScript(shell));
  return 0;
}
