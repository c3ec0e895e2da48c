// Which manifest of an index is for this machine (image-spec image-index.md). Pure.

import { TsrunError } from '../errors.ts';
import type { Descriptor, Platform } from './types.ts';

const machines: Readonly<Record<string, Platform>> = {
  x86_64: { os: 'linux', architecture: 'amd64' },
  aarch64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  armv7l: { os: 'linux', architecture: 'arm', variant: 'v7' },
  i686: { os: 'linux', architecture: '386' },
  riscv64: { os: 'linux', architecture: 'riscv64' },
  ppc64le: { os: 'linux', architecture: 'ppc64le' },
  s390x: { os: 'linux', architecture: 's390x' },
};

/** By the machine name of uname(2). */
export const platformOf = (machine: string): Platform => machines[machine] ?? { os: 'linux', architecture: machine };

/** `linux/arm64/v8`; the operating system may be left out. @throws {TsrunError} */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  if (!os || !architecture || parts.length > 3 || variant === '')
    throw new TsrunError(`--platform ${text}: expected OS/ARCHITECTURE[/VARIANT], such as linux/arm64`);
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');

/** The best descriptor: the same variant first, then one that names none, then the nearest older one. */
export function selectPlatform(list: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  let best: Descriptor | undefined;
  let most = 0;
  for (const descriptor of list) {
    const score = scoreOf(descriptor.platform, wanted);
    if (score > most) [best, most] = [descriptor, score];
  }
  return best;
}

function scoreOf(platform: Platform | undefined, wanted: Platform): number {
  // A descriptor without a platform may be for any machine: taken where nothing says more.
  if (platform === undefined) return 1;
  if (platform.os !== wanted.os || platform.architecture !== wanted.architecture) return 0;
  if (platform.variant === wanted.variant) return 100;
  if (platform.variant === undefined || wanted.variant === undefined) return 90;
  const [has, may] = [level(platform.variant), level(wanted.variant)];
  return has < may ? 10 + has : 0;
}

const level = (variant: string): number => Number(/^v(\d+)/.exec(variant)?.[1] ?? 0);
