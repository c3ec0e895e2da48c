// Events on their road to a containerd that answers, errs, hangs, and comes and goes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import { unpack } from '../../src/proto/well-known.ts';
import { ForwardRequest, TaskOOM } from '../../src/shim/messages/events.ts';
import { Publisher } from '../../src/shim/publisher.ts';
import { Response } from '../../src/ttrpc/messages.ts';
import { type Call, ServerConnection } from '../../src/ttrpc/server.ts';
import { StatusError } from '../../src/ttrpc/status.ts';
import { concat } from './ttrpc-harness.ts';

/** A containerd that can be away, and answers when told to. */
function world() {
  const clock = { now: 0 };
  const state = { up: true, connections: 0, disconnects: 0 };
  const calls: Call[] = [];
  const heard: string[] = [];
  const lost: string[] = [];
  let server: ServerConnection | undefined;
  const publisher: Publisher = new Publisher({
    namespace: 'k8s.io',
    now: () => clock.now,
    time: () => ({ seconds: 1700000000, nanos: 5 }),
    connect: () => {
      if (!state.up) return publisher.disconnected();
      state.connections++;
      server = new ServerConnection({
        services: { 'containerd.services.events.ttrpc.v1.Events': { Forward: (call) => void calls.push(call) } },
        now: () => clock.now,
        onOutput: () => {},
      });
      publisher.connected();
    },
    disconnect: () => {
      state.disconnects++;
      server = undefined;
    },
    onOutput: () => {},
    onLost: (topic, reason) => lost.push(`${topic}: ${reason}`),
  });
  const idOf = ({ payload }: Call): string => {
    const { envelope } = decode(ForwardRequest, payload);
    expect(envelope).toMatchObject({ namespace: 'k8s.io', topic: '/tasks/oom', timestamp: { seconds: 1700000000 } });
    return (envelope?.event && unpack(TaskOOM, envelope.event)?.containerId) ?? '?';
  };
  return {
    publisher,
    state,
    clock,
    heard,
    lost,
    publish: (id: string) => publisher.publish('/tasks/oom', TaskOOM, { containerId: id }),
    /** Carries bytes to containerd; what it heard of an event so far is the call. */
    deliver(): Call | undefined {
      server?.feed(concat(publisher.take()));
      return calls.shift();
    },
    /** Carries, answers, carries back; false when there was nothing. */
    step(answer: (call: Call) => void = (call) => call.reply(new Uint8Array(0))): boolean {
      const call = this.deliver();
      if (call === undefined) return false;
      heard.push(idOf(call));
      answer(call);
      publisher.feed(concat(server?.take() ?? []));
      return true;
    },
    hangUp() {
      server = undefined;
      publisher.disconnected();
    },
    pass(ms: number) {
      clock.now += ms;
      publisher.expire();
    },
  };
}

const drain = (of: ReturnType<typeof world>): string[] => {
  while (of.step()) {
    // until all have been heard
  }
  return of.heard;
};

describe('events', () => {
  test('go one at a time, in order, over one connection', () => {
    const it = world();
    for (const id of ['a', 'b', 'c']) it.publish(id);
    const first = it.deliver();
    expect(it.deliver()).toBeUndefined();
    expect(first?.metadata).toEqual([{ key: 'containerd-namespace-ttrpc', value: 'k8s.io' }]);
    first?.reply(new Uint8Array(0));
    it.publisher.feed(new Uint8Array(0));
    expect(it.publisher.waiting).toBe(3);
    expect(it.state.connections).toBe(1);
  });

  test('all arrive, and nothing waits then', () => {
    const it = world();
    for (const id of ['a', 'b', 'c']) it.publish(id);
    expect(drain(it)).toEqual(['a', 'b', 'c']);
    it.publish('d');
    expect(drain(it)).toEqual(['a', 'b', 'c', 'd']);
    expect([it.publisher.waiting, it.publisher.deadline, it.state.connections]).toEqual([0, undefined, 1]);
  });

  test('wait while containerd is away, however long', () => {
    const it = world();
    it.state.up = false;
    for (let i = 0; i < 100; i++) it.publish(String(i));
    for (let i = 0; i < 3600; i++) it.pass(1000);
    expect(it.lost).toEqual([]);
    it.state.up = true;
    it.pass(1000);
    expect(drain(it)).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
  });

  test('are tried again soon at first, then once a second', () => {
    const it = world();
    it.state.up = false;
    it.publish('a');
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      times.push((it.publisher.deadline ?? NaN) - it.clock.now);
      it.pass(times.at(-1) ?? 0);
    }
    expect(times).toEqual([50, 100, 200, 500, 1000, 1000, 1000]);
  });

  test('that were on their way when the connection broke are sent again', () => {
    const it = world();
    it.publish('a');
    it.publish('b');
    it.deliver();
    it.hangUp();
    it.pass(50);
    expect(drain(it)).toEqual(['a', 'b']);
    expect(it.state.connections).toBe(2);
  });

  test('find a new connection when the old one ended in silence', () => {
    const it = world();
    it.publish('a');
    drain(it);
    it.hangUp();
    expect(it.publisher.deadline).toBeUndefined();
    it.publish('b');
    expect(drain(it)).toEqual(['a', 'b']);
  });

  test('are sent again over a new connection when there is no answer in 5 s', () => {
    const it = world();
    it.publish('a');
    it.deliver();
    expect(it.publisher.deadline).toBe(5000);
    it.pass(5000);
    expect([it.state.disconnects, it.publisher.deadline]).toEqual([1, 5050]);
    it.pass(50);
    expect(drain(it)).toEqual(['a']);
    expect([it.state.connections, it.lost]).toEqual([2, []]);
  });

  test('that containerd refuses are given up: at once if they are wrong, else after five times', () => {
    const it = world();
    for (const id of ['wrong', 'unlucky', 'fine']) it.publish(id);
    it.step((call) => call.fail(new StatusError(3, 'bad topic')));
    for (let i = 0; i < 5; i++) {
      expect(it.step((call) => call.fail(new Error('no disk')))).toBe(true);
      it.pass(1000);
    }
    expect(it.lost).toEqual(['/tasks/oom: bad topic', '/tasks/oom: no disk']);
    drain(it);
    expect(it.heard.at(-1)).toBe('fine');
  });

  test('are not kept without end', () => {
    const it = world();
    it.state.up = false;
    for (let i = 0; i < 50_003; i++) it.publish(String(i));
    expect([it.publisher.waiting, it.lost.length]).toEqual([50_000, 3]);
    expect(it.lost[0]).toBe('/tasks/oom: more than 50000 events wait for containerd');
  });

  test('answers that are no messages are errors like others', () => {
    const it = world();
    it.publish('a');
    expect(it.deliver()).toBeDefined();
    const broken = concat([Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 2, 0), Uint8Array.of(10)]);
    it.publisher.feed(broken);
    it.pass(50);
    it.publisher.feed(concat([Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 3, 2, 0), encode(Response, {})]));
    expect(it.publisher.waiting).toBe(0);
  });
});

test('whatever happens, each event that is answered has come in order, once, and none is missing', () => {
  const action = fc.constantFrom('publish', 'step', 'deliver', 'hang up', 'down', 'up', 'pass');
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const it = world();
      let published = 0;
      for (const what of actions) {
        if (what === 'publish') it.publish(String(published++));
        else if (what === 'step') it.step();
        else if (what === 'deliver') it.deliver();
        else if (what === 'pass') it.pass(700);
        else if (what === 'hang up' && it.state.up && it.state.connections > 0) it.hangUp();
        else it.state.up = what === 'up';
      }
      it.state.up = true;
      for (let i = 0; i < 20; i++) {
        it.pass(6000);
        drain(it);
      }
      expect(it.heard).toEqual(Array.from({ length: published }, (_, index) => String(index)));
      expect(it.publisher.waiting).toBe(0);
    }),
    { numRuns: 500 },
  );
});
