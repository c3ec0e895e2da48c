// linux.mountLabel: the SELinux context of the file systems that are made for the container.

import { ConfigError } from '../errors.ts';
import type { Spec } from '../spec/types.ts';
import type { HostFacts } from './host.ts';

/** crun's annotation that chooses the mount option; podman writes it. mount(8), "context" */
const TYPE = 'run.oci.mount_context_type';
const types = ['context', 'fscontext', 'defcontext', 'rootcontext'];

/** What their files are is known to the policy, by the path or for the file system as a whole. */
const unlabelled = new Set(['proc', 'sysfs', 'cgroup', 'cgroup2', 'mqueue']);

/** Options for a new file system of this type: none, or its context. */
export function labelOptions(spec: Spec, fstype: string, options: readonly string[]): string[] {
  const label = spec.linux.mountLabel;
  if (label === undefined || unlabelled.has(fstype)) return [];
  const own = options.some((option) => types.includes(option.slice(0, option.indexOf('='))));
  return own ? [] : [`${spec.annotations?.[TYPE] ?? 'context'}=${label}`];
}

/** A label on a host without SELinux protects nothing: as in runc, it is refused and not forgotten. */
export function checkLabel(spec: Spec, facts: HostFacts): void {
  const label = spec.linux.mountLabel;
  if (label === undefined) return;
  const type = spec.annotations?.[TYPE];
  if (type !== undefined && !types.includes(type)) {
    const expected = `one of ${types.join(', ')}`;
    throw new ConfigError('config.json', [{ pointer: `/annotations/${TYPE}`, expected, found: JSON.stringify(type) }]);
  }
  if (facts.seLinux) return;
  throw new ConfigError('config.json', [
    {
      pointer: '/linux/mountLabel',
      expected: '(nothing) on a host where SELinux is disabled or not supported',
      found: JSON.stringify(label),
    },
  ]);
}
