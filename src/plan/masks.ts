// linux.maskedPaths and linux.readonlyPaths.

import type { Spec } from '../spec/types.ts';
import type { InitStep } from './steps.gen.ts';

export function planMasks(spec: Spec): InitStep[] {
  return [
    ...(spec.linux.readonlyPaths ?? []).map(
      (path, index): InitStep => ({
        op: 'readonlyPath',
        path,
        from: `/linux/readonlyPaths/${index}`,
        why: 'may be read inside, and not changed',
      }),
    ),
    ...(spec.linux.maskedPaths ?? []).map(
      (path, index): InitStep => ({
        op: 'maskPath',
        path,
        from: `/linux/maskedPaths/${index}`,
        why: 'says more of the host than a container should know, or changes it',
      }),
    ),
  ];
}
