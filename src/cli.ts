// tsrun under Node: `node dist/cli.js` behaves like dist/tsrun.

import './node/door.ts';

const { sys } = await import('./linux/sys.ts');
const { main } = await import('./cli/main.ts');
const { process } = globalThis as unknown as { process: { argv: readonly string[] } };

sys.exit(await main(process.argv.slice(2)));
