// overlay.json, which src/image/bundle.ts writes beside config.json. Not an annotation: those may come from the image.

import { TsrunError } from '../errors.ts';

/** Absolute paths. */
export interface Overlay {
  /** Read-only layers, the uppermost first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  /** Mounted once, for one container: the kernel need not write to disk what it leaves. */
  readonly volatile: boolean;
}

/** @throws {TsrunError} for what tsrun has not written. */
export function parseOverlay(text: string, file: string): Overlay {
  const { lower, upper, work, volatile } = parse(text);
  const isPath = (path: unknown): path is string => typeof path === 'string' && path !== '';
  if (
    !Array.isArray(lower) ||
    !lower.every((path) => isPath(path) && path.startsWith('/')) ||
    !isPath(upper) ||
    !isPath(work)
  )
    throw new TsrunError(`${file}: expected lower, upper and work; make the bundle anew with \`tsrun unpack\``);
  const dir = file.slice(0, file.lastIndexOf('/'));
  const inside = (path: string) => (path.startsWith('/') ? path : `${dir}/${path}`);
  return { lower: lower as string[], upper: inside(upper), work: inside(work), volatile: volatile === true };
}

function parse(text: string): { lower?: unknown; upper?: unknown; work?: unknown; volatile?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as object;
  } catch {
    return {};
  }
}
