// hooks: when each runs is the plan's matter, what it is given is made here.

import type { Hooks, Spec } from '../spec/types.ts';
import { annotation } from './annotations.ts';
import type { InitStep, RunHook } from './steps.gen.ts';

export interface HookState {
  readonly spec: Pick<Spec, 'ociVersion' | 'hooks' | 'annotations'>;
  readonly id: string;
  readonly bundle: string;
  /** The environment of the runtime, for hooks of the host that have none of their own. */
  readonly environment: readonly string[];
  /** The environment of the container's program, for hooks inside. */
  readonly inside?: readonly string[];
}

const why: Readonly<Record<keyof Hooks, string>> = {
  prestart: 'deprecated; runs where createRuntime does, before it',
  createRuntime: 'in the namespaces of the runtime, before pivot_root',
  createContainer: 'in the namespaces of the container, before pivot_root',
  startContainer: 'in the container, before its program',
  poststart: 'after the program has started',
  poststop: 'after the container has been deleted',
};

/** One step for each hook, with the state that it reads on standard input (runtime.md#state); the pid is filled in later. */
export function hookSteps(state: HookState, kind: keyof Hooks, status: string, pid = 0): RunHook[] {
  const { ociVersion, annotations, hooks } = state.spec;
  return (hooks?.[kind] ?? []).map((hook, index) => ({
    op: 'runHook',
    path: hook.path,
    args: hook.args ?? [hook.path],
    // Unlike an empty list, none leaves it to the runtime; so do runc and crun.
    env: hook.env ?? (kind === 'startContainer' ? (state.inside ?? []) : state.environment),
    // Hooks of the host start in the bundle, as with runc and crun; inside it cannot be seen.
    dir: kind === 'startContainer' ? '' : state.bundle,
    timeoutMs: Math.min((hook.timeout ?? 0) * 1000, 0xffffffff),
    pid,
    stateHead: `{"ociVersion":${JSON.stringify(ociVersion)},"id":${JSON.stringify(state.id)},"status":"${status}","pid":`,
    stateTail: `,"bundle":${JSON.stringify(state.bundle)}${annotations === undefined ? '' : `,"annotations":${JSON.stringify(annotations)}`}}`,
    // Init has the files open already: their paths are the host's, and init may be inside the root by now.
    out: ofInit.has(kind) ? '' : annotation(annotations, 'run.oci.hooks.stdout'),
    err: ofInit.has(kind) ? '' : annotation(annotations, 'run.oci.hooks.stderr'),
    from: `/hooks/${kind}/${index}`,
    why: why[kind],
  }));
}

const ofInit: ReadonlySet<keyof Hooks> = new Set(['createContainer', 'startContainer']);

/** crun's annotations run.oci.hooks.stdout and .stderr, for the hooks that init runs. */
export function planHookOutput({ hooks, annotations }: Spec): InitStep[] {
  const out = annotation(annotations, 'run.oci.hooks.stdout');
  const err = annotation(annotations, 'run.oci.hooks.stderr');
  const runsHooks = [...ofInit].some((kind) => (hooks?.[kind]?.length ?? 0) > 0);
  if ((out === '' && err === '') || !runsHooks) return [];
  const from = `/annotations/run.oci.hooks.${out === '' ? 'stderr' : 'stdout'}`;
  return [{ op: 'openHookOutput', out, err, from, why: "with the host's rights and paths, while they are there" }];
}

/** What startContainer hooks find: the environment of the program. HOME stands there only if the configuration has it. */
export const hookEnvironment = (spec: Spec): readonly string[] => spec.process?.env ?? [];
