// Once per `vitest run`, before the workers: what every file needs, and a plain sentence when it is not there.
import { existsSync } from 'node:fs';
import { hasUnifiedCgroups } from './host.ts';
import { buildProbes, busybox } from './rootfs.ts';
import { runtime } from './runtime.ts';

export default function setup(): void {
  const program = runtime.command.at(-1) ?? '';
  if (!existsSync(program))
    throw new Error(`TSRUN_TEST_RUNTIME=${runtime.name}: ${program} does not exist; npm run build makes tsrun's own`);
  if (!existsSync(busybox)) throw new Error('busybox is missing: apt-get install busybox-static');
  if (process.geteuid?.() !== 0) console.warn('native tests need root: all of them will be skipped');
  else if (!hasUnifiedCgroups())
    console.warn('native tests need cgroup v2 at /sys/fs/cgroup: start them through scripts/in-unified-cgroup');
  buildProbes();
  console.log(`tests of ${runtime.name}: ${runtime.command.join(' ')}`);
}
