// Lists of CPUs and NUMA nodes as the kernel writes them: `0-3,7` (cpuset(7), List format).

const element = /^(\d{1,5})(?:-(\d{1,5}))?$/;

/**
 * The numbers of a list as a bit mask in words of 32 bits, lowest first. Blanks around elements and empty elements are
 * allowed, as in runc. Undefined for what is no list, is empty, runs backwards, or has a number above `most`.
 */
export function parseNumberList(text: string, most: number): number[] | undefined {
  const words: number[] = [];
  for (const part of text.split(',')) {
    const trimmed = part.trim();
    if (trimmed === '') continue;
    const match = element.exec(trimmed);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (first > last || last > most) return undefined;
    for (let number = first; number <= last; number++) {
      const index = number >>> 5;
      while (words.length <= index) words.push(0);
      words[index] = ((words[index] ?? 0) | (1 << (number & 31))) >>> 0;
    }
  }
  return words.length === 0 ? undefined : words;
}
