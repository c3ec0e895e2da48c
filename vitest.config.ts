import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // The second prints the closing line; see scripts/test.
    reporters: [['default', { summary: false }], './test/reporter.ts'],
    projects: [
      { test: { name: 'pure', include: ['test/pure/**/*.test.ts'] } },
      {
        test: {
          name: 'native',
          include: ['test/native/**/*.test.ts'],
          globalSetup: ['test/harness/global-setup.ts'],
          // Workers are processes: a test of a runtime is about processes, and threads would share theirs.
          pool: 'forks',
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
    ],
  },
});
