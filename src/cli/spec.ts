import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys } from '../linux/sys.ts';
import { specTemplate } from '../spec/template.ts';
import type { InvocationOf } from './args.ts';

const EEXIST = 17;

export function spec({ flags }: InvocationOf<'spec'>): number {
  const template = specTemplate({ rootless: flags.rootless, uid: sys.userId(), gid: sys.groupId() });
  const file = flags.bundle === undefined ? 'config.json' : `${flags.bundle}/config.json`;
  try {
    sys.createFile(file, JSON.stringify(template, null, '\t'), 0o666);
  } catch (error) {
    if (!isSysError(error)) throw error;
    throw error.errno === EEXIST ? new TsrunError(`${file} exists: remove it first`) : sysError('spec', error);
  }
  return 0;
}
