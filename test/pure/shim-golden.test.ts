// Frames and messages as containerd 1.6 and its shim for runc were seen to send them.
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import type { Message } from '../../src/proto/message.ts';
import { Any, Empty, pack, unpack } from '../../src/proto/well-known.ts';
import { ForwardRequest, TaskStart } from '../../src/shim/messages/events.ts';
import { RuncOptions, RuntimeOptions } from '../../src/shim/messages/options.ts';
import * as task from '../../src/shim/messages/task.ts';
import { ClientConnection } from '../../src/ttrpc/client.ts';
import { method } from '../../src/ttrpc/method.ts';
import { ServerConnection } from '../../src/ttrpc/server.ts';
import { StatusError } from '../../src/ttrpc/status.ts';
import { bytes, hex } from './ttrpc-harness.ts';

const taskService = 'containerd.task.v2.Task';

/** The frame of the client's n-th call. */
function sent(count: number, service: string, name: string, payload: Uint8Array, more: object = {}): string {
  const client = new ClientConnection({ now: () => 0, onOutput: () => {} });
  for (let i = 0; i < count; i++) client.call({ service, method: name, payload, ...more }, () => {});
  return hex(client.take().at(-1) ?? new Uint8Array(0));
}

/** What a server sends in answer to a frame. */
function answered(frame: string, name: string, answer: (request: unknown) => object): string {
  const [request, response] = methods[name] as [Message, Message];
  const handler = method(request, response, (value, call) => call.reply(answer(value)));
  const server = new ServerConnection({
    services: { [taskService]: { [name]: handler } },
    now: () => 0,
    onOutput: () => {},
  });
  server.feed(bytes(frame));
  return server.take().map(hex).join();
}

const methods: Record<string, [Message, Message]> = {
  Connect: [task.ConnectRequest, task.ConnectResponse],
  Start: [task.StartRequest, task.StartResponse],
  Kill: [task.KillRequest, Empty],
  Pids: [task.PidsRequest, task.PidsResponse],
  Delete: [task.DeleteRequest, task.DeleteResponse],
  Shutdown: [task.ShutdownRequest, Empty],
};

const connect = '000000280000000301000a17636f6e7461696e6572642e7461736b2e76322e5461736b1207436f6e6e6563741a040a027432';
const start = '000000260000000501000a17636f6e7461696e6572642e7461736b2e76322e5461736b120553746172741a040a027432';
const kill = '000000270000000701000a17636f6e7461696e6572642e7461736b2e76322e5461736b12044b696c6c1a060a027432180f';
const shutdown =
  '0000002f0000001501000a17636f6e7461696e6572642e7461736b2e76322e5461736b120853687574646f776e1a040a02743220da93c0960b';
const withMetadata =
  '000000550000000101000a17636f6e7461696e6572642e7461736b2e76322e5461736b1207436f6e6e6563741a040a02743220d8b695d0122a250a1a636f6e7461696e6572642d6e616d6573706163652d7474727063120764656661756c74';
const deleteExec =
  '0000002b0000002101000a17636f6e7461696e6572642e7461736b2e76322e5461736b120644656c6574651a080a02743212026531';
const forward =
  '000000b30000000301000a2a636f6e7461696e6572642e73657276696365732e6576656e74732e74747270632e76312e4576656e74731207466f72776172641a4f0a4d0a0b08b8ba85d80610a0c39124120764656661756c741a0c2f7461736b732f737461727422270a1b636f6e7461696e6572642e6576656e74732e5461736b537461727412080a02743110d4e40120829397d0122a250a1a636f6e7461696e6572642d6e616d6573706163652d7474727063120764656661756c74';
const metadata = [{ key: 'containerd-namespace-ttrpc', value: 'default' }];

describe('our frames are those of the Go client', () => {
  test('Connect, Start, Kill', () => {
    expect(sent(2, taskService, 'Connect', encode(task.ConnectRequest, { id: 't2' }))).toBe(connect);
    expect(sent(3, taskService, 'Start', encode(task.StartRequest, { id: 't2' }))).toBe(start);
    expect(sent(4, taskService, 'Kill', encode(task.KillRequest, { id: 't2', signal: 15 }))).toBe(kill);
    expect(sent(17, taskService, 'Delete', encode(task.DeleteRequest, { id: 't2', execId: 'e1' }))).toBe(deleteExec);
  });

  test('Forward, with a timeout and the namespace', () => {
    const payload = encode(ForwardRequest, {
      envelope: {
        timestamp: { seconds: 1795251512, nanos: 75784608 },
        namespace: 'default',
        topic: '/tasks/start',
        event: pack(TaskStart, { containerId: 't1', pid: 29268 }),
      },
    });
    const more = { timeout: 4999.989634, metadata };
    expect(sent(2, 'containerd.services.events.ttrpc.v1.Events', 'Forward', payload, more)).toBe(forward);
  });
});

describe('our answers are those of the Go shim', () => {
  test('Connect', () => {
    const ids = { shimPid: 31899, taskPid: 31925 };
    const reply = (request: unknown) => {
      expect(request).toEqual({ id: 't2' });
      return ids;
    };
    expect(answered(connect, 'Connect', reply)).toBe('0000000a0000000302001208089bf90110b5f901');
    expect(answered(withMetadata, 'Connect', reply)).toBe('0000000a0000000102001208089bf90110b5f901');
  });

  test('Start, Kill and Shutdown', () => {
    expect(answered(start, 'Start', () => ({ pid: 31925 }))).toBe(
      '000000060000000502 00 120408b5f901'.replaceAll(' ', ''),
    );
    const killed = (request: unknown) => {
      expect(request).toEqual({ id: 't2', execId: '', signal: 15, all: false });
      return {};
    };
    expect(answered(kill, 'Kill', killed)).toBe('00000000000000070200');
    expect(answered(shutdown, 'Shutdown', () => ({}))).toBe('00000000000000150200');
  });

  test('Pids', () => {
    const request = connect.replace('1207436f6e6e656374', '120450696473').replace('00000028', '00000025');
    const reply = () => ({ processes: [{ pid: 31925 }] });
    expect(answered(request.replace('00000003', '00000025'), 'Pids', reply)).toBe(
      '0000000800000025020012060a0408b5f901',
    );
  });

  test('Delete', () => {
    const reply = () => ({ pid: 31975, exitStatus: 0, exitedAt: { seconds: 1795250505, nanos: 164461296 } });
    expect(answered(deleteExec, 'Delete', reply)).toBe(
      '0000001300000021 0200121108e7f9011a0b08c9b285d80610f0f5b54e'.replace(' ', ''),
    );
  });

  test('a failure', () => {
    const server = new ServerConnection({
      services: {
        [taskService]: { Delete: (call) => call.fail(new StatusError(5, 'process already finished: not found')) },
      },
      now: () => 0,
      onOutput: () => {},
    });
    server.feed(bytes(deleteExec));
    expect(server.take().map(hex)).toEqual([
      '0000002900000021020' + '00a270805122370726f6365737320616c72656164792066696e69736865643a206e6f7420666f756e64',
    ]);
  });
});

describe('messages', () => {
  test('the time of what has not exited', () => {
    expect(hex(encode(task.StateResponse, { exitedAt: task.never }))).toBe('520b088092b8c398feffffff01');
  });

  test('what the delete command prints', () => {
    const given = bytes('08e7f8011089011a0c08c8b285d80610a1fdf0a003');
    const value = decode(task.DeleteResponse, given);
    expect(value).toMatchObject({ pid: 31847, exitStatus: 137 });
    expect(encode(task.DeleteResponse, value)).toEqual(given);
  });

  test('what -info and start read', () => {
    const info = decode(Any, bytes('0a1a636f6e7461696e6572642e72756e632e76312e4f7074696f6e73'));
    expect(unpack(RuncOptions, info)).toMatchObject({ systemdCgroup: false, binaryName: '' });
    const given =
      '0a1972756e74696d656f7074696f6e732e76312e4f7074696f6e7312181a1653797374656d644367726f7570203d2066616c73650a';
    const options = unpack(RuntimeOptions, decode(Any, bytes(given)));
    expect(Buffer.from(options?.configBody ?? []).toString()).toBe('SystemdCgroup = false\n');
  });
});
