import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { capture } from '../linux/capture.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

/** As runc: the host's ps(1), of which the lines of the container's processes are kept. */
export function ps({ flags, args }: InvocationOf<'ps'>, context: Context): number {
  const pids = runtimeOf(context).processes(args.containerId);
  if (flags.format === 'json') {
    sys.writeText(1, `${JSON.stringify(pids)}\n`);
    return 0;
  }
  const options = args.psOptions.length === 0 ? ['-ef'] : args.psOptions;
  sys.writeText(1, keep(runPs(options), new Set(pids.map(String)), options));
  return 0;
}

function runPs(options: readonly string[]): string {
  try {
    const { text, status } = capture('ps', options);
    if (status !== 0) throw new TsrunError(`ps ${options.join(' ')} failed with exit status ${status >> 8}`);
    return text;
  } catch (error) {
    throw isSysError(error) ? sysError('ps', error) : error;
  }
}

function keep(text: string, pids: ReadonlySet<string>, options: readonly string[]): string {
  const [head = '', ...lines] = text.split('\n');
  const column = words(head).indexOf('PID');
  if (column < 0) throw new TsrunError(`ps ${options.join(' ')} shows no column PID, by which processes are chosen`);
  const kept = lines.filter((line) => pids.has(words(line)[column] ?? ''));
  return [head, ...kept].map((line) => `${line}\n`).join('');
}

const words = (line: string): string[] => line.split(/\s+/).filter((word) => word !== '');
