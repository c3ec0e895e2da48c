// The step that makes a file system. fsconfig(2) takes at most 255 bytes for a value, mount(2) a page for all options
// together: an overlay of many layers needs more than the one, and sometimes more than the other.

import { ConfigError } from '../errors.ts';
import type { Reason } from './reason.ts';
import type { InitStep } from './steps.gen.ts';

export interface FileSystem extends Reason {
  readonly source: string;
  readonly fstype: string;
  readonly options: readonly string[];
  readonly attributes: number;
  /** The host's tree that is bound where this file system is not permitted, with attributes of its own; '' for none. */
  readonly instead: string;
  readonly also: number;
}

const VALUE_MOST = 255;
const DATA_MOST = 4095;

export function makeFileSystem(fs: FileSystem): InitStep {
  if (bytes(fs.source) <= VALUE_MOST && fs.options.every((option) => bytes(valueOf(option)) <= VALUE_MOST))
    return { op: 'mount', ...fs };
  const { source, fstype, attributes, from, why, about = '' } = fs;
  const data = fs.options
    .filter((option) => superblockFlags[option] === undefined)
    .map(quoted)
    .join(',');
  if (bytes(data) <= DATA_MOST && bytes(source) <= DATA_MOST) {
    const flags = fs.options.reduce((sum, option) => sum | (superblockFlags[option] ?? 0), 0);
    return { op: 'legacyMount', source, fstype, flags, data, attributes, from, about, why };
  }
  const options = fstype === 'overlay' ? fs.options.flatMap(layerOptions) : fs.options;
  const long = options.find((option) => bytes(valueOf(option)) > VALUE_MOST);
  if (long === undefined) return { op: 'mount', ...fs, options };
  throw new ConfigError('config.json', [
    {
      pointer: `${from}/options`,
      expected: `options of at most ${DATA_MOST} bytes together, or of at most ${VALUE_MOST} bytes each`,
      found: JSON.stringify(`${long.slice(0, 40)}…`),
    },
  ]);
}

/** Between quotes a comma ends no option: a SELinux context has them. Overlayfs reads a backslash before it instead. */
const quoted = (option: string): string =>
  option.includes(',') && !/^(lower|upper|work)dir=/.test(option) ? `${option.replace('=', '="')}"` : option;

/** Flags of mount(2) for what fsconfig(2) takes by name; 0 where the name asks for the default. */
const superblockFlags: Readonly<Record<string, number>> = {
  ro: 0x1,
  rw: 0,
  sync: 0x10,
  async: 0,
  mand: 0x40,
  nomand: 0,
  dirsync: 0x80,
  lazytime: 0x2000000,
  nolazytime: 0,
};

/** With one option a layer, so that no option is long: Linux 6.7. */
export const withLayersApart = (fs: FileSystem): FileSystem => ({ ...fs, options: fs.options.flatMap(layerOptions) });

/** `lowerdir=a:b::c` as one option a layer, which Linux has since 6.7; behind `::` stand layers of data only. */
function layerOptions(option: string): string[] {
  if (!option.startsWith('lowerdir=')) return [option];
  const layers = option.slice('lowerdir='.length).match(/::?|(?:\\.|[^:\\])+/g) ?? [];
  let kind = 'lowerdir+';
  return layers.flatMap((part) => {
    if (part === '::') kind = 'datadir+';
    return part.startsWith(':') ? [] : [`${kind}=${part.replace(/\\(.)/g, '$1')}`];
  });
}

const valueOf = (option: string): string => option.slice(option.indexOf('=') + 1);

/** In UTF-8; most texts are short enough whatever is in them. */
function bytes(text: string): number {
  if (text.length * 3 <= VALUE_MOST) return text.length;
  let count = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0) ?? 0;
    count += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
}
