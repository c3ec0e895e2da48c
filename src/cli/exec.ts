import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import type { ProcessChanges, ProcessFile } from '../spec/exec.ts';
import type { InvocationOf } from './args.ts';
import { checkDescriptors } from './create-options.ts';
import type { Context } from './main.ts';
import { cgroupArgument, parseId, parseUser } from './process-flags.ts';
import { runtimeOf } from './runtime-of.ts';

const FILE_MOST = 16 << 20;
/** As in runc: the smaller numbers are those of the process. */
const FAILED = 255;

type Words = InvocationOf<'exec'>;

export async function exec(words: Words, context: Context): Promise<number> {
  const { flags, args } = words;
  try {
    if (flags.process === undefined && args.command.length === 0)
      throw new TsrunError('process args cannot be empty: give a command behind the id, or --process');
    checkDescriptors(flags.preserveFds);
    return await runtimeOf(context).exec(args.containerId, {
      process: flags.process === undefined ? undefined : readProcess(flags.process),
      changes: changesOf(words),
      detach: flags.detach,
      ignorePaused: flags.ignorePaused,
      cgroup: cgroupArgument(flags.cgroup),
      preserveFds: flags.preserveFds,
      pidFile: flags.pidFile,
      consoleSocket: flags.consoleSocket,
      pidfdSocket: flags.pidfdSocket,
    });
  } catch (thrown) {
    const error = isSysError(thrown) ? sysError('exec', thrown) : thrown;
    if (!(error instanceof TsrunError)) throw error;
    throw new TsrunError(error.message, FAILED);
  }
}

function changesOf({ flags, args }: Words): ProcessChanges {
  const { cwd, apparmor, processLabel } = flags;
  return {
    // As runc: a process.json says all, and a command beside it nothing.
    ...(flags.process === undefined ? { args: args.command } : {}),
    ...(flags.tty ? { terminal: true } : {}),
    ...(cwd === undefined ? {} : { cwd }),
    ...(flags.user === undefined ? {} : { user: parseUser(flags.user) }),
    ...(flags.noNewPrivs ? { noNewPrivileges: true } : {}),
    ...(apparmor === undefined ? {} : { apparmorProfile: apparmor }),
    ...(processLabel === undefined ? {} : { selinuxLabel: processLabel }),
    env: flags.env,
    additionalGids: flags.additionalGids.map((gid) => parseId(gid, 'additional-gids')),
    capabilities: flags.cap,
  };
}

function readProcess(name: string): ProcessFile {
  try {
    return { name, text: sys.readFile(name, FILE_MOST) };
  } catch (error) {
    throw isSysError(error) ? sysError('exec --process', error) : error;
  }
}
