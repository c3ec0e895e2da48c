import { usageError } from '../errors.ts';
import { S_IFDIR, S_IFMT } from '../linux/flags.ts';
import { sys, unlessMissing } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import { createOptions } from './create-options.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function run(invocation: InvocationOf<'run'>, context: Context): Promise<number> {
  const { flags, args } = invocation;
  // An id has no colon.
  if (/^[a-z-]+:/.test(args.containerId)) return (await import('./run-image.ts')).runImage(invocation, context);
  if (args.command.length > 0)
    throw usageError('a command can be given for an image only; that of a bundle is in its config.json', 'run');
  const runtime = runtimeOf(context);
  const bundle = flags.bundle === undefined && isDirectory(args.containerId) ? args.containerId : undefined;
  const id = bundle === undefined ? args.containerId : (flags.id ?? runtime.idFor(bundle));
  const options = await createOptions(flags, id, bundle ?? flags.bundle);
  return await runtime.run(id, { ...options, detach: flags.detach, keep: flags.keep, subreaper: !flags.noSubreaper });
}

/** `run bundle/`: what has a slash, or is . or .., cannot be an id and is taken for a bundle. */
function isDirectory(word: string): boolean {
  if (!word.includes('/') && word !== '.' && word !== '..') return false;
  const [mode = 0] = unlessMissing(() => sys.stat(word)) ?? [];
  return (mode & S_IFMT) === S_IFDIR;
}
