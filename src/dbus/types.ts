// Signatures of the D-Bus type system, and the JavaScript values that stand for them.
// (D-Bus Specification, "Type System")

/**
 * y, n, q, i, u, d: number. x, t: bigint (a number is taken too). b: boolean. s, o, g: string. a: array, and for `ay`
 * a Uint8Array is taken too. (…) and {…}: array. v: Variant. h is never used here.
 */
export type Value = number | bigint | boolean | string | Uint8Array | Variant | readonly Value[];

export interface Variant {
  readonly signature: string;
  readonly value: Value;
}

export const variant = (signature: string, value: Value): Variant => ({ signature, value });

/** What the start of a value of this type is padded to, in bytes. */
export function alignmentOf(type: string): number {
  switch (type[0]) {
    case 'y':
    case 'g':
    case 'v':
      return 1;
    case 'n':
    case 'q':
      return 2;
    case 'x':
    case 't':
    case 'd':
    case '(':
    case '{':
      return 8;
    default:
      return 4;
  }
}

/** The complete types of a signature, one by one: `a(sv)u` is `a(sv)` and `u`. */
export function splitTypes(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    const end = endOfType(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

const closing: Readonly<Record<string, string>> = { '(': ')', '{': '}' };

function endOfType(signature: string, start: number): number {
  let at = start;
  while (signature[at] === 'a') at++;
  const close = closing[signature[at] ?? ''];
  if (close === undefined) {
    if (!/^[ybnqiuxtdsogv]$/.test(signature[at] ?? '')) throw new RangeError(`no D-Bus signature: ${signature}`);
    return at + 1;
  }
  for (at += 1; signature[at] !== close; ) at = endOfType(signature, at);
  return at + 1;
}
