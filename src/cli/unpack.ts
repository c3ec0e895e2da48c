import { claimBundle, clearBundle, fillBundle } from '../image/bundle.ts';
import { pull } from '../image/pull.ts';
import { parseReference } from '../image/reference.ts';
import { sysError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import { pullOptions, storeOf } from './image-context.ts';
import type { Context } from './main.ts';

export function unpack({ flags, args }: InvocationOf<'unpack'>, context: Context): number {
  const reference = parseReference(args.image);
  const store = storeOf(context);
  const options = pullOptions(flags, 'unpack', context, false);
  const { dir, made } = claimBundle(args.bundle);
  let lock = -1;
  try {
    lock = store.lock('shared');
    const image = pull(store, reference, options);
    fillBundle(store, image, dir, { args: [], terminal: false, container: undefined });
  } catch (error) {
    clearBundle(store, dir, made);
    throw isSysError(error) ? sysError(`unpack ${reference.text}`, error) : error;
  } finally {
    if (lock >= 0) sys.close(lock);
  }
  return 0;
}
