// What a message consists of, as a table, and the types that follow from it.
// (protobuf.dev, "Language Guide (proto 3)", "Scalar Value Types")

import { FIXED64, LENGTH, VARINT } from './wire.ts';

/** A 64-bit integer: a number as long as it is exact, a bigint beyond 2^53. */
export type Long = number | bigint;

interface Scalars {
  string: string;
  bytes: Uint8Array;
  bool: boolean;
  /** Enums too. */
  int32: number;
  uint32: number;
  int64: Long;
  uint64: Long;
  double: number;
}

export type Scalar = keyof Scalars;
export type Type = Scalar | Message;
type Shape = 'repeated' | 'map';

/** Number of the field, type, and whether there is a list of it, or a map to it from strings. */
export type Field = readonly [number: number, type: Type, shape?: Shape];

export type Fields = Readonly<Record<string, Field>>;

/** A field, and what follows from its type. */
export interface Entry {
  readonly key: string;
  readonly number: number;
  readonly type: Type;
  readonly shape: Shape | undefined;
  /** How one value of the type lies in bytes. */
  readonly wire: number;
}

/** A program has many tables and needs few: each is made when it is first asked for. */
export class Message<F extends Fields = Fields> {
  /** With its package, such as `google.protobuf.Any`. */
  readonly name: string;
  private readonly make: () => F;
  private list: readonly Entry[] | undefined;
  private numbers: Map<number, Entry> | undefined;

  constructor(name: string, make: () => F) {
    this.name = name;
    this.make = make;
  }

  /** In the order of the table. */
  get entries(): readonly Entry[] {
    this.list ??= Object.entries(this.make()).map(([key, [number, type, shape]]) => ({
      key,
      number,
      type,
      shape,
      wire: wireTypes[typeof type === 'string' ? type : 'bytes'],
    }));
    return this.list;
  }

  get byNumber(): Map<number, Entry> {
    this.numbers ??= new Map(this.entries.map((entry) => [entry.number, entry]));
    return this.numbers;
  }
}

const wireTypes: Readonly<Record<Scalar, number>> = {
  string: LENGTH,
  bytes: LENGTH,
  bool: VARINT,
  int32: VARINT,
  uint32: VARINT,
  int64: VARINT,
  uint64: VARINT,
  double: FIXED64,
};

/** @param make Gives the table as it stands in the source; the types of its fields are kept. */
export const message = <const F extends Fields>(name: string, make: () => F): Message<F> => new Message(name, make);

type One<T> = T extends Scalar ? Scalars[T] : T extends Message<infer F> ? Decoded<F> : never;
type OneIn<T> = T extends Scalar ? Scalars[T] : T extends Message<infer F> ? Input<F> : never;

type Decoded<F> = {
  readonly [K in keyof F]: F[K] extends readonly [number, infer T, infer S]
    ? S extends 'map'
      ? ReadonlyMap<string, One<T>>
      : readonly One<T>[]
    : F[K] extends readonly [number, infer T]
      ? One<T> | (T extends Scalar ? never : undefined)
      : never;
};

type Input<F> = {
  readonly [K in keyof F]?:
    | undefined
    | (F[K] extends readonly [number, infer T, infer S]
        ? S extends 'map'
          ? ReadonlyMap<string, OneIn<T>>
          : readonly OneIn<T>[]
        : F[K] extends readonly [number, infer T]
          ? OneIn<T>
          : never);
};

/** What `decode` gives: every field is there, absent ones as zero, '', false, empty, or undefined for a message. */
export type ValueOf<M> = M extends Message<infer F> ? Decoded<F> : never;

/** What `encode` takes: fields that are left out are absent. */
export type InputOf<M> = M extends Message<infer F> ? Input<F> : never;
