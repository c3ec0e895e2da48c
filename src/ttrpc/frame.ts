// Frames: ten bytes of header, then data. (containerd/ttrpc PROTOCOL.md, "Message Frame")

/** Of a frame's data. */
export const MOST = 4 << 20;

export const REQUEST = 1;
export const RESPONSE = 2;
export const DATA = 3;

/** The client will send more than the request. */
export const REMOTE_OPEN = 2;

const HEADER = 10;

export interface Frame {
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  /** What the sender said its data has. */
  readonly length: number;
  /** A view of what was fed in, good until that is used again. Undefined where it is longer than allowed: it was passed over. */
  readonly data: Uint8Array | undefined;
}

export function encodeFrame(stream: number, type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  view.setUint32(4, stream);
  view.setUint8(8, type);
  bytes.set(data, HEADER);
  return bytes;
}

/** Stands for the error of both sides: what is too long is refused, and the connection stays. */
export const tooLong = (length: number): string => `message length ${length} exceed maximum message size of ${MOST}`;

/** Bytes as they come in, frames as they become complete. Memory follows what has come, not what was announced. */
export class FrameReader {
  private readonly header = new Uint8Array(HEADER);
  private headerLength = 0;
  private body = new Uint8Array(0);
  private bodyLength = 0;

  feed(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length; ) {
      const missing = HEADER - this.headerLength;
      if (missing > 0) {
        const piece = bytes.subarray(at, at + missing);
        this.header.set(piece, this.headerLength);
        this.headerLength += piece.length;
        at += piece.length;
        if (this.headerLength < HEADER) break;
      }
      const view = new DataView(this.header.buffer);
      const length = view.getUint32(0);
      const piece = bytes.subarray(at, at + length - this.bodyLength);
      at += piece.length;
      const whole = piece.length === length;
      if (!whole) this.keep(piece, length);
      if (!whole && this.bodyLength < length) break;
      frames.push({
        stream: view.getUint32(4),
        type: view.getUint8(8),
        flags: view.getUint8(9),
        length,
        data: length > MOST ? undefined : whole ? piece : this.body.subarray(0, length),
      });
      this.headerLength = 0;
      this.body = new Uint8Array(0);
      this.bodyLength = 0;
    }
    return frames;
  }

  private keep(piece: Uint8Array, length: number): void {
    if (length <= MOST) {
      const needed = this.bodyLength + piece.length;
      if (needed > this.body.length) {
        const grown = new Uint8Array(Math.min(length, 2 * needed));
        grown.set(this.body.subarray(0, this.bodyLength));
        this.body = grown;
      }
      this.body.set(piece, this.bodyLength);
    }
    this.bodyLength += piece.length;
  }
}

/** The first time at which one of the calls of a connection is over; undefined where none has a limit. */
export function firstDeadline(calls: Iterable<{ readonly deadline: number | undefined }>): number | undefined {
  let first: number | undefined;
  for (const { deadline } of calls)
    if (deadline !== undefined && (first === undefined || deadline < first)) first = deadline;
  return first;
}
