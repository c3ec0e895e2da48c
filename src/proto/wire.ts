// How values lie in bytes. (protobuf.dev, "Encoding")

import type { Type } from './message.ts';

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const GROUP_START = 3;
export const GROUP_END = 4;
export const FIXED32 = 5;

export function wireTypeOf(type: Type): number {
  switch (type) {
    case 'string':
    case 'bytes':
      return LENGTH;
    case 'double':
      return FIXED64;
    case 'bool':
    case 'int32':
    case 'uint32':
    case 'int64':
    case 'uint64':
      return VARINT;
    default:
      return LENGTH;
  }
}
