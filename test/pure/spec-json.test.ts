import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findSyntaxError } from '../../src/spec/json-position.ts';
import { fullConfig, problemsOf } from './spec-samples.ts';

const place = (text: string): string | undefined => {
  const error = findSyntaxError(text);
  return (
    error && `${error.line}:${error.column} ${error.expected}, ${error.found}${error.hint ? ` (${error.hint})` : ''}`
  );
};

describe('the place where JSON ends to be JSON is', () => {
  test.each([
    ['', '1:1 a value, the end of the file'],
    ['  \n ', '2:2 a value, the end of the file'],
    ['{', '1:2 a name in double quotes or }, the end of the file'],
    ['{"a"}', '1:5 a colon, "}"'],
    ['{"a":}', '1:6 a value, "}"'],
    ['{"a":1 "b":2}', '1:8 a comma or }, "\\""'],
    ['{\n  "a": 1,\n}', '3:1 a name in double quotes, "}" (no comma after the last entry)'],
    ['[1, 2,]', '1:7 a value, "]" (no comma after the last entry)'],
    ['[1 2]', '1:4 a comma or ], "2"'],
    ['[1}', '1:3 a comma or ], "}"'],
    ['{}x', '1:3 the end of the file, "x"'],
    ['{} {}', '1:4 the end of the file, "{"'],
    ["{'a': 1}", '1:2 a name in double quotes or }, "\'" (JSON has only double quotes)'],
    ['{a: 1}', '1:2 a name in double quotes or }, "a"'],
    ['{"a": 1, // no\n}', '1:10 a name in double quotes, "/" (JSON has no comments)'],
    ['# no\n{}', '1:1 a value, "#" (JSON has no comments)'],
    ['\ufeff{}', '1:1 a value, "\ufeff" (JSON has no byte order mark)'],
    ['"a', '1:3 the closing double quote of a text, the end of the file'],
    ['"a\nb"', '1:3 no control character in a text, "\\n"'],
    ['"\\x"', '1:3 an escape such as \\n, "x"'],
    ['"\\u12g4"', '1:6 four hexadecimal digits after \\u, "g"'],
    ['[01]', '1:3 a comma or ], "1"'],
    ['[1.]', '1:4 a digit, "]"'],
    ['[1e]', '1:4 a digit, "]"'],
    ['[-]', '1:3 a digit, "]"'],
    ['[+1]', '1:2 a value, "+"'],
    ['[nul]', '1:5 null, "]"'],
    ['[True]', '1:2 a value, "T"'],
    ['[NaN]', '1:2 a value, "N"'],
    ['["🐧", x]', '1:7 a value, "x"'],
    ['[\r\n\t"é" 🐧]', '2:6 a comma or ], "🐧"'],
  ])('that of %j', (text, expected) => {
    expect(place(text)).toBe(expected);
  });

  test('nowhere in JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(findSyntaxError(text)).toBeUndefined();
      }),
    );
    expect(findSyntaxError(JSON.stringify(fullConfig(), null, '\t'))).toBeUndefined();
    expect(findSyntaxError(' [0, -1.5e+10, "\\u00e9\\n\\/", true, false, null, {}, [], {"a": [{}]}] ')).toBeUndefined();
  });

  test('found exactly where JSON.parse fails, for configs with one character deleted, doubled or changed', () => {
    const text = JSON.stringify(fullConfig());
    const edits = fc.tuple(
      fc.nat(text.length - 1),
      fc.constantFrom('', '{', '}', ']', ',', ':', '"', '\\', '0', '\n', 'x'),
    );
    fc.assert(
      fc.property(edits, fc.boolean(), ([index, char], insert) => {
        const edited = text.slice(0, index) + char + text.slice(insert ? index : index + 1);
        let parses = true;
        try {
          JSON.parse(edited);
        } catch {
          parses = false;
        }
        expect(findSyntaxError(edited) === undefined).toBe(parses);
      }),
      { numRuns: 3000 },
    );
  });

  test('never before the first edit of a valid config', () => {
    const text = JSON.stringify(fullConfig());
    fc.assert(
      fc.property(fc.nat(text.length - 1), (index) => {
        const error = findSyntaxError(`${text.slice(0, index)}\u0001${text.slice(index)}`);
        expect(error?.column).toBe(index + 1);
      }),
      { numRuns: 1000 },
    );
  });
});

test('malformed JSON is one problem of the whole file', () => {
  expect(problemsOf('{\n\t"ociVersion": "1.3.0",\n}')).toEqual([
    {
      pointer: '',
      expected: 'a name in double quotes',
      found: '"}" at line 3, column 1',
      hint: 'no comma after the last entry',
    },
  ]);
});
