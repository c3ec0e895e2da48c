// A connection to a message bus, or to a peer that speaks like one. Everything blocks: there is one caller.

import { TsrunError } from '../errors.ts';
import { POLLIN } from '../linux/flags.ts';
import { sys } from '../linux/sys.ts';
import { decodeText, encodeText } from '../linux/utf8.ts';
import { type Call, decode, encodeCall, ERROR, type Message, RETURN, SIGNAL, sizeOf } from './message.ts';
import type { Value } from './types.ts';

/** systemd's jobs wait for each other; runc waits as long. */
const TIMEOUT_MS = 30_000;

/** A call that was answered with an error. */
export class DbusError extends TsrunError {
  /** Such as `org.freedesktop.systemd1.NoSuchUnit`. */
  readonly errorName: string;
  constructor(member: string, errorName: string, text: string) {
    super(`D-Bus call ${member}: ${text} (${errorName})`);
    this.errorName = errorName;
  }
}

export class Connection {
  private readonly fd: number;
  private serial = 0;
  private pending: Uint8Array = new Uint8Array(0);
  private readonly signals: Message[] = [];

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** @param path The bus's unix socket. */
  static open(path: string): Connection {
    const fd = sys.connect(path);
    const connection = new Connection(fd);
    try {
      connection.authenticate();
    } catch (error) {
      sys.close(fd);
      throw error;
    }
    return connection;
  }

  close(): void {
    sys.close(this.fd);
  }

  /** @returns the values of the answer. @throws {DbusError} */
  call(call: Call): readonly Value[] {
    const serial = ++this.serial;
    this.send(encodeCall(call, serial));
    for (;;) {
      const message = this.receive();
      if (message.type === SIGNAL) this.signals.push(message);
      if (message.replyTo !== serial) continue;
      if (message.type === RETURN) return message.values;
      if (message.type === ERROR)
        throw new DbusError(
          call.member,
          message.errorName ?? 'no name',
          (message.values[0] as string | undefined) ?? 'no reason given',
        );
    }
  }

  /** Waits for a signal that fits; those that came meanwhile count. */
  await(fits: (signal: Message) => boolean): Message {
    for (;;) {
      const signal = this.signals.shift() ?? this.receive();
      if (signal.type === SIGNAL && fits(signal)) return signal;
    }
  }

  /** SASL with the mechanism EXTERNAL: the kernel tells the peer our uid. (D-Bus Specification, "Authentication Protocol") */
  private authenticate(): void {
    const uid = Array.from(encodeText(String(sys.userId())), (byte) => byte.toString(16)).join('');
    this.send(encodeText(`\0AUTH EXTERNAL ${uid}\r\n`));
    const line = this.line();
    if (!line.startsWith('OK ')) throw new TsrunError(`D-Bus: the bus refused the user ${sys.userId()}: ${line}`);
    this.send(encodeText('BEGIN\r\n'));
  }

  private line(): string {
    for (;;) {
      const end = this.pending.indexOf(10);
      if (end >= 0) {
        const line = decodeText(this.pending.subarray(0, end)).trimEnd();
        this.pending = this.pending.slice(end + 1);
        return line;
      }
      this.fill();
    }
  }

  private send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += sys.write(this.fd, bytes.subarray(at));
  }

  private receive(): Message {
    for (;;) {
      const size = sizeOf(this.pending);
      if (size !== undefined && size <= this.pending.length) {
        const message = decode(this.pending.subarray(0, size));
        this.pending = this.pending.slice(size);
        return message;
      }
      this.fill();
    }
  }

  private fill(): void {
    const end = seconds() + TIMEOUT_MS / 1000;
    // A signal to this process ends poll(2) early.
    while (sys.poll(new Uint32Array([this.fd, POLLIN]), TIMEOUT_MS).length === 0) {
      if (seconds() >= end) throw new TsrunError(`D-Bus: no answer within ${TIMEOUT_MS / 1000} s`);
    }
    const more = sys.read(this.fd, 65536);
    if (more.length === 0) throw new TsrunError('D-Bus: the bus closed the connection');
    const joined = new Uint8Array(this.pending.length + more.length);
    joined.set(this.pending, 0);
    joined.set(more, this.pending.length);
    this.pending = joined;
  }
}

/** Since boot. */
function seconds(): number {
  const [, , whole = 0, nanoseconds = 0] = sys.clock();
  return whole + nanoseconds / 1e9;
}
