// Every message of containerd that tsrun knows, the same for protobufjs, and values of them.
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { type Entry, type Field, type Long, Message, type Scalar, type Type } from '../../src/proto/message.ts';
import * as wellKnown from '../../src/proto/well-known.ts';
import * as bootstrap from '../../src/shim/messages/bootstrap.ts';
import * as events from '../../src/shim/messages/events.ts';
import * as metrics from '../../src/shim/messages/metrics.ts';
import * as options from '../../src/shim/messages/options.ts';
import * as task from '../../src/shim/messages/task.ts';
import * as ttrpc from '../../src/ttrpc/messages.ts';

const isMessage = (value: unknown): value is Message => value instanceof Message;

export const messages: readonly Message[] = [wellKnown, bootstrap, events, metrics, options, task, ttrpc].flatMap(
  (module) => Object.values(module as Record<string, unknown>).filter(isMessage),
);

/** The table as protobufjs has it. */
export function peerOf(message: Message): protobuf.Type {
  const root = new protobuf.Root();
  const made = new Map<Message, protobuf.Type>();
  const typeOf = (table: Message): protobuf.Type => {
    const known = made.get(table);
    if (known !== undefined) return known;
    const type = new protobuf.Type(`M${made.size}`);
    made.set(table, type);
    root.add(type);
    for (const { key, number, type: of, shape } of table.entries) {
      const name = typeof of === 'string' ? of : typeOf(of).name;
      if (shape === 'map') type.add(new protobuf.MapField(key, number, 'string', name));
      else type.add(new protobuf.Field(key, number, name, shape === 'repeated' ? 'repeated' : undefined));
    }
    return type;
  };
  const type = typeOf(message);
  root.resolveAll();
  return type;
}

const whole = (low: bigint, high: bigint) =>
  fc
    .oneof(fc.bigInt(low, high), fc.bigInt(low < 0n ? -100n : 0n, 300n))
    .map((value): Long => (Number.isSafeInteger(Number(value)) ? Number(value) : value));

const scalars: Record<Scalar, fc.Arbitrary<unknown>> = {
  string: fc.string({ unit: 'binary' }),
  bytes: fc.uint8Array().map((bytes) => Uint8Array.from(bytes)),
  bool: fc.boolean(),
  int32: fc.oneof(fc.integer(), fc.integer({ min: -3, max: 3 })),
  uint32: fc.oneof(fc.nat(0xffffffff), fc.nat(3)),
  int64: whole(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: whole(0n, 2n ** 64n - 1n),
  double: fc.double(),
};

const one = (type: Type): fc.Arbitrary<unknown> => (typeof type === 'string' ? scalars[type] : valueOf(type));

function fieldOf({ type, shape }: Entry): fc.Arbitrary<unknown> {
  if (shape === 'repeated') return fc.array(one(type), { maxLength: 4 });
  if (shape === 'map')
    return fc.array(fc.tuple(fc.string(), one(type)), { maxLength: 4 }).map((pairs) => new Map(pairs));
  return typeof type === 'string' ? one(type) : fc.option(one(type), { nil: undefined });
}

/** A value in which every field is there, as `decode` gives it. */
export const valueOf = (message: Message): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(Object.fromEntries(message.entries.map((entry) => [entry.key, fieldOf(entry)])));

/** A message that has every type in every shape. */
const inner = new Message('Inner', () => ({ text: [1, 'string'], number: [2, 'uint64'] }));
const types: readonly Type[] = [...(Object.keys(scalars) as Scalar[]), inner];
export const everything = new Message('Everything', () =>
  Object.fromEntries(
    types.flatMap((type, index): [string, Field][] => [
      [`single${index}`, [3 * index + 1, type]],
      // Numbers above 15 take two bytes, above 2047 three.
      [`list${index}`, [3 * index + 2000, type, 'repeated']],
      [`map${index}`, [3 * index + 2 ** 20, type, 'map']],
    ]),
  ),
);

const longOf = (value: unknown): unknown => {
  if (typeof value !== 'number' && typeof value !== 'bigint') return value;
  const bits = BigInt.asUintN(64, BigInt(value));
  return new protobuf.util.Long(Number(bits & 0xffffffffn) | 0, Number(bits >> 32n) | 0);
};

/** A value as protobufjs takes it: its own 64-bit numbers, objects for maps. */
export function forPeer(message: Message, value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const each = (type: Type, item: unknown): unknown => {
    if (typeof type !== 'string') return forPeer(type, item as Record<string, unknown>);
    return type === 'int64' || type === 'uint64' ? longOf(item) : item;
  };
  const result: Record<string, unknown> = {};
  for (const { key, type, shape } of message.entries) {
    const item = value[key];
    if (item === undefined) continue;
    if (shape === 'repeated') result[key] = (item as unknown[]).map((inside) => each(type, inside));
    else if (shape === 'map')
      result[key] = Object.fromEntries(
        Array.from(item as Map<string, unknown>, ([name, inside]) => [name, each(type, inside)]),
      );
    else result[key] = each(type, item);
  }
  return result;
}
