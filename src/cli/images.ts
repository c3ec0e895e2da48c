import { platformText } from '../image/platform.ts';
import type { ImageRecord, ImageStore } from '../image/store.ts';
import { sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import { storeOf } from './image-context.ts';
import type { Context } from './main.ts';

export function images({ flags }: InvocationOf<'images'>, context: Context): number {
  const store = storeOf(context);
  const list = store.images().map((image) => describe(store, image));
  sys.writeText(1, flags.json ? `${JSON.stringify(list)}\n` : table(list));
  return 0;
}

interface Description extends ImageRecord {
  /** Bytes of the blobs that its layers came from. */
  readonly size: number;
  readonly users: number;
}

export function describe(store: ImageStore, image: ImageRecord): Description {
  const size = image.chains.reduce((sum, chain) => sum + (store.layer(chain)?.size ?? 0), 0);
  return { ...image, size, users: store.users().filter((user) => user.image === image.digest).length };
}

function table(list: readonly Description[]): string {
  const rows = [
    ['DIGEST', 'PLATFORM', 'LAYERS', 'SIZE', 'USERS', 'REFERENCE'],
    ...list.map(({ digest, platform, chains, size, users, references }) => [
      digest.slice('sha256:'.length, 19),
      platformText(platform),
      String(chains.length),
      megabytes(size),
      String(users),
      references[0] ?? '',
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column]?.length ?? 0) + 3))) ?? [];
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('');
  return rows.map((row) => `${line(row)}\n`).join('');
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
