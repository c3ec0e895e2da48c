import { TsrunError } from '../errors.ts';
import { S_IFDIR, S_IFMT } from '../linux/flags.ts';
import { sys, unlessMissing } from '../linux/sys.ts';
import { isId } from '../state/store.ts';
import type { InvocationOf } from './args.ts';
import { createOptions } from './create-options.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function run({ flags, args }: InvocationOf<'run'>, context: Context): Promise<number> {
  const runtime = runtimeOf(context);
  const bundle = flags.bundle === undefined && isDirectory(args.containerId) ? args.containerId : undefined;
  const id = bundle === undefined ? args.containerId : runtime.freeId(nameOf(bundle));
  const options = await createOptions(flags, id, bundle ?? flags.bundle);
  return await runtime.run(id, { ...options, detach: flags.detach, keep: flags.keep, subreaper: !flags.noSubreaper });
}

/** `run bundle/`: what has a slash, or is . or .., cannot be an id and is taken for a bundle. */
function isDirectory(word: string): boolean {
  if (!word.includes('/') && word !== '.' && word !== '..') return false;
  const [mode = 0] = unlessMissing(() => sys.stat(word)) ?? [];
  return (mode & S_IFMT) === S_IFDIR;
}

function nameOf(bundle: string): string {
  const path = sys.realPath(bundle);
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/[^A-Za-z0-9_+.-]/g, '_').replace(/^\.+/, '').slice(0, 200);
  if (!isId(name)) throw new TsrunError(`no container id can be made from the directory's name ${JSON.stringify(path)}: use run --bundle ${bundle} ID`);
  return name;
}
