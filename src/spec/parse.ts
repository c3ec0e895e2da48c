// The text of config.json in; a typed and validated Spec out.

import { ConfigError } from '../errors.ts';
import { checkSpec } from './check.ts';
import { restoreExactValues } from './exact-values.ts';
import { findSyntaxError } from './json-position.ts';
import { resourcesSchema } from './config-schema.ts';
import { Report, show } from './report.ts';
import type { LinuxResources, Spec } from './types.ts';
import { walk } from './walk.ts';

/**
 * Reads a config.json (runtime-spec 1.3, `config.md` and `config-linux.md`).
 *
 * Fields that the specification does not know stay as they are and have no effect; values that it does not
 * know are problems. Optional fields that are null, and texts that
 * are empty, are absent from the result; a relative mount destination is made absolute; `linux` is always there.
 *
 * @param text the content of the file
 * @param file its name for messages
 * @throws {ConfigError} with every problem that the file has
 */
export function parseSpec(text: string, file: string): Spec {
  const { spec, problems } = checkSpec(parseJson(text, file));
  const all = problems.length > 0 || spec.linux.seccomp === undefined ? problems : restoreExactValues(spec, text);
  if (all.length > 0) throw new ConfigError(file, all);
  return spec;
}

/**
 * Reads `linux.resources` alone (config-linux.md#control-groups), as `update --resources` takes it. Pointers in
 * messages begin at its own root.
 * @throws {ConfigError} with every problem that the text has
 */
export function parseResources(text: string, file: string): LinuxResources {
  const resources = parseJson(text, file);
  const report = new Report();
  walk(resourcesSchema, resources, report);
  if (report.problems.length > 0) throw new ConfigError(file, report.problems);
  return resources as LinuxResources;
}

export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const wrong = findSyntaxError(text);
    if (wrong === undefined) {
      // The scanner has no limits of its own, so what remains is the engine's: depth, or memory.
      throw new ConfigError(file, [{ pointer: '', expected: 'JSON that can be read', found: show(String(error)) }]);
    }
    const { expected, found, line, column, hint } = wrong;
    const problem = { pointer: '', expected, found: `${found} at line ${line}, column ${column}` };
    throw new ConfigError(file, [hint === undefined ? problem : { ...problem, hint }]);
  }
}
