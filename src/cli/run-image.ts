// `run IMAGE`: a bundle in the store for this one container, which goes when the container does.

import { runBundleDir } from '../image/container-bundle.ts';
import { parseReference } from '../image/reference.ts';
import { sys } from '../linux/sys.ts';
import { usageError } from '../errors.ts';
import type { InvocationOf } from './args.ts';
import { createOptions } from './create-options.ts';
import { pullOptions, storeOf } from './image-context.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function runImage({ flags, args }: InvocationOf<'run'>, context: Context): Promise<number> {
  if (flags.bundle !== undefined) throw usageError('an image and --bundle were given: one is enough', 'run');
  const reference = parseReference(args.containerId);
  const runtime = runtimeOf(context);
  const bundle = runBundleDir(storeOf(context), reference, pullOptions(flags, 'run', context, true), {
    args: args.command,
    terminal: sys.isTerminal(0) === 1 && (!flags.detach || flags.consoleSocket !== undefined),
    id: flags.id,
    state: (id) => runtime.stateDir(id),
  });
  try {
    const options = await createOptions(flags, bundle.id, bundle.dir);
    return await runtime.run(bundle.id, {
      ...options,
      bundleUser: bundle.user,
      detach: flags.detach,
      keep: flags.keep,
      subreaper: !flags.noSubreaper,
    });
  } finally {
    bundle.release();
  }
}
