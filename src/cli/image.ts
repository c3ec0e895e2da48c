import { usageError } from '../errors.ts';
import { findImage, prune, remove, type Removed } from '../image/remove.ts';
import type { ImageStore } from '../image/store.ts';
import { sys } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import { storeOf } from './image-context.ts';
import { describe } from './images.ts';
import type { Context } from './main.ts';

export function image({ args }: InvocationOf<'image'>, context: Context): number {
  const store = storeOf(context);
  switch (args.action) {
    case 'inspect':
      if (args.images.length !== 1) throw usageError('inspect takes one image', 'image');
      sys.writeText(1, `${JSON.stringify(inspect(store, args.images[0] ?? ''), null, 2)}\n`);
      return 0;
    case 'rm':
      if (args.images.length === 0) throw usageError('rm takes at least one image', 'image');
      sys.writeText(1, tell(remove(store, args.images)));
      return 0;
    case 'prune':
      if (args.images.length > 0) throw usageError('prune takes no images', 'image');
      sys.writeText(1, tell(prune(store)));
      return 0;
  }
}

function inspect(store: ImageStore, name: string): object {
  const record = findImage(store, name);
  const configuration = JSON.parse(sys.readFile(store.blobFile(record.configDigest), 16 << 20)) as object;
  const layers = record.chains.map((chain) => ({
    chain,
    ...store.layer(chain),
    directory: `${store.layerDir(chain)}/tree`,
  }));
  const bundles = store.users().filter(({ image: digest }) => digest === record.digest);
  return { ...describe(store, record), layers, bundles: bundles.map(({ bundle }) => bundle), configuration };
}

const tell = ({ images, layers }: Removed): string => `removed ${images} images and ${layers} layers\n`;
