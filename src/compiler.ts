// From a bundle to its plan. Three quarters of the program stand behind this file; it is read only when a container is
// made, so that start, state, kill and delete do without.

import { type Bundle, openBundle } from './bundle/bundle.ts';
import { readHostFacts } from './execute/facts.ts';
import { seccompProgram } from './execute/seccomp-program.ts';
import { ownedMount } from './plan/delegation.ts';
import type { CgroupManager } from './plan/host.ts';
import { resctrlGroup } from './plan/resctrl.ts';
import { asksForCgroup } from './plan/cgroup.ts';
import { compile, type Plan, type PlanRequest } from './plan/plan.ts';

export { openBundle, seccompProgram };

export type PlanOptions = Pick<PlanRequest, 'noPivot' | 'noNewKeyring' | 'preserveFds' | 'env' | 'gate' | 'seccomp'>;

export function planBundle(id: string, bundle: Bundle, options: PlanOptions, manager: CgroupManager): Plan {
  const { noPivot, noNewKeyring, preserveFds, env, gate, seccomp } = options;
  const { process, linux } = bundle.spec;
  const facts = readHostFacts({
    manager,
    environment: bundle.spec.hooks !== undefined,
    kernelMounts: noPivot,
    resctrlGroup: linux.intelRdt === undefined ? undefined : resctrlGroup(linux.intelRdt, id),
    delegate: ownedMount(bundle.spec) >= 0,
    cgroupAsked: asksForCgroup(linux),
    labels: [process?.apparmorProfile, process?.selinuxLabel, linux.mountLabel].some((label) => label !== undefined),
  });
  return compile(
    bundle.spec,
    {
      id,
      bundle: bundle.dir,
      rootfs: bundle.rootfs,
      overlay: bundle.overlay,
      gate,
      noPivot,
      noNewKeyring,
      preserveFds,
      env,
      seccomp,
    },
    facts,
  );
}
