// What a message consists of, as a table, and the types that follow from it.
// (protobuf.dev, "Language Guide (proto 3)", "Scalar Value Types")

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

/** Number of the field, type, and whether there is a list of it, or a map to it from strings. */
export type Field = readonly [number: number, type: Type, shape?: 'repeated' | 'map'];

export type Fields = Readonly<Record<string, Field>>;

export interface Message<F extends Fields = Fields> {
  /** With its package, such as `google.protobuf.Any`. */
  readonly name: string;
  readonly fields: F;
}

/** A table as it stands in the source, with the types of its fields kept. */
export const message = <const F extends Fields>(name: string, fields: F): Message<F> => ({ name, fields });

type One<T> = T extends Scalar ? Scalars[T] : T extends Message<infer F> ? Decoded<F> : never;
type OneIn<T> = T extends Scalar ? Scalars[T] : T extends Message<infer F> ? Input<F> : never;

type Decoded<F> = {
  readonly [K in keyof F]: F[K] extends readonly [number, infer T, infer Shape]
    ? Shape extends 'map'
      ? ReadonlyMap<string, One<T>>
      : readonly One<T>[]
    : F[K] extends readonly [number, infer T]
      ? One<T> | (T extends Scalar ? never : undefined)
      : never;
};

type Input<F> = {
  readonly [K in keyof F]?:
    | undefined
    | (F[K] extends readonly [number, infer T, infer Shape]
        ? Shape extends 'map'
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
