// How values lie in bytes: wire types. (protobuf.dev, "Encoding", "Message Structure")

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const GROUP_START = 3;
export const GROUP_END = 4;
export const FIXED32 = 5;
