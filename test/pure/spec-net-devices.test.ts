// linux.netDevices: names, and the namespace that they need.
import { describe, expect, test } from 'vitest';
import { all, happening, planOf, smallConfig } from './plan-samples.ts';
import { complaints, type Json } from './spec-samples.ts';

describe('parseSpec refuses', () => {
  test.each<readonly [name: string, change: (config: Json) => void, complaint: RegExp]>([
    [
      'a name of 16 bytes',
      (c) => (c.linux.netDevices.eth0.name = 'x'.repeat(16)),
      /^\/linux\/netDevices\/eth0\/name: /,
    ],
    ['a name with a slash', (c) => (c.linux.netDevices.eth0.name = 'a/b'), /^\/linux\/netDevices\/eth0\/name: /],
    ['a name for the kernel to choose', (c) => (c.linux.netDevices.eth0.name = 'eth%d'), /netDevices\/eth0\/name: /],
    ['a device with a blank', (c) => (c.linux.netDevices['a b'] = {}), /^\/linux\/netDevices\/a b: the name/],
    ['two devices of one name', (c) => (c.linux.netDevices.net0 = {}), /netDevices\/net0\/name: another name/],
    [
      'devices without a network namespace',
      (c) => {
        c.linux.namespaces = c.linux.namespaces.filter(({ type }: Json) => type !== 'network');
        c.linux.sysctl = {};
      },
      /^\/linux\/netDevices: \(nothing\) without a network namespace/,
    ],
  ])('%s', (_name, change, complaint) => {
    expect(complaints(change)).toEqual([expect.stringMatching(complaint)]);
  });
});

test('devices are moved once init is in its network namespace, and before hooks and kernel parameters', () => {
  const plan = planOf(
    smallConfig((config) => {
      config.linux.namespaces.push({ type: 'network' });
      config.linux.netDevices = { eth0: { name: 'net0' }, eth1: {} };
      config.linux.sysctl = { 'net.ipv4.conf.net0.forwarding': '1' };
      config.hooks = { createRuntime: [{ path: '/bin/a' }] };
    }),
  );
  const ops = happening(plan).map(({ op }) => op);
  expect(all(plan.host, 'moveNetDevice')).toMatchObject([
    { name: 'eth0', newName: 'net0' },
    { name: 'eth1', newName: 'eth1' },
  ]);
  const order = ['bringUpLoopback', 'openNetwork', 'moveNetDevice', 'writeSysctl', 'runHook'] as const;
  expect(order.map((op) => ops.indexOf(op))).toEqual(order.map((op) => ops.indexOf(op)).toSorted((a, b) => a - b));
});
