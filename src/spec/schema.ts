// The kinds of rules that the tables in config-schema.ts are made of. Plain data, read by walk.ts.

export const TEXT = 0;
export const CHOICE = 1;
export const INTEGER = 2;
export const BOOLEAN = 3;
export const LIST = 4;
export const MAP = 5;
export const RECORD = 6;

/** `expected` is a phrase that follows "expected" in a message. */
export interface TextSchema {
  readonly kind: typeof TEXT;
  readonly expected: string;
  readonly test: (text: string) => boolean;
}

export interface ChoiceSchema {
  readonly kind: typeof CHOICE;
  readonly words: readonly string[];
}

export interface IntegerSchema {
  readonly kind: typeof INTEGER;
  readonly expected: string;
  readonly min: number;
  readonly max: number;
}

export interface BooleanSchema {
  readonly kind: typeof BOOLEAN;
}

export interface ListSchema {
  readonly kind: typeof LIST;
  readonly expected: string;
  readonly item: Schema;
  /** Least number of items. */
  readonly min: number;
}

/** An object whose keys are data; they are never empty. */
export interface MapSchema {
  readonly kind: typeof MAP;
  readonly expected: string;
  readonly value: Schema;
}

/** An object with named fields. Others are ignored, as the specification demands (config.md#extensibility). */
export interface RecordSchema {
  readonly kind: typeof RECORD;
  readonly fields: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
}

export type Schema = TextSchema | ChoiceSchema | IntegerSchema | BooleanSchema | ListSchema | MapSchema | RecordSchema;
