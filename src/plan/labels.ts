// process.apparmorProfile and process.selinuxLabel: what a security module does with the program from execve(2) on.

import { ConfigError, type Problem } from '../errors.ts';
import type { Process } from '../spec/types.ts';
import type { HostFacts } from './host.ts';
import type { InitStep } from './steps.gen.ts';

/**
 * Written to the own procfs. A profile that nobody enforces is refused, as runc does it: crun drops it, and then the
 * container looks as if it were confined.
 * @throws {ConfigError} for a module that is not enabled.
 */
export function planLabels(process: Process, facts: HostFacts): InitStep[] {
  const { apparmorProfile, selinuxLabel } = process;
  const steps: InitStep[] = [];
  const problems: Problem[] = [];
  const why = 'takes effect at execve(2)';
  if (apparmorProfile !== undefined) {
    const from = '/process/apparmorProfile';
    if (!facts.appArmor) problems.push(refused(from, 'AppArmor', apparmorProfile));
    steps.push({
      op: 'writeLabel',
      path: 'thread-self/attr/apparmor/exec',
      label: `exec ${apparmorProfile}`,
      from,
      why,
    });
  }
  if (selinuxLabel !== undefined) {
    const from = '/process/selinuxLabel';
    if (!facts.seLinux) problems.push(refused(from, 'SELinux', selinuxLabel));
    steps.push({ op: 'writeLabel', path: 'thread-self/attr/exec', label: selinuxLabel, from, why });
  }
  if (problems.length > 0) throw new ConfigError('config.json', problems);
  return steps;
}

const refused = (pointer: string, module: string, found: string): Problem => ({
  pointer,
  expected: `(nothing), since ${module} is not enabled on this host`,
  found: JSON.stringify(found),
  hint: 'remove the field, or boot a kernel with it',
});
