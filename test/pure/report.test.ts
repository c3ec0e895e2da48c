// What the executor answers, as bytes: native/plan/report.h.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeReport } from '../../src/execute/report.ts';

const HEAD = 24;
const [DONE, FAILED, SYNC, PID, FD, BROKEN] = [1, 2, 3, 4, 5, 6] as const;

interface Message {
  readonly kind: number;
  readonly side: number;
  readonly step: number;
  readonly error: number;
  readonly result: number;
  readonly nanoseconds: number;
  readonly detail: Uint8Array;
}

function bytesOf(messages: readonly Message[]): Uint8Array {
  const parts = messages.map(({ kind, side, step, error, result, nanoseconds, detail }) => {
    const part = new Uint8Array(HEAD + detail.length);
    const view = new DataView(part.buffer);
    view.setUint8(0, kind);
    view.setUint8(1, side);
    view.setUint16(2, detail.length, true);
    view.setUint32(4, step, true);
    view.setInt32(8, error, true);
    view.setInt32(12, result, true);
    view.setBigUint64(16, BigInt(nanoseconds), true);
    part.set(detail, HEAD);
    return part;
  });
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const messageOf = (some: Partial<Message>): Message => ({
  kind: DONE,
  side: 0,
  step: 0,
  error: 0,
  result: 0,
  nanoseconds: 0,
  detail: new Uint8Array(0),
  ...some,
});
const reportOf = (...messages: Partial<Message>[]) => decodeReport(bytesOf(messages.map(messageOf)));

const line = fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replaceAll('\0', '.'));
const failureText = fc.tuple(line, line, line);
const message = fc.record({
  kind: fc.constantFrom(DONE, FAILED, SYNC, PID, FD, BROKEN),
  side: fc.nat(1),
  step: fc.nat(1000),
  error: fc.nat(200),
  result: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  nanoseconds: fc.maxSafeNat(),
  detail: fc.oneof(
    failureText.map((texts) => utf8(texts.join('\0'))),
    fc.uint8Array({ maxLength: 40 }),
  ),
});

describe('a report', () => {
  test('without a byte says that nothing went wrong, and nothing else', () => {
    expect(decodeReport(new Uint8Array(0))).toEqual({
      done: [],
      failed: undefined,
      pid: 0,
      pidfd: undefined,
      control: undefined,
      console: undefined,
    });
  });

  test('tells each step that was done, in order', () => {
    expect(
      reportOf(
        { step: 1, result: 1, nanoseconds: 2 ** 40 },
        { step: 7, side: 1, result: -5 },
        { kind: SYNC, side: 1, result: 3 },
      ).done,
    ).toEqual([
      { side: 'host', step: 1, result: 1, nanoseconds: 2 ** 40 },
      { side: 'init', step: 7, result: -5, nanoseconds: 0 },
    ]);
  });

  test('hands over the process and its descriptors, whose numbers may be 0', () => {
    expect(
      reportOf(
        { kind: PID, result: 4242 },
        { kind: FD, step: 0, result: 5 },
        { kind: FD, step: 1, result: 0 },
        { kind: FD, step: 2, result: 9 },
      ),
    ).toMatchObject({ pid: 4242, pidfd: 5, control: 0, console: 9 });
  });

  test('of a failure has call, object and message, each as it was', () => {
    fc.assert(
      fc.property(failureText, fc.constantFrom(FAILED, BROKEN), ([call, object, said], kind) => {
        const { failed } = reportOf({
          kind,
          side: 1,
          step: 3,
          error: 2,
          result: 256,
          detail: utf8(`${call}\0${object}\0${said}`),
        });
        expect(failed).toEqual({
          side: 'init',
          step: 3,
          errno: 2,
          result: 256,
          nanoseconds: 0,
          call,
          object,
          message: said,
          broken: kind === BROKEN,
        });
      }),
    );
  });

  test('of a failure may lack any of the three', () => {
    expect(reportOf({ kind: FAILED, detail: utf8('mount') }).failed).toMatchObject({
      call: 'mount',
      object: '',
      message: '',
    });
    expect(reportOf({ kind: FAILED }).failed).toMatchObject({ call: '', object: '', message: '' });
  });

  test('has the text of the kernel decoded as the Encoding standard does, byte by byte where it is not UTF-8', () => {
    const valid = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '.'));
    fc.assert(
      fc.property(valid, (text) => {
        expect(reportOf({ kind: FAILED, detail: utf8(text) }).failed?.call).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        const text = reportOf({ kind: FAILED, detail: bytes }).failed;
        const joined = [text?.call, text?.object, text?.message].join('');
        // Wrong bytes become U+FFFD, of which the standard may make fewer than one a byte.
        const plain = (some: string) => some.replaceAll('\ufffd', '').replaceAll('\0', '');
        const wanted = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).split('\0').slice(0, 3).join('');
        expect(plain(joined)).toBe(plain(wanted));
        expect(joined).not.toMatch(/[\ud800-\udfff]/u);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong slash of three bytes', [0xe0, 0x80, 0xaf]],
    ['an overlong NUL', [0xe0, 0x80, 0x80]],
    ['an overlong slash of four bytes', [0xf0, 0x80, 0x80, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a number above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['an end in the middle', [0xe2, 0x82]],
    ['a lone continuation', [0x80]],
  ])('does not take for a character: %s', (_, bytes) => {
    const text = reportOf({ kind: FAILED, detail: Uint8Array.from(bytes) }).failed?.call ?? '';
    expect(text).toMatch(/^\ufffd+$/);
  });

  test('is read to its end, and never beyond, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const report = decodeReport(bytesOf(messages));
        expect(report.done.map(({ step }) => step)).toEqual(
          messages.filter(({ kind }) => kind === DONE).map(({ step }) => step),
        );
        const failures = messages.filter(({ kind }) => kind === FAILED || kind === BROKEN);
        expect(report.failed?.step).toBe(failures.at(-1)?.step);
        expect(report.pid).toBe(messages.filter(({ kind }) => kind === PID).at(-1)?.result ?? 0);
      }),
    );
  });

  test('that is cut off at any byte gives what came before, and neither throws nor hangs', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), fc.nat(), (messages, cut) => {
        const bytes = bytesOf(messages);
        const whole = decodeReport(bytes);
        const part = decodeReport(bytes.subarray(0, cut % bytes.length));
        expect(whole.done.slice(0, part.done.length)).toEqual(part.done);
      }),
      { numRuns: 500 },
    );
  });

  test('of any bytes at all neither throws nor hangs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(decodeReport(bytes).done.length).toBeLessThanOrEqual(bytes.length / HEAD);
      }),
      { numRuns: 2000 },
    );
  });

  test('may stand anywhere in a larger buffer', () => {
    const bytes = bytesOf([messageOf({ kind: PID, result: 7 })]);
    const larger = new Uint8Array(bytes.length + 11).fill(0xff);
    larger.set(bytes, 5);
    expect(decodeReport(larger.subarray(5, 5 + bytes.length)).pid).toBe(7);
  });
});
