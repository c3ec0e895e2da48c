// Time namespaces: the clocks that a program reads, seen from inside.
import { readlinkSync } from 'node:fs';
import { uptime } from 'node:os';
import {
  baseNamespaces,
  container,
  expect,
  facts,
  holder,
  inside,
  namespaces,
  runtime,
  test,
  type Changes,
} from '../harness/index.ts';

const needs = {
  except: { runc: 'runc 1.1 has no time namespaces', crun: 'crun 1.8 has no time namespaces' },
};
const DAY = 86_400;
const monotonic = () => Number(process.hrtime.bigint() / 1_000_000_000n);
const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

function withTime(offsets: Record<string, { secs?: number; nanosecs?: number }>, ...more: string[]): Changes {
  const { linux } = namespaces({ add: ['time', ...more] });
  return { linux: { ...linux, timeOffsets: offsets } };
}

const near = (text: string | undefined, expected: number) => {
  expect(Math.abs(Number(text) - expected), `${text} is near ${expected}`).toBeLessThan(10);
};

test("linux.namespaces: a new time namespace differs from the host's, and its clocks are the host's", needs, (t) => {
  const out = inside(t, namespaces({ add: ['time'] }), 'sh', '-c', 'readlink /proc/self/ns/time; probe clocks');
  const [link = '', ...clocks] = out.trim().split('\n');
  expect(link).toMatch(/^time:\[\d+\]$/);
  expect(link).not.toBe(readlinkSync('/proc/self/ns/time'));
  near(facts(clocks.join('\n'))['monotonic'], monotonic());
});

test('linux.timeOffsets: monotonic and boottime move each for itself', needs, (t) => {
  const changes = withTime({ monotonic: { secs: 3 * DAY }, boottime: { secs: 7 * DAY, nanosecs: 5 } });
  const clocks = facts(inside(t, changes, 'probe', 'clocks'));
  near(clocks['monotonic'], monotonic() + 3 * DAY);
  near(clocks['boottime'], uptime() + 7 * DAY);
});

test('linux.timeOffsets: one clock alone, backwards', needs, (t) => {
  const clocks = facts(inside(t, withTime({ boottime: { secs: -Math.floor(uptime() / 2) } }), 'probe', 'clocks'));
  near(clocks['monotonic'], monotonic());
  near(clocks['boottime'], uptime() / 2);
});

test('linux.timeOffsets: /proc/uptime tells the moved clock', needs, (t) => {
  near(inside(t, withTime({ boottime: { secs: DAY } }), 'cat', '/proc/uptime').split(' ')[0], uptime() + DAY);
});

test('linux.timeOffsets: the first process and its children are in the same namespace', needs, (t) => {
  const out = inside(
    t,
    withTime({ monotonic: { secs: DAY } }),
    'sh',
    '-c',
    'readlink /proc/1/ns/time; readlink /proc/self/ns/time; readlink /proc/self/ns/time_for_children',
  );
  expect(new Set(out.trim().split('\n')).size).toBe(1);
});

test('linux.timeOffsets: in a new user namespace', { ...needs, needs: ['user namespaces'] }, (t) => {
  const changes = withTime({ monotonic: { secs: DAY } }, 'user');
  const box = container(
    t,
    { linux: { ...changes.linux, uidMappings: mappings, gidMappings: mappings } },
    { owner: 100_000 },
  );
  near(facts(box.run('probe', 'clocks').out)['monotonic'], monotonic() + DAY);
});

test('linux.timeOffsets: a clock before the start of the host is refused', needs, (t) => {
  const box = container(t, withTime({ monotonic: { secs: -1000 * DAY } }));
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  if (runtime.family === 'tsrun') expect(err).toMatch(/timens_offsets.*\/linux\/timeOffsets.*below zero/);
  expect(box.leaks()).toEqual([]);
});

test('linux.timeOffsets: offsets without a new time namespace are refused', {
  except: { runc: 'runc 1.1 ignores them', crun: 'it ignores them' },
}, (t) => {
  const { code, err } = container(t, { linux: { timeOffsets: { monotonic: { secs: 1 } } } }).run('true');
  expect(code).toBe(1);
  expect(err).toContain('/linux/timeOffsets');
});

test('linux.namespaces: a time namespace is joined by its path', { ...needs, timeout: 30_000 }, async (t) => {
  const { pid } = await holder(t, '--time', '--monotonic', String(5 * DAY), '--fork', '--kill-child');
  const path = `/proc/${pid}/ns/time_for_children`;
  const changes = { linux: { namespaces: [...baseNamespaces, { type: 'time', path }] } };
  const out = inside(t, changes, 'sh', '-c', 'readlink /proc/self/ns/time; probe clocks');
  expect(out.split('\n')[0]).toBe(readlinkSync(path).replace('time_for_children', 'time'));
  near(facts(out)['monotonic'], monotonic() + 5 * DAY);
});
