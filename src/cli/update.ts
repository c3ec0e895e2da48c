import { sysError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { parseResources } from '../spec/parse.ts';
import type { LinuxResources } from '../spec/types.ts';
import { parseBytes, parseInteger } from './amounts.ts';
import type { InvocationOf } from './args.ts';
import type { Context } from './main.ts';
import { runtimeOf } from './runtime-of.ts';

const MOST = 16 << 20;

type Flags = InvocationOf<'update'>['flags'];

/** Either a file with all limits, or flags for single ones: as in runc, the file makes the flags mean nothing. */
export async function update({ flags, args }: InvocationOf<'update'>, context: Context): Promise<number> {
  const change = flags.resources === undefined ? fromFlags(flags) : fromFile(flags.resources);
  const schemas = [flags.l3CacheSchema, flags.memBwSchema].filter((line) => line !== undefined);
  await runtimeOf(context).update(args.containerId, change, schemas);
  return 0;
}

function fromFile(file: string): LinuxResources {
  const name = file === '-' ? 'the input' : file;
  try {
    // /dev/stdin would be opened anew, which a socket refuses.
    return parseResources(file === '-' ? sys.readText(0, MOST) : sys.readFile(file, MOST), name);
  } catch (error) {
    throw isSysError(error) ? sysError('update --resources', error) : error;
  }
}

function fromFlags(flags: Flags): LinuxResources {
  const number = (text: string | undefined, flag: string) =>
    text === undefined ? undefined : parseInteger(text, flag, 'update');
  const bytes = (text: string | undefined, flag: string) =>
    text === undefined ? undefined : parseBytes(text, flag, 'update');
  return (
    compact({
      memory: compact({
        limit: bytes(flags.memory, 'memory'),
        reservation: bytes(flags.memoryReservation, 'memory-reservation'),
        swap: bytes(flags.memorySwap, 'memory-swap'),
        kernel: bytes(flags.kernelMemory, 'kernel-memory'),
        kernelTCP: bytes(flags.kernelMemoryTcp, 'kernel-memory-tcp'),
      }),
      cpu: compact({
        shares: number(flags.cpuShare, 'cpu-share'),
        quota: number(flags.cpuQuota, 'cpu-quota'),
        period: number(flags.cpuPeriod, 'cpu-period'),
        burst: number(flags.cpuBurst, 'cpu-burst'),
        idle: number(flags.cpuIdle, 'cpu-idle'),
        realtimePeriod: number(flags.cpuRtPeriod, 'cpu-rt-period'),
        realtimeRuntime: number(flags.cpuRtRuntime, 'cpu-rt-runtime'),
        cpus: flags.cpusetCpus,
        mems: flags.cpusetMems,
      }),
      pids: compact({ limit: number(flags.pidsLimit, 'pids-limit') }),
      blockIO: compact({ weight: number(flags.blkioWeight, 'blkio-weight') }),
    }) ?? {}
  );
}

/** Without what is undefined, and without what is then empty. */
function compact(fields: Record<string, unknown>): Record<string, unknown> | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
