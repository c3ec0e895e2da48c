import { TsrunError } from '../errors.ts';
import { commit as commitLayer } from '../image/commit.ts';
import { parseReference } from '../image/reference.ts';
import { ImageStore } from '../image/store.ts';
import { sys, unlessMissing } from '../linux/sys.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

export async function commit({ args }: InvocationOf<'commit'>, context: Context): Promise<number> {
  const runtime = runtimeOf(context);
  const { bundle, status } = runtime.state(args.containerId);
  const target = parseReference(args.image);
  const text = unlessMissing(() => sys.readFile(`${bundle}/overlay.json`, 16 << 20));
  if (text === undefined) throw new TsrunError(`container ${JSON.stringify(args.containerId)} is not of an image`);
  const overlay = JSON.parse(text) as { store: string; image: string };
  const store = new ImageStore(overlay.store);
  const record = store.image(overlay.image);
  if (record === undefined) throw new TsrunError(`the store ${overlay.store} no longer has the container's image`);
  // What is packed must not change meanwhile.
  if (status === 'running') await runtime.pause(args.containerId);
  try {
    const digest = commitLayer({ upper: `${bundle}/upper`, record, target, container: args.containerId });
    sys.writeText(1, `${digest}\n`);
  } finally {
    if (status === 'running') await runtime.resume(args.containerId);
  }
  return 0;
}
