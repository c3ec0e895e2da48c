// In containerd's place: the socket to which shims forward their events.
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { decode } from '../../src/proto/decode.ts';
import { ForwardRequest } from '../../src/shim/messages/events.ts';
import { ServerConnection } from '../../src/ttrpc/server.ts';

/** Takes every event. */
export async function listen(path: string): Promise<{ topics: string[]; close: () => Promise<void> }> {
  const topics: string[] = [];
  const sockets: Socket[] = [];
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    sockets.push(socket);
    const connection = new ServerConnection({
      services: {
        'containerd.services.events.ttrpc.v1.Events': {
          Forward: (call) => {
            topics.push(decode(ForwardRequest, call.payload).envelope?.topic ?? '');
            call.reply(new Uint8Array(0));
          },
        },
      },
      now: () => performance.now(),
      onOutput: () => queueMicrotask(() => connection.take().forEach((frame) => socket.write(frame))),
    });
    socket.on('data', (bytes) => connection.feed(bytes));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    topics,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
