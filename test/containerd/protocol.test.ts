// What a shim answers, asked directly: both services, each call in each state, and what no client should send.
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { expect } from 'vitest';
import { encode } from '../../src/proto/encode.ts';
import { Any } from '../../src/proto/well-known.ts';
import { typeUrls } from '../../src/shim/messages/options.ts';
import * as task from '../../src/shim/messages/task.ts';
import { Request } from '../../src/ttrpc/messages.ts';
import { until } from '../harness/index.ts';
import { methods } from '../harness/shim.ts';
import { Driver } from './driver.ts';
import {
  fdsOf,
  memoryOf,
  nothingLeftOf,
  pidOf,
  remove,
  serve,
  shims,
  socketOf,
  start,
  status,
  test,
} from './daemon.ts';

serve();

/** Without the one that makes a container. */
const { Create: _, ...calls } = methods;

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const processOf = (...args: string[]) => ({
  typeUrl: typeUrls.process,
  value: bytes(JSON.stringify({ user: { uid: 0, gid: 0 }, args, env: ['PATH=/bin'], cwd: '/' })),
});

/** What a call fails with, or what it answers. */
const said = async (answer: Promise<unknown>): Promise<unknown> => answer.catch((error: Error) => error.message);

const peers = (shortcoming: string) => ({ runc: shortcoming, crun: shortcoming });

test(
  'both services answer, and others are unimplemented',
  async () => {
    start('both', ['--null-io'], 'sleep', '1000');
    const driver = await Driver.to(socketOf('both'));
    const [shim = 0] = shims('both');
    const expected = { shimPid: shim, taskPid: pidOf('both') };
    expect(await driver.call('Connect', calls.Connect, { id: 'both' })).toMatchObject(expected);
    expect(await driver.call('Connect', calls.Connect, { id: 'both' }, 'containerd.task.v3.Task')).toMatchObject(
      expected,
    );
    expect(await driver.call('Connect', calls.Connect, { id: 'nobody' })).toMatchObject({ taskPid: 0 });
    expect(await said(driver.send('containerd.task.v4.Task', 'Connect', new Uint8Array(0)))).toMatch(/^12 /);
    expect(await said(driver.send('containerd.task.v2.Task', 'Explode', new Uint8Array(0)))).toMatch(/^12 /);
    driver.close();
    remove('both');
    await nothingLeftOf('both');
  },
  { except: peers('serves one version of the service') },
);

test(
  'each call for a container or an exec that is not there says so',
  async () => {
    start('there', ['--null-io'], 'sleep', '1000');
    const driver = await Driver.to(socketOf('there'));
    for (const [name, messages] of Object.entries(calls)) {
      if (name === 'Connect' || name === 'Shutdown') continue;
      const [request, response] = messages as unknown as typeof calls.Kill;
      expect([name, await said(driver.call(name, [request, response], { id: 'nobody' }))]).toEqual([
        name,
        expect.stringMatching(/^(5 .*not found|12 )/),
      ]);
    }
    for (const name of ['State', 'Start', 'Delete', 'ResizePty', 'Kill', 'CloseIO', 'Wait'] as const) {
      const [request, response] = calls[name] as unknown as typeof calls.Kill;
      expect([name, await said(driver.call(name, [request, response], { id: 'there', execId: 'none' }))]).toEqual([
        name,
        expect.stringMatching(/^5 .*not found/),
      ]);
    }
    expect(await driver.call('Shutdown', calls.Shutdown, { id: 'there' })).toEqual({});
    expect(status('there')).toBe('RUNNING');
    driver.close();
    remove('there');
    await nothingLeftOf('there');
  },
  { except: peers('says of CloseIO that the error is unknown') },
);

test('an exec from its registration to its end', async () => {
  start('place', ['--null-io'], 'sleep', '1000');
  const driver = await Driver.to(socketOf('place'));
  const exec = { id: 'place', execId: 'e1' };
  expect(await driver.call('Exec', calls.Exec, { ...exec, spec: processOf('sh', '-c', 'sleep 0.3; exit 9') })).toEqual(
    {},
  );
  expect(await said(driver.call('Exec', calls.Exec, { ...exec, spec: processOf('true') }))).toMatch(
    /^6 .*e1.*already exists/,
  );
  expect(await driver.call('State', calls.State, exec)).toMatchObject({ pid: 0, status: task.Status.CREATED });
  expect(await said(driver.call('Kill', calls.Kill, { ...exec, signal: 9 }))).toMatch(/^9 .*process not created/);
  const wait = driver.call('Wait', calls.Wait, exec);
  const { pid } = await driver.call('Start', calls.Start, exec);
  expect(await driver.call('State', calls.State, exec)).toMatchObject({
    pid,
    status: task.Status.RUNNING,
    exitedAt: task.never,
  });
  const { processes } = await driver.call('Pids', calls.Pids, { id: 'place' });
  expect(processes.map((entry) => entry.pid)).toEqual(expect.arrayContaining([pid, pidOf('place')]));
  expect(processes.find((entry) => entry.pid === pid)?.info?.typeUrl).toBe('containerd.runc.v1.ProcessDetails');
  const { exitStatus, exitedAt } = await wait;
  expect(exitStatus).toBe(9);
  expect(await driver.call('State', calls.State, exec)).toMatchObject({
    status: task.Status.STOPPED,
    exitStatus: 9,
    exitedAt,
  });
  expect(await driver.call('Wait', calls.Wait, exec)).toEqual({ exitStatus, exitedAt });
  expect(await said(driver.call('Kill', calls.Kill, { ...exec, signal: 9 }))).toMatch(
    /^5 process already finished: not found/,
  );
  expect(await driver.call('Delete', calls.Delete, exec)).toEqual({ pid, exitStatus, exitedAt });
  expect(await said(driver.call('Delete', calls.Delete, exec))).toMatch(/^5 /);
  driver.close();
  remove('place');
  await nothingLeftOf('place');
});

test(
  'an exec that is never started, and one that cannot be, are deleted like others',
  async () => {
    start('odd', ['--null-io'], 'sleep', '1000');
    const driver = await Driver.to(socketOf('odd'));
    const never = { id: 'odd', execId: 'never' };
    await driver.call('Exec', calls.Exec, { ...never, spec: processOf('true') });
    expect(await driver.call('Delete', calls.Delete, never)).toMatchObject({ pid: 0 });
    const missing = { id: 'odd', execId: 'missing' };
    await driver.call('Exec', calls.Exec, { ...missing, spec: processOf('no-such-program') });
    const wait = driver.call('Wait', calls.Wait, missing);
    expect(await said(driver.call('Start', calls.Start, missing))).toMatch(
      /^\d+ OCI runtime exec failed.*no-such-program/,
    );
    expect((await wait).exitStatus).not.toBe(0);
    await driver.call('Delete', calls.Delete, missing);
    const { processes } = await driver.call('Pids', calls.Pids, { id: 'odd' });
    expect(processes.length).toBe(1);
    driver.close();
    remove('odd');
    await nothingLeftOf('odd');
  },
  { except: peers('gives an exec that could not start the status 0') },
);

test('pause, resume, update and resize refuse what does not fit', async () => {
  start('states', ['--null-io'], 'sleep', '1000');
  const driver = await Driver.to(socketOf('states'));
  const id = 'states';
  expect(await said(driver.call('Resume', calls.Resume, { id }))).toMatch(/^\d+ .*(not paused|cannot resume|running)/);
  expect(await driver.call('Pause', calls.Pause, { id })).toEqual({});
  expect(await driver.call('State', calls.State, { id })).toMatchObject({ status: task.Status.PAUSED });
  expect(await said(driver.call('Pause', calls.Pause, { id }))).toMatch(/^\d+ .*pause/);
  expect(await said(driver.call('Delete', calls.Delete, { id }))).toMatch(/^\d+ .*/);
  expect(await driver.call('Resume', calls.Resume, { id })).toEqual({});
  expect(await driver.call('ResizePty', calls.ResizePty, { id, width: 80, height: 24 })).toEqual({});
  expect(await driver.call('CloseIO', calls.CloseIO, { id, stdin: true })).toEqual({});
  const resources = { typeUrl: typeUrls.resources, value: bytes('{"pids":{"limit":"many"}}') };
  expect(await said(driver.call('Update', calls.Update, { id, resources }))).toMatch(/^\d+ .*/);
  expect(await said(driver.call('Delete', calls.Delete, { id }))).toMatch(/^\d+ .*running/);
  driver.close();
  remove('states');
  await nothingLeftOf('states');
});

test('who has left, and whose time has passed, is not waited for', async () => {
  start('long', ['--null-io'], 'sleep', '1000');
  const [shim = 0] = shims('long');
  const before = fdsOf(shim).length;
  const drivers = await Promise.all(Array.from({ length: 20 }, () => Driver.to(socketOf('long'))));
  const waits = drivers.map((driver) => said(driver.call('Wait', calls.Wait, { id: 'long' })));
  const short = drivers[0]?.send('containerd.task.v2.Task', 'Wait', encode(task.WaitRequest, { id: 'long' }), 50);
  expect(await said(short as Promise<unknown>)).toMatch(/^4 /);
  for (const driver of drivers) driver.close();
  expect(await Promise.all(waits)).toEqual(drivers.map(() => '14 ttrpc: closed'));
  await until('their descriptors are closed', () => fdsOf(shim).length <= before, 10);
  remove('long');
  await nothingLeftOf('long');
});

test(
  'a fuzzer neither ends it, nor makes it wait, nor grow',
  async () => {
    start('fuzzed', ['--null-io'], 'sleep', '1000');
    const [shim = 0] = shims('fuzzed');
    const before = { fds: fdsOf(shim).length, ...memoryOf(shim) };
    const frame = (stream: number, type: number, flags: number, data: Uint8Array, length = data.length) => {
      const header = Buffer.alloc(10);
      header.writeUInt32BE(length, 0);
      header.writeUInt32BE(stream, 4);
      header.writeUInt8(type, 8);
      header.writeUInt8(flags, 9);
      return Buffer.concat([header, data]);
    };
    const id = fc.constantFrom('fuzzed', 'nobody', '', '../../etc', 'x'.repeat(5000), '\0', 'é');
    const any = fc
      .record({
        typeUrl: fc.constantFrom(typeUrls.process, typeUrls.resources, '', 'x'),
        value: fc.oneof(fc.uint8Array(), fc.json().map(bytes)),
      })
      .map((value) => encode(Any, value));
    // What would end the container, or make another, is the fuzzer's only taboo.
    const names = Object.keys(calls).filter((name) => !['Kill', 'Delete', 'Pause', 'Shutdown'].includes(name));
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .tuple(id, id, any, fc.uint8Array({ maxLength: 20 }))
        .map(([one, two, value, rest]) =>
          Buffer.concat([
            encode(task.StartRequest, { id: one, execId: two }),
            Uint8Array.of(0x3a, value.length > 127 ? 0 : value.length),
            value.length > 127 ? new Uint8Array(0) : value,
            rest,
          ]),
        ),
    );
    const request = fc
      .tuple(
        fc.constantFrom(...names, 'Create', 'None'),
        payload,
        fc.constantFrom(0n, 1n, -1n, 1000000n),
        fc.constantFrom('v2', 'v3', 'v9'),
      )
      .map(([method, data, timeoutNano, version]) =>
        encode(Request, { service: `containerd.task.${version}.Task`, method, payload: data, timeoutNano }),
      );
    const frames = fc.tuple(
      fc.nat(40),
      fc.oneof(fc.constant(1), fc.nat(255)),
      fc.nat(7),
      fc.oneof(request, fc.uint8Array({ maxLength: 50 })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(frames, { maxLength: 20 }), fc.boolean(), fc.nat(60), async (list, grow, cut) => {
        const socket = connect(socketOf('fuzzed'));
        socket.on('error', () => {});
        socket.on('data', () => {});
        await new Promise((resolve) => socket.once('connect', resolve));
        let stream = -1;
        for (const [id, type, flags, data] of list) socket.write(frame(grow ? (stream += 2) : id, type, flags, data));
        if (cut < 10) socket.write(frame(1001, 1, 0, new Uint8Array(cut), 4 << 20));
        socket.end();
        await delay(1);
        socket.destroy();
      }),
      { numRuns: 300 },
    );
    const driver = await Driver.to(socketOf('fuzzed'));
    expect(await driver.call('State', calls.State, { id: 'fuzzed' })).toMatchObject({ status: task.Status.RUNNING });
    expect((await driver.call('Pids', calls.Pids, { id: 'fuzzed' })).processes.length).toBeGreaterThan(0);
    driver.close();
    await until('its descriptors are closed', () => fdsOf(shim).length <= before.fds, 10);
    expect(memoryOf(shim).rss - before.rss).toBeLessThan(8 << 10);
    expect(readFileSync(`/proc/${shim}/status`, 'utf8')).toMatch(/^State:\tS/m);
    remove('fuzzed');
    await nothingLeftOf('fuzzed');
  },
  { timeout: 180_000, except: peers('dies of a Create that names no bundle') },
);
