// What the verbs of images share: the store, and the flags as src/image takes them.

import { usageError } from '../errors.ts';
import { parsePlatform, platformOf } from '../image/platform.ts';
import type { PullOptions } from '../image/pull.ts';
import { ImageStore } from '../image/store.ts';
import { sys } from '../linux/sys.ts';
import { parseBytes } from './amounts.ts';
import type { Context } from './main.ts';
import { progressOn } from './progress.ts';
import { environment } from './runtime-of.ts';

export interface ImageFlags {
  readonly platform: string | undefined;
  readonly maxSize: string;
  readonly maxEntries: number;
}

const STORE = '/var/lib/tsrun';

export function storeOf({ globals }: Context): ImageStore {
  const given = globals.store;
  if (given !== undefined)
    return new ImageStore((given.startsWith('/') ? given : `${sys.currentDir()}/${given}`).replace(/(?<=.)\/+$/, ''));
  if (sys.userId() === 0) return new ImageStore(STORE);
  const data = environment('XDG_DATA_HOME') ?? `${environment('HOME') ?? ''}/.local/share`;
  return new ImageStore(`${data}/tsrun`);
}

/** @param quiet Nothing is said where standard error is no terminal: it is the container's. */
export function pullOptions(flags: ImageFlags, command: string, { log }: Context, quiet: boolean): PullOptions {
  const [, , machine = ''] = sys.kernel();
  const bytes = parseBytes(flags.maxSize, 'max-size', command);
  if (bytes <= 0) throw usageError(`--max-size: ${JSON.stringify(flags.maxSize)} allows nothing`, command);
  return {
    platform: flags.platform === undefined ? platformOf(machine) : parsePlatform(flags.platform),
    limits: { bytes: Math.min(bytes, 2 ** 52), entries: flags.maxEntries },
    progress: progressOn(log, quiet),
  };
}
