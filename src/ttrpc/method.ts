// Messages on one side of a method, bytes on the other.

import { decode } from '../proto/decode.ts';
import { encode } from '../proto/encode.ts';
import type { InputOf, Message, ValueOf } from '../proto/message.ts';
import type { Call, Handler } from './server.ts';

/** A call of which the response is known. See `Call`. */
export interface Answer<R extends Message> {
  readonly call: Call;
  reply(response: InputOf<R>): void;
  fail(error: unknown): void;
}

/**
 * A method for the table of a service.
 * @param handle Answers now or later. What it throws is an answer too.
 */
export const method =
  <Q extends Message, R extends Message>(
    request: Q,
    response: R,
    handle: (request: ValueOf<Q>, answer: Answer<R>) => void,
  ): Handler =>
  (call) =>
    handle(decode(request, call.payload), {
      call,
      reply: (value) => call.reply(encode(response, value)),
      fail: (error) => call.fail(error),
    });
