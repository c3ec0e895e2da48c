// linux.netDevices: devices of the host that the container gets (config-linux.md#network-devices).

import type { Linux } from '../spec/types.ts';
import { type HostStep, type InitStep, SYNC_NETWORK } from './steps.gen.ts';

/** Init stops once it is inside its network namespace, and the host moves the devices there. */
export function planNetDevices({ netDevices = {} }: Linux): { init: readonly InitStep[]; host: readonly HostStep[] } {
  const names = Object.keys(netDevices);
  if (names.length === 0) return { init: [], host: [] };
  const from = '/linux/netDevices';
  const moves = names.map(
    (name): HostStep => ({
      op: 'moveNetDevice',
      name,
      newName: netDevices[name]?.name ?? name,
      from: `${from}/${name.replaceAll('~', '~0')}`,
      why: 'it leaves the host with its addresses, before hooks and kernel parameters look for it',
    }),
  );
  return {
    init: [
      { op: 'openNetwork', from, why: 'so that the host side need not enter the namespace' },
      { op: 'sync', sync: SYNC_NETWORK, wait: 1, from, why: 'the host moves the devices' },
    ],
    host: [
      { op: 'awaitInit', sync: SYNC_NETWORK, from, why: 'the network namespace exists' },
      ...moves,
      { op: 'releaseInit', sync: SYNC_NETWORK, from, why: 'the devices are there' },
    ],
  };
}
