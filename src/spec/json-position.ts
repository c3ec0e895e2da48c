// Where JSON text stops being JSON (RFC 8259). V8 and QuickJS word their SyntaxErrors differently, and neither of them
// always tells the place; so this scans again, only after JSON.parse has failed. Iterative: any depth will do.

export interface JsonSyntaxError {
  /** Both count from 1; a column is a Unicode character. */
  readonly line: number;
  readonly column: number;
  readonly expected: string;
  /** The character there, as JSON, or `the end of the file`. */
  readonly found: string;
  readonly hint?: string;
}

interface Failure {
  readonly at: number;
  readonly expected: string;
  readonly hint?: string;
}

/** The first thing in `text` that is not JSON, or undefined if all of it is. */
export function findSyntaxError(text: string): JsonSyntaxError | undefined {
  const failure = scan(text);
  if (failure === undefined) return undefined;
  const before = text.slice(0, failure.at).split('\n');
  const point = text.codePointAt(failure.at);
  const hint = failure.hint ?? hintFor(text, failure.at);
  const error = {
    line: before.length,
    column: [...(before[before.length - 1] ?? '')].length + 1,
    expected: failure.expected,
    found: point === undefined ? 'the end of the file' : JSON.stringify(String.fromCodePoint(point)),
  };
  return hint === undefined ? error : { ...error, hint };
}

function scan(text: string): Failure | undefined {
  /** The closing brackets that are due, innermost last. */
  const due: ('}' | ']')[] = [];
  let at = skipSpace(text, 0);
  for (;;) {
    const char = text[at];
    if (char === '{' || char === '[') {
      const close = char === '{' ? '}' : ']';
      at = skipSpace(text, at + 1);
      if (text[at] !== close) {
        due.push(close);
        if (close === ']') continue;
        const value = skipName(text, at, 'a name in double quotes or }');
        if (typeof value !== 'number') return value;
        at = value;
        continue;
      }
      at++;
    } else {
      const end = skipScalar(text, at);
      if (typeof end !== 'number') return end;
      at = end;
    }
    at = skipSpace(text, at);
    while (due.length > 0 && text[at] === due[due.length - 1]) {
      due.pop();
      at = skipSpace(text, at + 1);
    }
    const close = due[due.length - 1];
    if (close === undefined) return at === text.length ? undefined : { at, expected: 'the end of the file' };
    if (text[at] !== ',') return { at, expected: `a comma or ${close}` };
    at = skipSpace(text, at + 1);
    if (text[at] === close) {
      const expected = close === '}' ? 'a name in double quotes' : 'a value';
      return { at, expected, hint: 'no comma after the last entry' };
    }
    if (close === '}') {
      const value = skipName(text, at, 'a name in double quotes');
      if (typeof value !== 'number') return value;
      at = value;
    }
  }
}

/** From a name to where its value should be. */
function skipName(text: string, start: number, expected: string): number | Failure {
  if (text[start] !== '"') return { at: start, expected };
  const end = skipString(text, start);
  if (typeof end !== 'number') return end;
  const colon = skipSpace(text, end);
  return text[colon] === ':' ? skipSpace(text, colon + 1) : { at: colon, expected: 'a colon' };
}

function skipScalar(text: string, start: number): number | Failure {
  const char = text[start];
  if (char === '"') return skipString(text, start);
  if (char === '-' || isDigit(char)) return skipNumber(text, start);
  const word = ['true', 'false', 'null'].find((known) => known[0] === char);
  if (word === undefined) return { at: start, expected: 'a value' };
  for (let i = 1; i < word.length; i++) if (text[start + i] !== word[i]) return { at: start + i, expected: word };
  return start + word.length;
}

function skipString(text: string, start: number): number | Failure {
  for (let at = start + 1; ; at++) {
    const char = text[at];
    if (char === '"') return at + 1;
    if (char === undefined) return { at, expected: 'the closing double quote of a text' };
    if (char < ' ') return { at, expected: 'no control character in a text' };
    if (char !== '\\') continue;
    at++;
    const escaped = text[at];
    if (escaped === 'u') {
      for (let digit = 0; digit < 4; digit++) {
        at++;
        if (!isHexDigit(text[at])) return { at, expected: 'four hexadecimal digits after \\u' };
      }
    } else if (escaped === undefined || !'"\\/bfnrt'.includes(escaped)) {
      return { at, expected: 'an escape such as \\n' };
    }
  }
}

function skipNumber(text: string, start: number): number | Failure {
  const first = text[start] === '-' ? start + 1 : start;
  if (!isDigit(text[first])) return { at: first, expected: 'a digit' };
  // A number that starts with 0 ends there: 007 is no JSON.
  let at = text[first] === '0' ? first + 1 : skipDigits(text, first);
  if (text[at] === '.') {
    if (!isDigit(text[at + 1])) return { at: at + 1, expected: 'a digit' };
    at = skipDigits(text, at + 1);
  }
  if (text[at] === 'e' || text[at] === 'E') {
    at += text[at + 1] === '+' || text[at + 1] === '-' ? 2 : 1;
    if (!isDigit(text[at])) return { at, expected: 'a digit' };
    at = skipDigits(text, at);
  }
  return at;
}

function skipDigits(text: string, start: number): number {
  let at = start;
  while (isDigit(text[at])) at++;
  return at;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\t' || text[at] === '\r') at++;
  return at;
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

function isHexDigit(char: string | undefined): boolean {
  return char !== undefined && '0123456789abcdefABCDEF'.includes(char);
}

function hintFor(text: string, at: number): string | undefined {
  if (text.startsWith('//', at) || text.startsWith('/*', at) || text[at] === '#') return 'JSON has no comments';
  if (text[at] === "'") return 'JSON has only double quotes';
  if (text[at] === '\ufeff') return 'JSON has no byte order mark';
  return undefined;
}
