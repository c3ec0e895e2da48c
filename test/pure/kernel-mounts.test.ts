// Which mounts of mountinfo must be detached where the root cannot be pivoted.
import { expect, test } from 'vitest';
import { findKernelMounts } from '../../src/execute/facts.ts';

const line = (point: string, type: string, root = '/') =>
  `22 28 0:21 ${root} ${point} rw,nosuid shared:7 - ${type} ${type} rw`;

test('whole procfs and sysfs mounts are found, and no others', () => {
  const mountinfo = [line('/', 'ext4'), line('/proc', 'proc'), line('/sys', 'sysfs'), line('/a', 'proc', '/sys')];
  expect(findKernelMounts(mountinfo.join('\n'))).toEqual(['/proc', '/sys']);
});

test('escaped characters of a mount point are themselves again', () => {
  expect(findKernelMounts(line('/a\\040b\\134c', 'proc'))).toEqual(['/a b\\c']);
});

test('a mount point below another goes with it, and one over another must go like it', () => {
  const mountinfo = [line('/x', 'proc'), line('/x/y', 'sysfs'), line('/xy', 'sysfs'), line('/xy', 'sysfs')];
  expect(findKernelMounts(mountinfo.join('\n'))).toEqual(['/x', '/xy', '/xy']);
});
