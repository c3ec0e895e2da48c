// How calls fail: a code that programs act on, and a sentence. (google/rpc/code.proto)

import { DecodeError } from '../proto/reader.ts';

export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** A call that failed, on either side. */
export class StatusError extends Error {
  /** One of `Code`. */
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.name = 'StatusError';
    this.code = code;
  }
}

/** By errno(3): EPERM, ENOENT, EACCES, EEXIST. */
const codesOfErrno: Readonly<Record<number, number>> = {
  1: Code.PERMISSION_DENIED,
  2: Code.NOT_FOUND,
  13: Code.PERMISSION_DENIED,
  17: Code.ALREADY_EXISTS,
};

/** Whatever was thrown, as the caller is told of it. */
export function statusOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (!(error instanceof Error)) return new StatusError(Code.UNKNOWN, String(error));
  return new StatusError(codeOf(error), error.message);
}

function codeOf(error: Error): number {
  if (error instanceof DecodeError) return Code.INVALID_ARGUMENT;
  const { errno } = error as { errno?: unknown };
  return (typeof errno === 'number' ? codesOfErrno[errno] : undefined) ?? Code.UNKNOWN;
}
