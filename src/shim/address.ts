// Where a shim listens: a path that follows from containerd's own address, the namespace and what containers share it.

import { sys } from '../linux/sys.ts';

const SOCKETS = '/run/containerd/s';

/** Annotations that say which containers share a shim, the first that is there counts. */
const groupings = ['io.containerd.tsrun.v2.group', 'io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

/** @param config The text of the bundle's config.json. @returns the container's own id if it shares with nobody. */
export function groupOf(config: string, id: string): string {
  // A configuration is long, and hardly any has one of these words: parsing it takes longer than the rest of `start`.
  if (!config.includes('"annotations"') || !groupings.some((name) => config.includes(name))) return id;
  const { annotations } = JSON.parse(config) as { annotations?: Readonly<Record<string, string>> };
  return groupings.map((name) => annotations?.[name]).find((value) => value !== undefined && value !== '') ?? id;
}

/** @param containerd The address that it was given by containerd. */
export function socketPath(containerd: string, namespace: string, group: string, directory: string = SOCKETS): string {
  return `${directory}/${sys.sha256(joined([containerd, namespace, group]))}`;
}

/** As Go's filepath.Join does it: containerd's own tools compute the path too. */
function joined(parts: readonly string[]): string {
  const text = parts.filter((part) => part !== '').join('/');
  const out: string[] = [];
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') out.push(part);
    else if (out.length > 0 && out.at(-1) !== '..') out.pop();
    else if (!text.startsWith('/')) out.push('..');
  }
  return `${text.startsWith('/') ? '/' : ''}${out.join('/')}`;
}
