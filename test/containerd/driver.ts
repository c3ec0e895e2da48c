// A client of one shim, as containerd is one, for what containerd itself would never say.
import { connect, type Socket } from 'node:net';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import type { InputOf, Message, ValueOf } from '../../src/proto/message.ts';
import { ClientConnection } from '../../src/ttrpc/client.ts';
import { StatusError } from '../../src/ttrpc/status.ts';

export class Driver {
  readonly socket: Socket;
  private readonly client: ClientConnection;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.client = new ClientConnection({
      now: () => performance.now(),
      onOutput: () => queueMicrotask(() => this.client.take().forEach((frame) => socket.write(frame))),
    });
    socket.on('data', (bytes) => this.client.feed(bytes));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.client.closed());
  }

  static async to(path: string): Promise<Driver> {
    const socket = connect(path);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Driver(socket);
  }

  /** The response; fails with `CODE sentence`. @param service Of the task service, `v2` or `v3`. */
  async call<Q extends Message, R extends Message>(
    name: string,
    [request, response]: readonly [Q, R],
    value: InputOf<Q>,
    service = 'containerd.task.v2.Task',
  ): Promise<ValueOf<R>> {
    return decode(response, await this.send(service, name, encode(request, value)));
  }

  /** Whatever bytes as a payload. */
  send(service: string, method: string, payload: Uint8Array, timeout = 10_000): Promise<Uint8Array> {
    setTimeout(() => this.client.expire(), timeout + 5).unref();
    return new Promise((resolve, reject) => {
      this.client.call({ service, method, payload, timeout }, (outcome) => {
        if (outcome instanceof StatusError) reject(new Error(`${outcome.code} ${outcome.message}`));
        else resolve(outcome);
      });
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
