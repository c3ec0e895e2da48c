// The files of an archive that lies in one file: where each begins. Only headers are read.

import { TsrunError } from '../errors.ts';
import { sys } from '../linux/sys.ts';
import { type Entry, EntryReader, type TarSource } from './entries.ts';
import type { Region } from './source.ts';

/** The place of a file by its name; undefined where the archive has none. */
export type ArchiveIndex = (name: string) => Omit<Region, 'fd'> | undefined;

const BLOCK = 512;
const LINKS_MOST = 8;
const FILES_MOST = 10_000;

/** @throws {TsrunError} for what is no tar archive. */
export function indexArchive({ fd, size }: Region, what: string): ArchiveIndex {
  const files = new Map<string, Omit<Region, 'fd'>>();
  const links = new Map<string, string>();
  const source = new FileSource(fd);
  const reader = new EntryReader(source);
  try {
    for (let entry: Entry | undefined; (entry = reader.next()) !== undefined; source.skip(entry.size)) {
      const name = clean(entry.name);
      if (entry.type === '0') files.set(name, { offset: source.at, size: entry.size });
      // Old versions of Docker save a layer that an image has twice as a link to the first.
      if (entry.type === '2') links.set(name, join(name, entry.linkName));
      if (entry.type === '1') links.set(name, clean(entry.linkName));
      if (files.size + links.size > FILES_MOST) throw new RangeError(`more than ${FILES_MOST} files`);
    }
    for (const place of files.values())
      if (place.offset + place.size > size) throw new RangeError('an archive that is cut off');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TsrunError(`${what}: not a readable tar archive: ${error.message}`);
  }
  return (name) => {
    let now = clean(name);
    for (let i = 0; i < LINKS_MOST && !files.has(now); i++) now = links.get(now) ?? now;
    return files.get(now);
  };
}

/** Names in such an archive lead nowhere but into this index. */
const clean = (name: string): string =>
  name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');

function join(name: string, target: string): string {
  const parts = name.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

class FileSource implements TarSource {
  private readonly fd: number;
  at = 0;

  constructor(fd: number) {
    this.fd = fd;
  }

  header(): string {
    const block = sys.readAt(this.fd, this.at, BLOCK);
    if (/^\0*$/.test(block)) return '';
    if (block.length < BLOCK) throw new RangeError('an archive that is cut off');
    if (!sumIsRight(block)) throw new RangeError('no tar header where one should be; is the archive compressed?');
    this.at += BLOCK;
    return block;
  }

  text(size: number): string {
    const text = sys.readAt(this.fd, this.at, size);
    this.skip(size);
    return text;
  }

  skip(size: number): void {
    this.at += Math.ceil(size / BLOCK) * BLOCK;
  }
}

function sumIsRight(block: string): boolean {
  let sum = 8 * 32;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block.charCodeAt(i);
  return Number.parseInt(block.slice(148, 156), 8) === sum;
}
