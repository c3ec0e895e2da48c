// What this program implements, for those who ask before they write a config.json (runtime-spec features.md).

import { capabilityNames } from './linux/capabilities.ts';
import { namespaceFlags } from './linux/namespaces.ts';
import { memoryPolicyFlags, memoryPolicyModes } from './linux/scheduling.ts';
import { seccompActions, seccompArchitectures, seccompFlags, seccompOperators } from './linux/seccomp.ts';
import { knownAnnotations } from './plan/annotations.ts';
import { mountOptionNames } from './plan/mount-options.ts';
import { unapplied } from './spec/unapplied.ts';
import { commit, version } from './version.gen.ts';

/** The oldest and the newest version of the specification whose configurations are understood. */
const OLDEST = '1.0.0';
const NEWEST = '1.3.0';

/**
 * The features document. It depends on the build alone, never on the host (features.md), and it cannot promise what a
 * run would refuse: what unapplied.ts lists is left out.
 */
export function features(): object {
  return {
    ociVersionMin: OLDEST,
    ociVersionMax: NEWEST,
    hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
    mountOptions: without(mountOptionNames, ['mounts', '*', 'options', '*']).sort(),
    linux: {
      namespaces: without(Object.keys(namespaceFlags), ['linux', 'namespaces', '*', 'type']).sort(),
      capabilities: capabilityNames,
      cgroup: { v1: false, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: isApplied(['linux', 'seccomp'])
        ? {
            enabled: true,
            actions: seccompActions,
            operators: seccompOperators,
            archs: seccompArchitectures,
            knownFlags: seccompFlags,
            supportedFlags: seccompFlags,
          }
        : { enabled: false },
      apparmor: { enabled: isApplied(['process', 'apparmorProfile']) },
      selinux: { enabled: isApplied(['process', 'selinuxLabel']) },
      intelRdt: {
        enabled: isApplied(['linux', 'intelRdt']),
        schemata: isApplied(['linux', 'intelRdt']),
        monitoring: isApplied(['linux', 'intelRdt']),
      },
      memoryPolicy: { modes: Object.keys(memoryPolicyModes), flags: Object.keys(memoryPolicyFlags) },
      mountExtensions: { idmap: { enabled: isApplied(['mounts', '*', 'uidMappings']) } },
      netDevices: { enabled: isApplied(['linux', 'netDevices']) },
    },
    annotations: { 'run.oci.tsrun.version': version, 'run.oci.tsrun.commit': commit },
    // Files of the host, and groups of the caller: not for those who may only choose an image.
    potentiallyUnsafeConfigAnnotations: knownAnnotations,
  };
}

const find = (at: readonly string[]) => unapplied.filter((entry) => entry.at.join('/') === at.join('/'));

const isApplied = (at: readonly string[]): boolean => find(at).every((entry) => entry.values !== undefined);

const without = (names: readonly string[], at: readonly string[]): string[] => {
  const refused = find(at).flatMap((entry) => entry.values ?? []);
  return names.filter((name) => !refused.includes(name));
};
