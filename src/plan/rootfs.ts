// root and linux.rootfsPropagation: from a directory of the host to the container's /.

import { MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE } from '../linux/flags.ts';
import type { Spec } from '../spec/types.ts';
import { propagations } from './mount-options.ts';
import type { HostFacts } from './host.ts';
import { planLayers, withoutMountNamespace } from './layers.ts';
import type { NamespacePlan } from './namespaces.ts';
import type { PlanRequest } from './plan.ts';
import { type InitStep, SLOT_DEV, SLOT_MOUNT, SLOT_ROOT } from './steps.gen.ts';
import { readonlyDev } from './mounts.ts';

export interface RootPlan {
  /** Before any namespace is entered; empty unless init forks. */
  readonly before: readonly InitStep[];
  /** Inside the mount namespace. */
  readonly attach: readonly InitStep[];
}

export function planRootOpen(spec: Spec, request: PlanRequest, namespaces: NamespacePlan, facts: HostFacts): RootPlan {
  if (!namespaces.hasMount) {
    if (request.overlay !== undefined) throw withoutMountNamespace();
    return { before: [], attach: [] };
  }
  const wanted = spec.linux.rootfsPropagation;
  const propagation = propagations[wanted ?? 'rslave'] ?? { flag: MS_SLAVE, recursive: true };
  const isSlave = propagation.flag === MS_SLAVE;
  // An unbindable mount could not be cloned for the root or a volume: its mounts are private until the root is entered.
  const around = propagation.flag === MS_UNBINDABLE ? { flag: MS_PRIVATE, recursive: true } : propagation;
  const leave: InitStep = {
    op: 'leaveChroot',
    path: request.rootfs,
    from: '',
    why: 'pivot_root(2) cannot work in a chroot, and setns(2) into its mount namespace would lead out of it',
  };
  const attach: InitStep[] = [
    ...(facts.inChroot ? [leave] : []),
    {
      op: 'setPropagation',
      path: '/',
      propagation: around.flag,
      recursive: around.recursive ? 1 : 0,
      from: wanted === undefined ? '' : '/linux/rootfsPropagation',
      why: 'before the first mount, so that none of the container travels to the host',
    },
  ];
  if (propagation.flag === MS_SHARED) {
    attach.push({
      op: 'privateParent',
      path: request.rootfs,
      from: '/linux/rootfsPropagation',
      why: 'pivot_root(2) refuses a new root on a shared mount',
    });
  }
  const detach: InitStep = {
    op: 'setMount',
    slot: SLOT_ROOT,
    set: 0,
    clear: 0,
    propagation: isSlave ? MS_SLAVE : MS_PRIVATE,
    recursive: 1,
    from: '',
    why: 'the clone is a peer of the mount that it comes from: mounts made in it would appear on the host',
  };
  // Who is not root may clone a mount only inside the namespaces, where the files are as much the caller's as outside.
  const first = namespaces.forks && (facts.euid === 0 || !namespaces.inUser);
  const place: InitStep = {
    op: 'attachRoot',
    path: request.rootfs,
    from: '/root/path',
    why: 'pivot_root(2) wants a mount point',
  };
  const directory: InitStep = {
    op: 'openTree',
    path: request.rootfs,
    from: '/root/path',
    why: 'a mount of its own, which can be moved and changed',
  };
  const { overlay } = request;
  const root =
    overlay === undefined ? [directory] : planLayers(overlay, facts, first ? [] : [directory, detach, place]);
  const open = [...root, detach];
  return first ? { before: open, attach: [...attach, place] } : { before: [], attach: [...attach, ...open, place] };
}

export function planRootEnter(
  spec: Spec,
  request: PlanRequest,
  namespaces: NamespacePlan,
  facts: HostFacts,
): InitStep[] {
  if (!namespaces.hasMount) {
    return [
      {
        op: 'changeRoot',
        path: request.rootfs,
        from: '/root/path',
        why: 'without a mount namespace the root is only a directory',
      },
    ];
  }
  const steps: InitStep[] = [];
  const dev = readonlyDev(spec);
  if (dev !== undefined) {
    const reason = { from: dev.from, why: 'read-only as asked for, now that its devices are made' };
    if (dev.again) steps.push({ op: 'findMount', target: '/dev', ...reason });
    const slot = dev.again ? SLOT_MOUNT : SLOT_DEV;
    steps.push({ op: 'setMount', slot, set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, recursive: 0, ...reason });
  }
  if (spec.root.readonly === true) {
    steps.push({
      op: 'setMount',
      slot: SLOT_ROOT,
      set: MOUNT_ATTR_RDONLY,
      clear: 0,
      propagation: 0,
      recursive: 0,
      from: '/root/readonly',
      why: 'after the last mount point was made in it',
    });
  }
  if (request.noPivot) {
    steps.push(
      ...facts.kernelMounts
        .filter((path) => path !== request.rootfs && !path.startsWith(`${request.rootfs}/`))
        .map(
          (path): InitStep => ({
            op: 'detachMount',
            path,
            from: '',
            why: 'below a moved root a full procfs or sysfs could be mounted anew without its masks',
          }),
        ),
      { op: 'moveRoot', from: '', why: '--no-pivot: the root of a ramdisk cannot be pivoted' },
    );
  } else {
    steps.push({ op: 'pivotRoot', from: '/root/path', why: "the host's file systems are out of reach from here on" });
  }
  const wanted = spec.linux.rootfsPropagation;
  const propagation = wanted === undefined ? undefined : propagations[wanted];
  if (propagation !== undefined) {
    steps.push({
      op: 'setPropagation',
      path: '/',
      propagation: propagation.flag,
      // Not for the tree: the volumes have propagations of their own.
      recursive: 0,
      from: '/linux/rootfsPropagation',
      why: "for the container's own root mount",
    });
  }
  return steps;
}
