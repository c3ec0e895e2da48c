// containerd-shim-tsrun-v2: the program that containerd starts for each task, and again when one is gone.

import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { checkFlags, start } from './bootstrap.ts';
import { parseFlags } from './flags.ts';

async function main(words: readonly string[]): Promise<number> {
  const flags = parseFlags(words);
  if (flags.version) return (await import('./about.ts')).showVersion();
  if (flags.info) return (await import('./about.ts')).showInfo();
  checkFlags(flags);
  if (flags.action === 'delete') return (await import('./cleanup.ts')).cleanUp(flags);
  const daemon = start(flags);
  return daemon === undefined ? 0 : (await import('./daemon.ts')).runDaemon(daemon);
}

try {
  sys.exit(await main(sys.args().slice(1)));
} catch (thrown) {
  const error = isSysError(thrown) ? sysError('unexpected failure', thrown) : thrown;
  if (!(error instanceof TsrunError)) throw error;
  sys.writeText(2, `containerd-shim-tsrun-v2: ${error.message}\n`);
  sys.exit(1);
}
