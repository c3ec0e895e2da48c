// Any JSON value in; a Spec and the list of its problems out.

import type { Problem } from '../errors.ts';
import { configSchema } from './config-schema.ts';
import { Report } from './report.ts';
import { checkRules } from './rules.ts';
import { dropEmptySeccomp } from './seccomp.ts';
import type { Spec } from './types.ts';
import { isObject, walk } from './walk.ts';

/**
 * Makes a Spec of `config`, in place: what counts as absent is deleted, and `linux` is there in any case.
 * The result may be used only if the list of problems is empty. Never throws.
 */
export function checkSpec(config: unknown): { spec: Spec; problems: readonly Problem[] } {
  const report = new Report();
  if (isObject(config) && isObject(config['linux']) && 'seccomp' in config['linux']) dropEmptySeccomp(config['linux']);
  walk(configSchema, config, report);
  if (isObject(config)) {
    config['linux'] ??= {};
    checkRules(config as unknown as Spec, report);
  }
  return { spec: config as Spec, problems: report.problems };
}
