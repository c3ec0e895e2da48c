// What `delete` must know of a container when its shim is no more, and what it cannot find out: a file in the bundle,
// which is there only where something is not as usual.

import { sys, unlessMissing } from '../linux/sys.ts';
import type { Place } from './operations.ts';
import { defaults, stateRoot } from './options.ts';

const nameIn = (bundle: string): string => `${bundle}/tsrun.json`;

export function writePlace({ bundle, options }: Place): void {
  if (options.root !== '') sys.writeFile(nameIn(bundle), JSON.stringify({ root: options.root }), 0o600);
}

export function readPlace(bundle: string, id: string, namespace: string): Place {
  const text = unlessMissing(() => sys.readFile(nameIn(bundle), 65536));
  const root = text === undefined ? '' : (JSON.parse(text) as { root: string }).root;
  return { id, bundle, namespace, root: stateRoot(root, namespace), options: { ...defaults, root } };
}
