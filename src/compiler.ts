// From a bundle to its plan. Three quarters of the program stand behind this file; it is read only when a container is
// made, so that start, state, kill and delete do without.

import { type Bundle, openBundle } from './bundle/bundle.ts';
import { readHostFacts } from './execute/facts.ts';
import type { CgroupManager } from './plan/host.ts';
import { compile, type Plan, type PlanRequest } from './plan/plan.ts';

export { openBundle };

export type PlanOptions = Pick<PlanRequest, 'noPivot' | 'noNewKeyring' | 'preserveFds' | 'gate'>;

export function planBundle(id: string, bundle: Bundle, options: PlanOptions, manager: CgroupManager): Plan {
  const { noPivot, noNewKeyring, preserveFds, gate } = options;
  const facts = readHostFacts({
    manager,
    kernelMounts: noPivot,
    selinux: bundle.spec.linux.mountLabel !== undefined,
  });
  return compile(
    bundle.spec,
    { id, bundle: bundle.dir, rootfs: bundle.rootfs, gate, noPivot, noNewKeyring, preserveFds },
    facts,
  );
}
