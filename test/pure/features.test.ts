// The features document promises nothing that a configuration would be refused for.
import { describe, expect, test } from 'vitest';
import { features } from '../../src/features.ts';
import { capabilityNames } from '../../src/linux/capabilities.ts';
import { complaints, type Json } from './spec-samples.ts';

const document: Json = features();
const accepts = (change: (config: Json) => void) => expect(complaints(change)).toEqual([]);

describe('the features document', () => {
  test('has the parts of features.md and features-linux.md', () => {
    expect(Object.keys(document)).toEqual([
      'ociVersionMin',
      'ociVersionMax',
      'hooks',
      'mountOptions',
      'linux',
      'annotations',
      'potentiallyUnsafeConfigAnnotations',
    ]);
    expect(Object.keys(document.linux)).toEqual([
      'namespaces',
      'capabilities',
      'cgroup',
      'seccomp',
      'apparmor',
      'selinux',
      'intelRdt',
      'memoryPolicy',
      'mountExtensions',
      'netDevices',
    ]);
    expect(document.linux.capabilities).toEqual(capabilityNames);
    // dockerd and containerd look for it, to make read-only mounts read-only all the way down.
    expect(document.mountOptions).toContain('rro');
  });

  test.each([document.ociVersionMin, document.ociVersionMax])('names a version that is accepted: %s', (version) => {
    accepts((c) => (c.ociVersion = version));
  });

  test.each<string>(document.hooks)('names a hook that is run: %s', (hook) => {
    accepts((c) => (c.hooks = { [hook]: [{ path: '/bin/true' }] }));
  });

  test.each<string>(document.mountOptions)('names a mount option that is no text for the file system: %s', (option) => {
    accepts((c) => (c.mounts[2].options = ['rbind', option]));
  });

  test.each<string>(document.linux.namespaces)('names a namespace that is made: %s', (type) => {
    accepts((c) => {
      if (!c.linux.namespaces.some((entry: Json) => entry.type === type)) c.linux.namespaces.push({ type });
    });
  });

  test.each<string>(document.linux.memoryPolicy.modes)('names a memory policy that is set: %s', (mode) => {
    const nodes = ['MPOL_DEFAULT', 'MPOL_LOCAL'].includes(mode) ? {} : { nodes: '0' };
    accepts((c) => (c.linux.memoryPolicy = { mode, ...nodes }));
  });

  test('says of seccomp whether a filter would be loaded', () => {
    const found = complaints((c) => (c.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW' }));
    expect(found.length === 0).toBe(document.linux.seccomp.enabled);
  });

  test('says of id-mapped mounts whether they would be made', () => {
    const mapping = [{ containerID: 0, hostID: 1000, size: 1 }];
    const found = complaints((c) => Object.assign(c.mounts[2], { uidMappings: mapping, gidMappings: mapping }));
    expect(found.length === 0).toBe(document.linux.mountExtensions.idmap.enabled);
  });

  test('says of resource control whether it would be set up', () => {
    const found = complaints((c) => (c.linux.intelRdt = { closID: 'gold', enableMonitoring: true }));
    expect(found.length === 0).toBe(document.linux.intelRdt.enabled);
    expect(document.linux.intelRdt.monitoring).toBe(document.linux.intelRdt.enabled);
  });
});
