// A map travels as a list of messages with a key in field 1 and a value in field 2. (protobuf.dev, "Encoding", "Maps")

import { message, type Message, type Type } from './message.ts';

const pairs = new Map<Type, Message>();

export function pairOf(type: Type): Message {
  let pair = pairs.get(type);
  if (pair === undefined) {
    pair = message('map', () => ({ key: [1, 'string'], value: [2, type] })) as unknown as Message;
    pairs.set(type, pair);
  }
  return pair;
}
