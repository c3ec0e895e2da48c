// "Did you mean": the nearest of the words that a field may hold.

/** A hint such as `did you mean "network"?`, or undefined where nothing is near. */
export function suggest(text: string, words: readonly string[]): string | undefined {
  const word = nearest(text.slice(0, 64).toUpperCase(), words);
  return word === undefined ? undefined : `did you mean "${word}"?`;
}

function nearest(text: string, words: readonly string[]): string | undefined {
  if (text === '') return undefined;
  // `nofile` for RLIMIT_NOFILE: the prefix is the most common thing to forget.
  const ending = words.find((word) => word.toUpperCase() === text || word.toUpperCase().endsWith(`_${text}`));
  if (ending !== undefined) return ending;
  const close = least(words, (word) => editDistance(text, word.toUpperCase()));
  // Half of a text of two letters may be wrong, but one letter is no misspelling of another.
  if (close !== undefined && close.score <= Math.ceil(text.length / 3) && close.score < text.length) return close.word;
  // `mnt` for mount, `username` for user.
  const short = words.find((word) => isAbbreviation(text, word.toUpperCase()) || text.startsWith(word.toUpperCase()));
  if (short !== undefined) return short;
  const start = least(words, (word) => -commonStart(text, word.toUpperCase()));
  const enough = Math.max(2, Math.ceil(text.length * 0.6));
  return start !== undefined && -start.score >= enough ? start.word : undefined;
}

function least(words: readonly string[], score: (word: string) => number): { word: string; score: number } | undefined {
  let best: { word: string; score: number } | undefined;
  for (const word of words) {
    const own = score(word);
    if (best === undefined || own < best.score) best = { word, score: own };
  }
  return best;
}

/** The same first letter, and the others in the same order. */
function isAbbreviation(text: string, word: string): boolean {
  if (text.length < 2 || text[0] !== word[0]) return false;
  let at = 0;
  for (const char of text) {
    at = word.indexOf(char, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

function commonStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Insertions, deletions and replacements that lead from one to the other (Levenshtein). */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    above = current;
  }
  return above[b.length] ?? 0;
}
