// How calls fail, in the words and with the codes that containerd's clients act on. The text behind the last colon is
// the name of the class, which clients take away again.

import { Code, StatusError } from '../ttrpc/status.ts';

export const notFound = (what: string) => new StatusError(Code.NOT_FOUND, `${what}: not found`);
export const alreadyExists = (what: string) => new StatusError(Code.ALREADY_EXISTS, `${what}: already exists`);
export const refused = (what: string) => new StatusError(Code.FAILED_PRECONDITION, `${what}: failed precondition`);
export const unimplemented = (what: string) => new StatusError(Code.UNIMPLEMENTED, `${what}: not implemented`);
export const invalid = (what: string) => new StatusError(Code.INVALID_ARGUMENT, `${what}: invalid argument`);
/** Something went wrong that has no class. */
export const failed = (what: string) => new StatusError(Code.UNKNOWN, what);

export const alreadyFinished = () => notFound('process already finished');
