// A config in; a bundle in a scratch directory, one method per verb, and the promise that nothing outlives the test, out.
import { type ChildProcess, type SpawnOptions, spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, type TestContext } from 'vitest';
import { baseConfig, type Changes, type Config } from './config.ts';
import { hostMounts, lastingLeaksOf, sweep, type Traces } from './leaks.ts';
import { makeRootfs } from './rootfs.ts';
import { runtime } from './runtime.ts';
import { quietly, slowness, until } from './wait.ts';

export interface Result {
  code: number;
  out: string;
  err: string;
}

export interface State {
  ociVersion: string;
  id: string;
  pid: number;
  status: string;
  bundle: string;
  rootfs: string;
  created: string;
  annotations?: Record<string, string>;
  owner: string;
}

// One state root per test file, so that files run side by side without seeing each other's containers.
export const scratch = join(tmpdir(), `tsrun-test-${process.pid}-${Date.now()}`);
export const stateRoot = join(scratch, 'state');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let count = 0;

export function container(t: TestContext, changes: Changes = {}, options: { owner?: number } = {}): Container {
  count += 1;
  const box = new Container(`tt${process.pid}n${count}`, baseConfig(changes));
  if (options.owner !== undefined) box.giveTo(options.owner);
  t.onTestFinished(() => box.end());
  return box;
}

// The shortest test there is: what does this command print inside a container with these changes?
export function inside(t: TestContext, changes: Changes, ...args: string[]): string {
  const box = container(t, changes);
  const result = box.run(...args);
  expect(result, `run ${args.join(' ')}`).toMatchObject({ code: 0 });
  return result.out;
}

export class Container {
  readonly id: string;
  readonly config: Config;
  readonly dir: string;
  readonly bundle: string;
  readonly rootfs: string;
  private readonly mountsBefore = hostMounts();
  private readonly children: ChildProcess[] = [];

  constructor(id: string, config: Config) {
    this.id = id;
    this.config = config;
    this.dir = join(scratch, id);
    this.bundle = join(this.dir, 'bundle');
    this.rootfs = join(this.bundle, 'rootfs');
    // Open to all: a user namespace's root has to walk through here to its rootfs.
    mkdirSync(scratch, { recursive: true, mode: 0o755 });
    for (const dir of [this.rootfs, stateRoot, this.traces.tmp]) mkdirSync(dir, { recursive: true });
    makeRootfs(this.rootfs);
  }

  get traces(): Traces {
    return { id: this.id, bundle: this.bundle, stateRoot, tmp: join(this.dir, 'tmp') };
  }

  // Everything that the container wrote so far, of whichever verb started it.
  output(): string {
    return existsSync(join(this.dir, 'out')) ? readFileSync(join(this.dir, 'out'), 'utf8') : '';
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  write(config: unknown = this.config): void {
    writeFileSync(
      join(this.bundle, 'config.json'),
      typeof config === 'string' ? config : JSON.stringify(config, null, 2),
    );
  }

  giveTo(owner: number): void {
    spawnSync('chown', ['-hR', `${owner}:${owner}`, this.rootfs]);
  }

  // A verb that begins with a dash is a global flag: it and what follows are passed as they are.
  argv(verb: string, ...rest: string[]): [string, ...string[]] {
    return [...runtime.command, '--root', stateRoot, verb, ...rest];
  }

  // Stdio is files: a pipe would stay open as long as the container lives, and nobody could wait for its end.
  call(verb: string, rest: string[] = [], options: SpawnOptions & { through?: string[]; input?: string } = {}): Result {
    const [command = '', ...args] = [...(options.through ?? []), ...this.argv(verb, ...rest)];
    const [out, err] = [this.path(`${verb}.out`), this.path(`${verb}.err`)];
    const stdio: (number | 'ignore')[] = [out, err].map((path) => openSync(path, 'w'));
    stdio.unshift(options.input === undefined ? this.noInput() : openSync(options.input, 'r'));
    // Behind a global flag stands the verb.
    const makes = ['run', 'create'].includes(verb.startsWith('-') ? (rest[0] ?? '') : verb);
    if (makes) stdio[1] = openSync(this.path('out'), 'w');
    try {
      const { status, signal, error } = spawnSync(command, args, {
        stdio,
        timeout: 15_000 * slowness,
        killSignal: 'SIGKILL',
        ...options,
        env: this.env(options.env),
      });
      if (error) throw new Error(`${command} ${args.join(' ')}: ${error.message}\n${readFileSync(err, 'utf8')}`);
      if (signal) throw new Error(`${command} ${args.join(' ')} was ended by ${signal}\n${readFileSync(err, 'utf8')}`);
      return {
        code: status ?? -1,
        out: makes ? this.output() : readFileSync(out, 'utf8'),
        err: readFileSync(err, 'utf8'),
      };
    } finally {
      for (const fd of stdio) if (typeof fd === 'number') closeSync(fd);
    }
  }

  // Debian 12's crun would chown /dev/null to the root of a user namespace, for the whole host.
  noInput(): number | 'ignore' {
    if (runtime.family !== 'crun') return 'ignore';
    writeFileSync(this.path('in'), '');
    return openSync(this.path('in'), 'r');
  }

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], TMPDIR: this.traces.tmp, TSRUN_TEST: this.id, ...more };
  }

  run(...args: string[]): Result {
    return this.runWith([], ...args);
  }

  runWith(flags: string[], ...args: string[]): Result {
    this.prepare(args);
    const result = this.call('run', ['--bundle', this.bundle, ...flags, this.id]);
    if (!flags.some((flag) => flag === '--detach' || flag === '--keep')) {
      expect(existsSync(join(stateRoot, this.id)), 'a foreground run removes its state').toBe(false);
    }
    return result;
  }

  prepare(args: string[] = []): void {
    if (args.length > 0) this.config.process.args = args;
    this.write();
  }

  // A foreground run that the test talks to while it runs.
  spawnRun(
    args: string[],
    stdio: StdioOptions = [this.noInput(), openSync(this.path('out'), 'w'), 'pipe'],
    flags: string[] = [],
  ): { child: ChildProcess; done: Promise<Result> } {
    this.prepare(args);
    const [command, ...rest] = this.argv('run', '--bundle', this.bundle, ...flags, this.id);
    const child = spawn(command, rest, { stdio, env: this.env() });
    for (const fd of Array.isArray(stdio) ? stdio : []) if (typeof fd === 'number' && fd > 2) closeSync(fd);
    this.children.push(child);
    let [out, err] = ['', ''];
    child.stdout?.on('data', (data) => (out += data));
    child.stderr?.on('data', (data) => (err += data));
    const done = new Promise<Result>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) =>
        resolve({ code: code ?? (signal ? 1000 : -1), out: out || this.output(), err }),
      );
    });
    return { child, done };
  }

  // Another verb that the test talks to while it runs; its output is in files of this name.
  spawnVerb(
    verb: string,
    rest: string[],
    name = verb,
  ): { child: ChildProcess; done: Promise<Result>; said: () => string } {
    const [command, ...args] = this.argv(verb, ...rest);
    const files = [this.path(`${name}.out`), this.path(`${name}.err`)] as const;
    const stdio = [this.noInput(), ...files.map((path) => openSync(path, 'w'))];
    const child = spawn(command, args, { stdio, env: this.env() });
    for (const fd of stdio) if (typeof fd === 'number') closeSync(fd);
    this.children.push(child);
    const [said, err] = files.map((path) => () => readFileSync(path, 'utf8')) as [() => string, () => string];
    const done = new Promise<Result>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 1000 : -1), out: said(), err: err() }));
    });
    return { child, done, said };
  }

  create(...args: string[]): Result {
    this.prepare(args);
    return this.call('create', ['--bundle', this.bundle, this.id]);
  }

  // create, checked, for tests that are about what comes after.
  created(...args: string[]): this {
    expect(this.create(...args), 'create').toMatchObject({ code: 0 });
    return this;
  }

  async started(...args: string[]): Promise<this> {
    this.created(...(args.length > 0 ? args : ['probe', 'sleep']));
    expect(this.start(), 'start').toMatchObject({ code: 0 });
    if (args.length === 0) await this.says('ready');
    return this;
  }

  async says(text: string): Promise<void> {
    await until(`the container says ${JSON.stringify(text)}`, () => this.output().includes(text));
  }

  async reaches(status: string): Promise<void> {
    await until(`the container is ${status}`, () => this.state().status === status);
  }

  start(): Result {
    return this.call('start', [this.id]);
  }

  // A further process; flags stand before the id.
  exec(flags: string[], ...command: string[]): Result {
    return this.call('exec', [...flags, this.id, ...command]);
  }

  // What a further process prints; it must end well.
  ask(flags: string[], ...command: string[]): string {
    const result = this.exec(flags, ...command);
    expect(result, `exec ${command.join(' ')}`).toMatchObject({ code: 0 });
    return result.out;
  }

  state(): State {
    const result = this.call('state', [this.id]);
    expect(result, 'state').toMatchObject({ code: 0 });
    return JSON.parse(result.out) as State;
  }

  kill(signal?: string): Result {
    return this.call('kill', signal === undefined ? [this.id] : [this.id, signal]);
  }

  delete(...flags: string[]): Result {
    return this.call('delete', [...flags, this.id]);
  }

  list(...flags: string[]): Result {
    return this.call('list', flags);
  }

  leaks(): string[] {
    return lastingLeaksOf(this.traces, this.mountsBefore);
  }

  leaksAfterForce(): string[] {
    const { code, err } = this.delete('--force');
    return code === 0 ? this.leaks() : [`delete --force ended with ${code}: ${err}`, ...this.leaks()];
  }

  async end(): Promise<void> {
    for (const child of this.children) await endOf(child);
    const forced = existsSync(join(stateRoot, this.id)) ? this.delete('--force') : undefined;
    const leaks = this.leaks();
    quietly(() => sweep(this.traces));
    rmSync(this.dir, { recursive: true, force: true });
    if (forced && forced.code !== 0) leaks.unshift(`delete --force failed: ${forced.err.trim()}`);
    expect(leaks, `what the container ${this.id} left behind`).toEqual([]);
  }
}

function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.on('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
