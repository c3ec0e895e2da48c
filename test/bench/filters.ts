// How many instructions the kernel executes for a call under an engine's default profile: our program, and the one that
// libseccomp makes by default. Over all system calls that x86_64 has, each asked for once, with arguments of zero.
import { architecturesFor, syscallNumbers } from '../../src/seccomp/architectures.ts';
import { decode } from '../../src/seccomp/bpf.ts';
import { compileSeccomp } from '../../src/seccomp/compile.ts';
import { interpret } from '../../src/seccomp/interpret.ts';
import { defaultProfile, hasProfile, type ProfileName } from '../seccomp/profiles.ts';
import { referencesOf } from '../seccomp/reference.ts';

export { defaultProfile, hasProfile } from '../seccomp/profiles.ts';
export { header } from '../seccomp/reference.ts';

export interface FilterCost {
  mean: number;
  worst: number;
  /** Instructions of the whole program. */
  size: number;
}

function costOf(program: Uint8Array): FilterCost {
  const [arch] = architecturesFor('x86_64', []);
  if (arch === undefined) throw new Error('x86_64 has no table of system calls');
  const instructions = decode(program);
  const steps = [...syscallNumbers(arch).values()].map(
    (number) => interpret(instructions, { audit: arch.audit, number, args: [] }).steps,
  );
  const sum = steps.reduce((all, count) => all + count, 0);
  return { mean: sum / steps.length, worst: Math.max(...steps), size: instructions.length };
}

/** Undefined where the profile, or libseccomp's header, is not on this host. */
export function filterCosts(name: ProfileName): { ours: FilterCost; libseccomp: FilterCost } | undefined {
  if (!hasProfile(name)) return undefined;
  const profile = defaultProfile(name);
  const [reference] = referencesOf([profile]);
  if (reference?.status !== 'ok') throw new Error(`libseccomp refuses the profile of ${name}: ${reference?.status}`);
  const ours = compileSeccomp(profile, { native: 'x86_64', refuseUnknown: false });
  return { ours: costOf(ours), libseccomp: costOf(reference.program) };
}
