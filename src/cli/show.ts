import { sys } from '../linux/sys.ts';
import { commit, version } from '../version.gen.ts';
import type { InvocationOf } from './args.ts';
import { helpText, versionText } from './help.ts';

export function showHelp({ args }: InvocationOf<'help'>): number {
  sys.writeText(1, helpText(args.command));
  return 0;
}

export function showVersion(): number {
  const [, , architecture = 'unknown'] = sys.kernel();
  sys.writeText(1, versionText({ version, commit, spec: '1.3.0', architecture }));
  return 0;
}
