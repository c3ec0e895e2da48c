import { defineConfig } from 'vitest/config';
import { slowness } from './test/harness/wait.ts';

/** scripts/test sets it for CI, and tells at its end what passed at the second try only. */
const retry = Number(process.env['TSRUN_TEST_RETRY'] ?? 0);

// Tests of real containers. Those in test/vm need a whole cgroup v2, which scripts/vm has; those in test/systemd need
// systemd, which `scripts/vm --systemd` has; those in test/engines have scripts/vm to themselves.
const containers = (name: string) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    globalSetup: ['test/harness/global-setup.ts'],
    // Workers are processes: a test of a runtime is about processes, and threads would share theirs.
    pool: 'forks' as const,
    testTimeout: 20_000 * slowness,
    hookTimeout: 20_000 * slowness,
    retry,
  },
});

export default defineConfig({
  test: {
    // The second prints the closing line; see scripts/test.
    reporters: [['default', { summary: false }], './test/reporter.ts'],
    projects: [
      // Properties take as long as the machine is busy.
      { test: { name: 'pure', include: ['test/pure/**/*.test.ts'], testTimeout: 60_000 } },
      { test: { name: 'machine', include: ['test/machine/**/*.test.ts'], testTimeout: 120_000 } },
      containers('native'),
      containers('vm'),
      containers('systemd'),
      containers('engines'),
      containers('containerd'),
    ],
  },
});
