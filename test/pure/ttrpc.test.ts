// Both ends of ttrpc: with each other, with bytes that containerd 1.6 was seen to send, and with what nobody should send.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/proto/encode.ts';
import { decode } from '../../src/proto/decode.ts';
import { Empty, Timestamp } from '../../src/proto/well-known.ts';
import { method } from '../../src/ttrpc/method.ts';
import { Request, Response } from '../../src/ttrpc/messages.ts';
import { StatusError, statusOf } from '../../src/ttrpc/status.ts';
import { bytes, call, concat, dial, header, hex, serve, text } from './ttrpc-harness.ts';

const MOST = 4 << 20;

const request = (stream: number, fields: object = {}, flags = 0): Uint8Array => {
  const data = encode(Request, { service: 'a.Service', method: 'Do', ...fields });
  return concat([header(data.length, stream, 1, flags), data]);
};

/** Answers as `stream: payload` or `stream: code sentence`. */
function answers(frames: readonly Uint8Array[]): string[] {
  return frames.map((frame) => {
    const view = Buffer.from(frame);
    expect(view.readUInt32BE(0)).toBe(frame.length - 10);
    expect([view[8], view[9]]).toEqual([2, 0]);
    const { status, payload } = decode(Response, frame.subarray(10));
    const said = status === undefined ? Buffer.from(payload).toString() : `${status.code} ${status.message}`;
    return `${view.readUInt32BE(4)}: ${said}`;
  });
}

describe('a call', () => {
  test('reaches the handler whole, and its answer the client', () => {
    const { server, calls, woken } = serve();
    const { client } = dial();
    const metadata = [
      { key: 'a', value: '1' },
      { key: 'a', value: '2' },
    ];
    const one = call(client, { payload: text('question'), metadata });
    const other = call(client);
    server.feed(concat(client.take()));
    expect(calls[0]).toMatchObject({ service: 'a.Service', method: 'Do', metadata, over: false });
    expect(Buffer.from(calls[0]?.payload ?? []).toString()).toBe('question');
    expect(server.inFlight).toBe(2);
    calls[1]?.reply(text('second'));
    calls[0]?.reply(text('first'));
    expect(woken()).toBe(1);
    client.feed(concat(server.take()));
    expect([one.outcome, other.outcome]).toEqual(['first', 'second']);
    expect([server.inFlight, client.inFlight]).toEqual([0, 0]);
  });

  test('is answered once: what comes after the first answer is nothing', () => {
    const { server, calls } = serve();
    server.feed(request(1));
    calls[0]?.reply(text('yes'));
    calls[0]?.fail(new Error('no'));
    calls[0]?.reply(text('again'));
    expect(answers(server.take())).toEqual(['1: yes']);
    expect(calls[0]?.over).toBe(true);
  });

  test('may come in pieces of any size', () => {
    const { client } = dial();
    for (let i = 0; i < 5; i++) call(client, { payload: text('x'.repeat(50 * i)) });
    const all = concat(client.take());
    fc.assert(
      fc.property(fc.array(fc.nat(all.length), { maxLength: 20 }), (cuts) => {
        const { server, calls } = serve();
        const places = [0, ...cuts.toSorted((a, b) => a - b), all.length];
        for (const [index, place] of places.entries()) server.feed(all.slice(places[index - 1] ?? 0, place));
        expect(calls.map(({ payload }) => payload.length)).toEqual([0, 50, 100, 150, 200]);
      }),
    );
  });

  test.each([
    [new StatusError(9, 'cannot delete a running process'), '9 cannot delete a running process'],
    [Object.assign(new Error('gone'), { errno: 2 }), '5 gone'],
    [Object.assign(new Error('there'), { errno: 17 }), '6 there'],
    [Object.assign(new Error('not you'), { errno: 1 }), '7 not you'],
    [Object.assign(new Error('not you'), { errno: 13 }), '7 not you'],
    [Object.assign(new Error('busy'), { errno: 16 }), '2 busy'],
    [new Error('whatever'), '2 whatever'],
    ['a word', '2 a word'],
  ])('fails with a code that fits what was thrown: %s', (thrown, expected) => {
    const { client } = dial();
    const { server } = serve({
      'an.Other': {
        Do: () => {
          throw thrown;
        },
      },
    });
    const result = call(client, { service: 'an.Other' });
    server.feed(concat(client.take()));
    client.feed(concat(server.take()));
    expect(result.outcome).toBe(expected);
    expect(statusOf(thrown).message).toBe(expected.slice(2));
  });

  test('of a service or method that is not there is unimplemented, whatever its name', () => {
    const { server } = serve();
    for (const [index, service] of ['b.Service', 'constructor', '__proto__', ''].entries())
      server.feed(request(1 + 2 * index, { service }));
    server.feed(request(9, { method: 'toString' }));
    server.feed(request(11, {}, 2));
    expect(answers(server.take())).toEqual([
      '1: 12 service b.Service',
      '3: 12 service constructor',
      '5: 12 service __proto__',
      '7: 12 service ',
      '9: 12 method toString',
      '11: 12 method Do is not a stream',
    ]);
  });
});

describe('a method', () => {
  const { server } = serve({
    'an.Other': {
      Later: method(Timestamp, Timestamp, ({ seconds }, answer) => answer.reply({ seconds: Number(seconds) + 1 })),
      Nothing: method(Empty, Empty, (_request, answer) => answer.reply({})),
      Fail: method(Empty, Empty, (_request, answer) => answer.fail(new StatusError(5, 'not here'))),
    },
  });

  test('has messages on its side', () => {
    server.feed(request(1, { service: 'an.Other', method: 'Later', payload: encode(Timestamp, { seconds: 5 }) }));
    const [frame = new Uint8Array(0)] = server.take();
    expect(decode(Timestamp, decode(Response, frame.subarray(10)).payload).seconds).toBe(6);
  });

  test('without a response gives a frame without data', () => {
    server.feed(request(3, { service: 'an.Other', method: 'Nothing' }));
    expect(server.take().map(hex)).toEqual(['00000000000000030200']);
  });

  test('may fail', () => {
    server.feed(request(5, { service: 'an.Other', method: 'Fail' }));
    expect(answers(server.take())).toEqual(['5: 5 not here']);
  });

  test('refuses a payload that is no message', () => {
    server.feed(request(7, { service: 'an.Other', method: 'Later', payload: bytes('08') }));
    expect(answers(server.take())).toEqual(['7: 3 google.protobuf.Timestamp.seconds: the message ends early']);
  });
});

describe('time', () => {
  test('that has passed ends the call on both sides', () => {
    const { server, calls, clock } = serve();
    const { client, clock: ours } = dial();
    const result = call(client, { timeout: 2000 });
    call(client);
    expect(client.deadline).toBe(3000);
    server.feed(concat(client.take()));
    let cancelled = 0;
    for (const each of calls) each.onCancel = () => cancelled++;
    expect(server.deadline).toBe(3000);

    clock.now = ours.now = 2999;
    server.expire();
    client.expire();
    expect([server.inFlight, client.inFlight, cancelled]).toEqual([2, 2, 0]);

    clock.now = ours.now = 3000;
    server.expire();
    expect([server.inFlight, server.deadline, cancelled, calls[0]?.over]).toEqual([1, undefined, 1, true]);
    calls[0]?.reply(text('too late'));
    expect(answers(server.take())).toEqual(['1: 4 context deadline exceeded']);
    client.expire();
    expect(result.outcome).toBe('4 context deadline exceeded');
    expect([client.inFlight, client.deadline]).toEqual([1, undefined]);
  });

  test('an answer that comes after it is ignored', () => {
    const { server, calls } = serve();
    const { client, clock } = dial();
    const result = call(client, { timeout: 10 });
    server.feed(concat(client.take()));
    calls[0]?.reply(text('late'));
    clock.now = 2000;
    client.expire();
    client.feed(concat(server.take()));
    expect(result.outcome).toBe('4 context deadline exceeded');
  });

  test.each([
    [-1n, 999.999999],
    [-(2n ** 63n), 1000 - 2 ** 63 / 1e6],
    [2n ** 63n - 1n, 1000 + 2 ** 63 / 1e6],
    [1n, 1000.000001],
  ])('may be any number: %s ns', (timeoutNano, deadline) => {
    const { server } = serve();
    server.feed(request(1, { timeoutNano }));
    expect(server.deadline).toBeCloseTo(deadline, 5);
  });
});

describe('the end of a connection', () => {
  test('ends what waits, and tells who asked', () => {
    const { server, calls } = serve();
    server.feed(concat([request(1), request(3), request(5)]));
    const cancelled: string[] = [];
    for (const [index, each] of calls.entries()) each.onCancel = () => cancelled.push(`${index} ${each.over}`);
    calls[1]?.reply(text('in time'));
    server.closed();
    expect(cancelled).toEqual(['0 true', '2 true']);
    calls[0]?.reply(text('too late'));
    expect([server.take(), server.inFlight]).toEqual([[], 0]);
  });

  test('fails the calls of a client, those to come too', () => {
    const { client } = dial();
    const before = call(client);
    client.closed();
    const after = call(client);
    expect([before.outcome, after.outcome]).toEqual(['14 ttrpc: closed', '14 ttrpc: closed']);
    expect(client.take()).toEqual([]);
  });
});

describe('a message of more than 4 MiB', () => {
  test('is passed over and refused, and the connection goes on', () => {
    const { server, calls } = serve();
    server.feed(header(MOST + 1, 1, 1));
    for (let left = MOST + 1; left > 0; left -= 65536) server.feed(new Uint8Array(Math.min(left, 65536)));
    server.feed(request(3));
    expect(answers(server.take())).toEqual([`1: 8 message length ${MOST + 1} exceed maximum message size of ${MOST}`]);
    expect(calls.length).toBe(1);
  });

  test('is not sent: by a client it fails, from a server the refusal goes', () => {
    const { server, calls } = serve();
    const { client } = dial();
    const result = call(client, { payload: new Uint8Array(MOST) });
    expect(result.outcome).toMatch(/^8 message length \d+ exceed maximum message size of 4194304$/);
    expect(client.take()).toEqual([]);
    server.feed(request(1));
    calls[0]?.reply(new Uint8Array(MOST));
    expect(answers(server.take())).toEqual(['1: 8 message length 4194309 exceed maximum message size of 4194304']);
  });

  test('as an answer fails the call that it is for', () => {
    const { client } = dial();
    const result = call(client);
    client.feed(concat([header(MOST + 1, 1, 2), new Uint8Array(MOST + 1)]));
    expect(result.outcome).toBe(`8 message length ${MOST + 1} exceed maximum message size of ${MOST}`);
  });

  test('of exactly 4 MiB is taken', () => {
    const { server, calls } = serve();
    const around = encode(Request, { service: 'a.Service', method: 'Do' }).length + 5;
    const whole = request(1, { payload: new Uint8Array(MOST - around) });
    expect(whole.length).toBe(MOST + 10);
    for (let at = 0; at < whole.length; at += 100_000) server.feed(whole.slice(at, at + 100_000));
    expect(calls[0]?.payload.length).toBe(MOST - around);
  });

  test('that is only announced takes no memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    const servers = Array.from({ length: 200 }, () => {
      const { server } = serve();
      server.feed(header(MOST, 1, 1));
      server.feed(new Uint8Array(10));
      return server;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    expect(servers.length).toBe(200);
  });
});

describe('frames that are not as they should be', () => {
  const odd = 'StreamID must be odd for client initiated streams';
  const again = 'StreamID cannot be re-used and must increment';
  test.each([
    ['an even stream', [request(2)], [`2: 3 ${odd}`]],
    ['stream 0', [request(0)], [`0: 3 ${odd}`]],
    ['a stream again', [request(5), request(5), request(3)], [`5: 3 ${again}`, `3: 3 ${again}`]],
    ['no request', [concat([header(2, 1, 1), bytes('0aff')])], ['1: 3 ttrpc.Request.service: the message ends early']],
    ['an unknown type', [header(0, 1, 0), header(0, 1, 9), header(0, 1, 255, 255)], []],
    ['a response', [concat([header(0, 1, 2)])], []],
    ['data for no call', [header(0, 7, 3, 5)], ['7: 3 StreamID is no longer active']],
    ['data for a call', [request(1), header(0, 1, 3)], ['1: 3 StreamID is no longer active']],
    ['an empty request', [header(0, 1, 1)], ['1: 12 service ']],
  ])('%s', (_name, frames, expected) => {
    const { server, calls } = serve();
    for (const frame of frames) server.feed(frame);
    expect(answers(server.take())).toEqual(expected);
    server.feed(request(0xffffffff));
    calls.at(-1)?.reply(text('still there'));
    expect(answers(server.take())).toEqual(['4294967295: still there']);
  });

  test('from a server do a client no harm', () => {
    const { client } = dial();
    const result = call(client);
    client.feed(
      concat([header(0, 7, 2), header(0, 1, 1), header(0, 1, 3), header(0, 1, 77), header(1, 1, 2), bytes('0a')]),
    );
    expect(result.outcome).toBe('13 ttrpc.Response.status: the message ends early');
    client.feed(header(0, 1, 2));
  });
});

describe('what a fuzzer sends', () => {
  const anyFrame = fc
    .record({
      length: fc.option(fc.nat(0xffffffff), { nil: undefined }),
      stream: fc.oneof(fc.nat(20), fc.nat(0xffffffff)),
      type: fc.oneof(fc.constantFrom(1, 2, 3), fc.nat(255)),
      flags: fc.oneof(fc.constantFrom(0, 1, 2, 5), fc.nat(255)),
      data: fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc
          .record({
            service: fc.constantFrom('a.Service', 'toString', ''),
            method: fc.constantFrom('Do', 'Fail', 'valueOf'),
            payload: fc.uint8Array({ maxLength: 20 }),
            timeoutNano: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
          })
          .map((fields) => encode(Request, fields)),
      ),
    })
    .map(({ length, stream, type, flags, data }) => concat([header(length ?? data.length, stream, type, flags), data]));

  test('neither breaks a server nor makes it wait or forget', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 30 }), fc.nat(3), (frames, answered) => {
        const { server, calls, clock } = serve();
        for (const frame of frames) {
          server.feed(frame);
          if (calls.length % 4 === answered) calls.at(-1)?.reply(text('ok'));
          clock.now += 10;
          server.expire();
        }
        answers(server.take());
        expect(server.inFlight).toBe(calls.filter(({ over }) => !over).length);
        server.closed();
        expect([server.inFlight, server.take()]).toEqual([0, []]);
      }),
      { numRuns: 2000 },
    );
  });

  test('ends each call of a client once', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 30 }), (frames) => {
        const { client } = dial();
        const results = Array.from({ length: 8 }, () => call(client));
        for (const frame of frames) client.feed(frame);
        client.closed();
        expect(results.every(({ outcome }) => outcome !== undefined)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
