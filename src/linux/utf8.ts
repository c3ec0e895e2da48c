// Text and its bytes. QuickJS has no TextDecoder.

/** The first character that takes one, two, three and four bytes: less in as many is a disguise. */
const shortest = [0, 0x80, 0x800, 0x10000];

/** More arguments than this would not fit on the stack. */
const MOST_AT_ONCE = 4096;

const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text);

/** UTF-8, as the kernel and hooks write it; other bytes become U+FFFD. For short texts, so a loop will do. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes.length <= MOST_AT_ONCE) {
    const text = String.fromCharCode.apply(null, bytes as unknown as number[]);
    if (isAscii(text)) return text;
  }
  return decodeAny(bytes);
}

function decodeAny(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++] ?? 0;
    const more =
      first < 0x80
        ? 0
        : first >= 0xc2 && first < 0xe0
          ? 1
          : first >= 0xe0 && first < 0xf0
            ? 2
            : first >= 0xf0 && first < 0xf5
              ? 3
              : -1;
    let point = more === 0 ? first : first & (0x3f >> more);
    let good = more >= 0;
    for (let i = 0; good && i < more; i++) {
      const next = bytes[at + i] ?? 0;
      good = (next & 0xc0) === 0x80;
      point = (point << 6) | (next & 0x3f);
    }
    good &&= point >= (shortest[more] ?? 0) && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
    if (good) at += more;
    text += good ? String.fromCodePoint(point) : '\ufffd';
  }
  return text;
}

/** UTF-8; half a surrogate pair becomes U+FFFD. */
export function encodeText(text: string): Uint8Array {
  if (!isAscii(text)) return encodeAny(text);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function encodeAny(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of text) {
    let point = char.codePointAt(0) ?? 0;
    if (point >= 0xd800 && point < 0xe000) point = 0xfffd;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
    else
      bytes.push(
        0xf0 | (point >> 18),
        0x80 | ((point >> 12) & 0x3f),
        0x80 | ((point >> 6) & 0x3f),
        0x80 | (point & 0x3f),
      );
  }
  return Uint8Array.from(bytes);
}
