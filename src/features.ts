// What this program implements, for those who ask before they write a config.json (runtime-spec features.md).

import { capabilityNames } from './linux/capabilities.ts';
import { namespaceFlags } from './linux/namespaces.ts';
import { memoryPolicyFlags, memoryPolicyModes } from './linux/scheduling.ts';
import { seccompActions, seccompFlags, seccompOperators } from './linux/seccomp.ts';
import { knownAnnotations } from './plan/annotations.ts';
import { mountOptionNames } from './plan/mount-options.ts';
import { knownArchitectures } from './seccomp/architectures.ts';
import { commit, version } from './version.gen.ts';

/** The oldest and the newest version of the specification whose configurations are understood. */
const OLDEST = '1.0.0';
const NEWEST = '1.3.0';

/** The features document. It depends on the build alone, never on the host (features.md). */
export function features(): object {
  return {
    ociVersionMin: OLDEST,
    ociVersionMax: NEWEST,
    hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
    mountOptions: [...mountOptionNames].sort(),
    linux: {
      namespaces: Object.keys(namespaceFlags).sort(),
      capabilities: capabilityNames,
      cgroup: { v1: false, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: {
        enabled: true,
        actions: seccompActions,
        operators: seccompOperators,
        archs: knownArchitectures,
        knownFlags: seccompFlags,
        supportedFlags: seccompFlags,
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: true, schemata: true, monitoring: true },
      memoryPolicy: { modes: Object.keys(memoryPolicyModes), flags: Object.keys(memoryPolicyFlags) },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: true },
    },
    annotations: { 'run.oci.tsrun.version': version, 'run.oci.tsrun.commit': commit },
    // Files of the host, and groups of the caller: not for those who may only choose an image.
    potentiallyUnsafeConfigAnnotations: knownAnnotations,
  };
}
