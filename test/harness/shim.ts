// The shim without containerd: a test is its client, and listens to its events.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, type TestContext } from 'vitest';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import type { InputOf, Message, ValueOf } from '../../src/proto/message.ts';
import { Empty, pack } from '../../src/proto/well-known.ts';
import * as events from '../../src/shim/messages/events.ts';
import { RuncOptions, typeUrls } from '../../src/shim/messages/options.ts';
import * as task from '../../src/shim/messages/task.ts';
import { ClientConnection } from '../../src/ttrpc/client.ts';
import { ServerConnection } from '../../src/ttrpc/server.ts';
import { StatusError } from '../../src/ttrpc/status.ts';
import type { Changes } from './config.ts';
import { type Container, container, scratch, stateRoot } from './container.ts';
import { withoutCopies } from './parents.ts';
import { projectDir } from './runtime.ts';
import { quietly, until } from './wait.ts';

export const shimProgram = join(projectDir, 'dist/containerd-shim-tsrun-v2');
const namespace = 'test';

const now = (): number => performance.now();

/** Requests and responses of the task service, by the name of the method. */
export const methods = {
  State: [task.StateRequest, task.StateResponse],
  Create: [task.CreateTaskRequest, task.CreateTaskResponse],
  Start: [task.StartRequest, task.StartResponse],
  Delete: [task.DeleteRequest, task.DeleteResponse],
  Pids: [task.PidsRequest, task.PidsResponse],
  Pause: [task.PauseRequest, Empty],
  Resume: [task.ResumeRequest, Empty],
  Checkpoint: [task.CheckpointTaskRequest, Empty],
  Kill: [task.KillRequest, Empty],
  Exec: [task.ExecProcessRequest, Empty],
  ResizePty: [task.ResizePtyRequest, Empty],
  CloseIO: [task.CloseIORequest, Empty],
  Update: [task.UpdateTaskRequest, Empty],
  Wait: [task.WaitRequest, task.WaitResponse],
  Stats: [task.StatsRequest, task.StatsResponse],
  Connect: [task.ConnectRequest, task.ConnectResponse],
  Shutdown: [task.ShutdownRequest, Empty],
} as const satisfies Record<string, readonly [Message, Message]>;

type Methods = typeof methods;

/** A connection to a shim. */
export class TaskClient {
  private readonly socket: Socket;
  private readonly connection: ClientConnection;
  private readonly service: string;

  constructor(path: string, version: 2 | 3 = 2) {
    this.service = `containerd.task.v${version}.Task`;
    this.socket = connect(path);
    this.connection = new ClientConnection({ now, onOutput: () => this.flush() });
    this.socket.on('data', (bytes) => this.connection.feed(bytes));
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.connection.closed());
  }

  /** @throws {StatusError} */
  call<N extends keyof Methods>(
    method: N,
    value: InputOf<Methods[N][0]>,
    timeout?: number,
  ): Promise<ValueOf<Methods[N][1]>> {
    const [request, response] = methods[method] as unknown as [Methods[N][0], Methods[N][1]];
    const payload = encode(request, value);
    return new Promise((resolve, reject) => {
      const options = timeout === undefined ? {} : { timeout };
      this.connection.call({ service: this.service, method, payload, ...options }, (outcome) => {
        if (outcome instanceof StatusError) reject(outcome);
        else resolve(decode(response, outcome));
      });
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private flush(): void {
    for (const frame of this.connection.take()) this.socket.write(frame);
  }
}

const eventTypes: readonly Message[] = [
  events.TaskCreate,
  events.TaskStart,
  events.TaskExit,
  events.TaskDelete,
  events.TaskExecAdded,
  events.TaskExecStarted,
  events.TaskOOM,
  events.TaskPaused,
  events.TaskResumed,
];

/** containerd's end of the events' road. */
class Listener {
  readonly path: string;
  readonly heard: { topic: string; event: Record<string, unknown> }[] = [];
  private server: Server | undefined;
  private readonly sockets: Set<Socket> = new Set();

  constructor(path: string) {
    this.path = path;
  }

  open(): void {
    rmSync(this.path, { force: true });
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      const connection = new ServerConnection({
        services: {
          'containerd.services.events.ttrpc.v1.Events': {
            Forward: (call) => {
              const { envelope } = decode(events.ForwardRequest, call.payload);
              const type = eventTypes.find(({ name }) => name === envelope?.event?.typeUrl);
              if (envelope?.event === undefined || type === undefined) throw new Error('an event of no known type');
              this.heard.push({ topic: envelope.topic, event: decode(type, envelope.event.value) });
              call.reply(new Uint8Array(0));
            },
          },
        },
        now,
        onOutput: () => {
          for (const frame of connection.take()) socket.write(frame);
        },
      });
      socket.on('data', (bytes) => connection.feed(bytes));
      socket.on('error', () => {});
    }).listen(this.path);
  }

  close(): void {
    this.server?.close();
    for (const socket of this.sockets) socket.destroy();
  }

  /** Topics without what they all begin with, and whose event it is where that is an exec. */
  get topics(): string[] {
    return this.heard.map(({ topic, event }) => {
      const exec = event['execId'] ?? (event['id'] === event['containerId'] ? undefined : event['id']);
      return topic.replace('/tasks/', '') + (exec === undefined || exec === '' ? '' : ` ${exec as string}`);
    });
  }

  /** Waits until as many have been told: events come after the answers to what they tell of. */
  async toHaveTold(topics: readonly string[]): Promise<void> {
    await until('all is told', () => this.heard.length >= topics.length);
    // For what nobody expects.
    await delay(3);
    expect(this.topics).toEqual(topics);
  }
}

export interface ShimOptions {
  readonly env?: Record<string, string>;
  readonly version?: 2 | 3;
  /** What stands on the input of `start`. */
  readonly input?: Uint8Array;
}

/** A shim for one container, which is not yet created. Everything ends with the test. */
export class Shim {
  readonly box: Container;
  readonly id: string;
  /** As containerd makes them. */
  readonly bundle: string;
  readonly events: Listener;
  readonly address: string;
  /** What `start` printed. */
  readonly printed: string;
  readonly client: TaskClient;
  private readonly readers: ChildProcess[] = [];

  constructor(box: Container, options: ShimOptions = {}) {
    this.box = box;
    this.id = box.id;
    const tasks = join(scratch, 'tasks');
    this.bundle = join(tasks, this.id);
    mkdirSync(join(this.bundle, 'rootfs'), { recursive: true });
    this.events = new Listener(join(scratch, `${this.id}.ttrpc`));
    this.events.open();
    this.write();
    spawnSync('mkfifo', [join(this.bundle, 'log')]);
    const { status, stdout, stderr } = this.command('start', options.env ?? {}, options.input);
    if (status !== 0) throw new Error(`start: ${stderr.toString()}`);
    this.printed = stdout.toString();
    this.address = readFileSync(join(this.bundle, 'address'), 'utf8');
    this.client = new TaskClient(this.path, options.version);
  }

  get path(): string {
    return this.address.replace('unix://', '');
  }

  write(): void {
    const root = { ...this.box.config.root, path: this.box.config.root.path === 'rootfs' ? this.box.rootfs : 'rootfs' };
    writeFileSync(join(this.bundle, 'config.json'), JSON.stringify({ ...this.box.config, root }));
  }

  command(action: string, env: Record<string, string> = {}, input: Uint8Array = new Uint8Array(0)) {
    const words = [
      '-namespace',
      namespace,
      '-address',
      join(scratch, 'containerd.sock'),
      '-publish-binary',
      '/nowhere',
    ];
    const bundle = action === 'delete' ? ['-bundle', this.bundle] : [];
    return spawnSync(shimProgram, [...words, '-id', this.id, ...bundle, action], {
      cwd: this.bundle,
      input,
      env: { ...this.box.env(), TTRPC_ADDRESS: this.events.path, ...env },
    });
  }

  /** FIFOs with a reader for each output. */
  streams(terminal = false): Streams {
    const streams = new Streams(this.box.path(`streams-${this.readers.length}`), terminal);
    this.readers.push(...streams.readers);
    return streams;
  }

  create(streams: Partial<InputOf<typeof task.CreateTaskRequest>> = {}) {
    const options = streams.options ?? pack(RuncOptions, { root: stateRoot });
    return this.client.call('Create', { id: this.id, bundle: this.bundle, ...streams, options });
  }

  exec(execId: string, args: string[], more: Partial<InputOf<typeof task.ExecProcessRequest>> = {}) {
    const { user, env, cwd, capabilities } = this.box.config.process;
    const process = { args, user, env, cwd, capabilities, noNewPrivileges: true };
    const spec = { typeUrl: typeUrls.process, value: Buffer.from(JSON.stringify(process)) };
    return this.client.call('Exec', { id: this.id, execId, spec, ...more });
  }

  /** Create, Start, and what came out until the end. */
  async run(args: string[]): Promise<{ status: number; out: string; err: string }> {
    this.box.config.process.args = args;
    this.write();
    const streams = this.streams();
    await this.create(streams.names);
    const waiting = this.client.call('Wait', { id: this.id });
    await this.client.call('Start', { id: this.id });
    const { exitStatus } = await waiting;
    return { status: exitStatus, out: await streams.out(), err: await streams.err() };
  }

  /** Its workers too are copies of it. */
  pids(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && isShim(name, this.id))
      .map(Number);
  }

  pid(): number {
    const found = withoutCopies(this.pids());
    expect(found, 'shims of this test').toHaveLength(1);
    return found[0] ?? 0;
  }

  async kill(): Promise<void> {
    process.kill(this.pid(), 'SIGKILL');
    await until('the shim has ended', () => this.pids().length === 0);
  }

  /** As containerd does it after Delete. */
  async shutdown(): Promise<void> {
    await this.client.call('Shutdown', { id: this.id });
    await until('the shim has ended', () => !existsSync(this.path) && this.pids().length === 0);
  }

  end(): void {
    for (const reader of this.readers) reader.kill('SIGKILL');
    this.client.close();
    if (!existsSync(this.bundle)) return;
    for (const pid of this.pids()) quietly(() => process.kill(pid, 'SIGKILL'));
    writeFileSync(join(this.bundle, 'tsrun.json'), JSON.stringify({ root: stateRoot }));
    this.command('delete');
    this.events.close();
    spawnSync('umount', ['--quiet', '--recursive', join(this.bundle, 'rootfs')]);
    rmSync(this.bundle, { recursive: true, force: true });
  }
}

function isShim(pid: string, id: string): boolean {
  const text = quietly(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
  return text.startsWith(`${shimProgram}\0`) && text.includes(`\0-id\0${id}\0`);
}

/** Names of FIFOs, and what comes out of them. */
export class Streams {
  readonly names: { stdin: string; stdout: string; stderr: string; terminal: boolean };
  readonly readers: ChildProcess[];
  private readonly outputs: Promise<string>[];
  /** What has come out so far. */
  readonly texts: string[];

  constructor(dir: string, terminal: boolean) {
    mkdirSync(dir, { recursive: true });
    const name = (stream: string): string => join(dir, stream);
    this.names = { stdin: name('stdin'), stdout: name('stdout'), stderr: terminal ? '' : name('stderr'), terminal };
    const outputs = [this.names.stdout, this.names.stderr].filter((path) => path !== '');
    spawnSync('mkfifo', [this.names.stdin, ...outputs]);
    this.readers = outputs.map((path) => spawn('cat', [path], { stdio: ['ignore', 'pipe', 'ignore'] }));
    this.texts = outputs.map(() => '');
    this.outputs = this.readers.map(
      (reader, index) =>
        new Promise((resolve) => {
          reader.stdout?.on('data', (data: Buffer) => (this.texts[index] += data.toString()));
          reader.once('close', () => resolve(this.texts[index] ?? ''));
        }),
    );
  }

  out(): Promise<string> {
    return this.outputs[0] ?? Promise.resolve('');
  }

  err(): Promise<string> {
    return this.outputs[1] ?? Promise.resolve('');
  }
}

export function shim(t: TestContext, changes: Changes = {}, options: ShimOptions = {}): Shim {
  const box = container(t, changes);
  const made = new Shim(box, options);
  // Before the container's own look for what is left.
  t.onTestFinished(() => made.end());
  return made;
}
