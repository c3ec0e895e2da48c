import { usageError } from '../errors.ts';
import { sys } from '../linux/sys.ts';
import type { Runtime } from '../runtime.ts';
import { prometheusText } from '../stats/prometheus.ts';
import type { Sample } from '../stats/read.ts';
import { statsJson, statsTable, type Usage, usages } from '../stats/table.ts';
import { parseDuration } from './amounts.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

/** A single look needs two samples as well: CPU use is what changes between them. */
const SINGLE_LOOK_MS = 250;
/** Cursor to the corner, then the rest of the screen empty. console_codes(4) */
const CLEAR = '\x1b[H\x1b[J';

export async function stats({ flags, args }: InvocationOf<'stats'>, context: Context): Promise<number> {
  const runtime = runtimeOf(context);
  const ids = args.containerIds;
  const interval = parseDuration(flags.interval, 'interval', 'stats');
  if (flags.json && flags.prometheus) throw usageError('--json and --prometheus exclude each other', 'stats');
  if (flags.prometheus) {
    sys.writeText(1, prometheusText(await runtime.samples(ids)));
    return 0;
  }
  const before = await runtime.samples(ids);
  if (flags.noStream) {
    sys.poll(new Uint32Array(0), SINGLE_LOOK_MS);
    sys.writeText(1, show(usages(await runtime.samples(ids), before), flags.json));
    return 0;
  }
  return stream(runtime, ids, before, interval, flags.json);
}

const show = (list: readonly Usage[], json: boolean): string => (json ? `${statsJson(list)}\n` : statsTable(list));

/** Until Ctrl-C, or until the last of the named containers ends. */
async function stream(
  runtime: Runtime,
  ids: readonly string[],
  first: readonly Sample[],
  interval: number,
  json: boolean,
): Promise<number> {
  const clear = !json && sys.isTerminal(1) === 1 ? CLEAR : '';
  let before = first;
  let left = ids;
  for (;;) {
    sys.poll(new Uint32Array(0), interval);
    left = left.filter((id) => runtime.isRunning(id));
    if (ids.length > 0 && left.length === 0) return 0;
    const samples = await runtime.samples(left);
    sys.writeText(1, clear + show(usages(samples, before), json));
    before = samples;
  }
}
