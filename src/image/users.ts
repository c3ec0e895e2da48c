// User of an image's configuration to ids (image-spec config.md, `User`), by the image's own passwd(5) and group(5). Pure.

import { TsrunError } from '../errors.ts';

export interface Ids {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

const ID_MOST = 0xffff_fffe;

/**
 * @param user `user`, `uid`, `user:group`, and all mixtures of names and numbers; '' is root.
 * @param passwd The file's content, '' where there is none.
 * @throws {TsrunError} for a name that the files do not have.
 */
export function findUser(user: string, passwd: string, group: string): Ids {
  const colon = user.indexOf(':');
  const name = colon < 0 ? user : user.slice(0, colon);
  const groupName = colon < 0 ? '' : user.slice(colon + 1);
  const account = findAccount(name === '' ? '0' : name, passwd);
  if (groupName !== '') return { uid: account.uid, gid: findGroup(groupName, group), additionalGids: [] };
  return {
    uid: account.uid,
    gid: account.gid,
    additionalGids: account.name === undefined ? [] : groupsOf(account.name, group, account.gid),
  };
}

const rows = (text: string): string[][] => text.split('\n').map((line) => line.split(':'));

/** A decimal id; undefined for any other text. */
function id(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= ID_MOST ? value : undefined;
}

function findAccount(name: string, passwd: string): { uid: number; gid: number; name: string | undefined } {
  const accounts = rows(passwd);
  // A name goes before a number that looks the same, as in useradd's world digits may be names.
  const row = accounts.find(([login]) => login === name) ?? accounts.find(([, , uid]) => uid === name);
  const [uid, gid] = [id(row?.[2]), id(row?.[3])];
  if (row !== undefined && uid !== undefined && gid !== undefined) return { uid, gid, name: row[0] };
  const number = id(name);
  if (number !== undefined) return { uid: number, gid: 0, name: undefined };
  throw new TsrunError(`the image's user ${JSON.stringify(name)} is not in its /etc/passwd`);
}

function findGroup(name: string, group: string): number {
  const found = id(rows(group).find(([title]) => title === name)?.[2]) ?? id(name);
  if (found === undefined) throw new TsrunError(`the image's group ${JSON.stringify(name)} is not in its /etc/group`);
  return found;
}

function groupsOf(login: string, group: string, own: number): number[] {
  const gids = rows(group)
    .filter(([, , , members = '']) => members.split(',').includes(login))
    .map(([, , gid]) => id(gid))
    .filter((gid) => gid !== undefined && gid !== own);
  return [...new Set(gids as number[])];
}
