// Devices without hardware: something to limit.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'vitest';

function must(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

/** A device of the host that is no part of every kernel: /dev/net/tun, character device 10:200. */
export function tunDevice(): string {
  if (!existsSync('/dev/net/tun')) must('modprobe', 'tun');
  return '/dev/net/tun';
}

/** The numbers of a disk that forgets what is written to it (kernel Documentation/block/null_blk.rst). */
export function nullDisk(): { major: number; minor: number } {
  must('modprobe', 'null_blk', 'nr_devices=1');
  const [major = 0, minor = 0] = readFileSync('/sys/block/nullb0/dev', 'utf8').split(':').map(Number);
  return { major, minor };
}

/** The same disk under the BFQ scheduler, while the test runs: without one that knows weights, the kernel refuses the weight of a device. */
export function weighingDisk(t: TestContext): { major: number; minor: number } {
  const disk = nullDisk();
  must('modprobe', 'bfq');
  const file = '/sys/block/nullb0/queue/scheduler';
  const before = /\[(.*)\]/.exec(readFileSync(file, 'utf8'))?.[1] ?? 'none';
  writeFileSync(file, 'bfq');
  t.onTestFinished(() => writeFileSync(file, before));
  return disk;
}

/** 64 MiB of swap on a disk in memory, while the test runs. */
export function swapInMemory(t: TestContext): void {
  must('modprobe', 'brd', 'rd_nr=1', 'rd_size=65536');
  must('mkswap', '/dev/ram0');
  must('swapon', '/dev/ram0');
  t.onTestFinished(() => must('swapoff', '/dev/ram0'));
}

/** Attributes of `user.` in a directory while the test runs: a tmpfs has them since Linux 6.6, and there a disk comes into it. */
export function withUserAttributes(t: TestContext, dir: string): void {
  if (spawnSync('setfattr', ['-n', 'user.probe', '-v', '1', dir]).status === 0) {
    must('setfattr', '-x', 'user.probe', dir);
    return;
  }
  const disk = `${dir}.disk`;
  must('truncate', '-s', '1G', disk);
  must('mkfs.ext4', '-q', disk);
  must('modprobe', 'loop');
  must('mount', '-o', 'loop', disk, dir);
  t.onTestFinished(() => {
    must('umount', dir);
    rmSync(disk);
  });
}

/** So many free huge pages of 2 MiB, while the test runs. */
export function hugePages(t: TestContext, count: number): void {
  const file = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, String(count));
  t.onTestFinished(() => writeFileSync(file, before));
  const got = Number(readFileSync(file, 'utf8'));
  if (got < count) throw new Error(`the kernel gave ${got} of ${count} huge pages`);
}
