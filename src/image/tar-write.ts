// Entries to tar headers (POSIX.1-2017 pax), in bytes as text. What does not fit into a header goes before it. Pure.

export interface NewEntry {
  readonly name: string;
  readonly type: '0' | '1' | '2' | '3' | '4' | '5' | '6';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly (readonly [name: string, value: string])[];
}

const ID_MOST = 0o7777777;
const SIZE_MOST = 0o77777777777;

/** The texts to write in order, each padded to whole blocks by whoever writes it. */
export function headersOf(entry: NewEntry): string[] {
  const records: string[] = [];
  const add = (key: string, value: string) => records.push(record(key, value));
  if (entry.name.length > 100) add('path', entry.name);
  if (entry.linkName.length > 100) add('linkpath', entry.linkName);
  if (entry.uid > ID_MOST) add('uid', String(entry.uid));
  if (entry.gid > ID_MOST) add('gid', String(entry.gid));
  if (entry.size > SIZE_MOST) add('size', String(entry.size));
  if (entry.nanoseconds !== 0 || entry.seconds < 0 || entry.seconds > SIZE_MOST)
    add('mtime', timeText(entry.seconds, entry.nanoseconds));
  for (const [name, value] of entry.xattrs) add(`SCHILY.xattr.${name}`, value);
  if (records.length === 0) return [header(entry)];
  const text = records.join('');
  const before = { ...entry, name: 'PaxHeaders.0', mode: 0o644, size: text.length, linkName: '', major: 0, minor: 0 };
  return [header({ ...before, uid: 0, gid: 0, seconds: 0 }, 'x'), text, header(entry)];
}

/** Its length, which counts itself, a blank, the key and the value. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

/** Before 1970 the fraction counts forward from the whole second below, and the number is written as it is. */
function timeText(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, fraction] = seconds < 0 ? [seconds + 1, 1e9 - nanoseconds] : [seconds, nanoseconds];
  const sign = seconds < 0 && whole === 0 ? '-' : '';
  return `${sign}${whole}.${String(fraction).padStart(9, '0')}`;
}

const text = (value: string, size: number): string => value.slice(0, size).padEnd(size, '\0');
const octal = (value: number, size: number, most: number): string =>
  `${Math.min(Math.max(value, 0), most)
    .toString(8)
    .padStart(size - 1, '0')}\0`;

function header(entry: Omit<NewEntry, 'type' | 'xattrs'> & { type: string }, type: string = entry.type): string {
  const front =
    text(entry.name, 100) +
    octal(entry.mode, 8, 0o7777) +
    octal(entry.uid, 8, ID_MOST) +
    octal(entry.gid, 8, ID_MOST) +
    octal(entry.size, 12, SIZE_MOST) +
    octal(entry.seconds, 12, SIZE_MOST);
  const back = `${type}${text(entry.linkName, 100)}ustar\x0000${text('', 64)}${octal(entry.major, 8, ID_MOST)}${octal(entry.minor, 8, ID_MOST)}`;
  let sum = 8 * 32;
  for (let i = 0; i < front.length; i++) sum += front.charCodeAt(i);
  for (let i = 0; i < back.length; i++) sum += back.charCodeAt(i);
  return `${front}${sum.toString(8).padStart(6, '0')}\0 ${back}`.padEnd(512, '\0');
}
