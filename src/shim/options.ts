// What containerd says about the runtime: options of its own shim for runc, a table from its configuration, or nothing.

import { TsrunError } from '../errors.ts';
import { decodeText } from '../linux/utf8.ts';
import { decode } from '../proto/decode.ts';
import type { Any } from '../proto/well-known.ts';
import { CreateOptions, RuncOptions, RuntimeOptions } from './messages/options.ts';

export interface Options {
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** The cgroup for the shim itself; '' for containerd's. */
  readonly shimCgroup: string;
  /** Owner of the standard streams. */
  readonly uid: number;
  readonly gid: number;
  /** Where the state of containers is kept; '' for the usual place. */
  readonly root: string;
  /** Undefined where nobody says: then the cgroup's path tells. */
  readonly systemdCgroup: boolean | undefined;
}

export const defaults: Options = {
  noPivot: false,
  noNewKeyring: false,
  shimCgroup: '',
  uid: 0,
  gid: 0,
  root: '',
  systemdCgroup: undefined,
};

/** @throws {TsrunError} for options of a kind that is not known. */
export function parseOptions(any: Any | undefined): Options {
  if (any === undefined || any.typeUrl === '') return defaults;
  if (any.typeUrl === RuncOptions.name) {
    // A type and no value: nobody has set anything.
    if (any.value.length === 0) return defaults;
    const given = decode(RuncOptions, any.value);
    return {
      noPivot: given.noPivotRoot,
      noNewKeyring: given.noNewKeyring,
      shimCgroup: given.shimCgroup,
      uid: given.ioUid,
      gid: given.ioGid,
      root: given.root,
      systemdCgroup: given.systemdCgroup ? true : undefined,
    };
  }
  if (any.typeUrl === CreateOptions.name) {
    const given = decode(CreateOptions, any.value);
    return {
      ...defaults,
      noPivot: given.noPivotRoot,
      noNewKeyring: given.noNewKeyring,
      shimCgroup: given.shimCgroup,
      uid: given.ioUid,
      gid: given.ioGid,
    };
  }
  if (any.typeUrl === RuntimeOptions.name) return fromTable(decodeText(decode(RuntimeOptions, any.value).configBody));
  throw new TsrunError(`runtime options of type ${JSON.stringify(any.typeUrl)} are not known`);
}

/** The handler's options as containerd writes them: a line a key, in TOML. */
function fromTable(text: string): Options {
  const value = (key: string): string | undefined =>
    new RegExp(`^\\s*${key}\\s*=\\s*(.*?)\\s*$`, 'm').exec(text)?.[1]?.replace(/^(["'])(.*)\1$/, '$2');
  const number = (key: string): number => Number(value(key) ?? 0) || 0;
  return {
    noPivot: value('NoPivotRoot') === 'true',
    noNewKeyring: value('NoNewKeyring') === 'true',
    shimCgroup: value('ShimCgroup') ?? '',
    uid: number('IoUid'),
    gid: number('IoGid'),
    root: value('Root') ?? '',
    systemdCgroup: value('SystemdCgroup') === 'true' ? true : undefined,
  };
}

const ROOT = '/run/containerd/tsrun';

/** The state root of a namespace's containers: ids of two namespaces may be the same. */
export const stateRoot = (root: string, namespace: string): string => `${root === '' ? ROOT : root}/${namespace}`;
