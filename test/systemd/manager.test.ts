// Containers whose cgroup is a scope of systemd: what `systemctl` says of it, and what is left of it afterwards.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Changes,
  type Container,
  cgroupFile,
  cgroupOf,
  container,
  expect,
  type Result,
  test,
  until,
} from '../harness/index.ts';

const slice = 'machine.slice';
const unitOf = (box: Container): string => `test-${box.id}.scope`;
const pathOf = (box: Container): string => `/sys/fs/cgroup/${slice}/${unitOf(box)}`;

const systemctl = (...args: string[]): string => spawnSync('systemctl', args, { encoding: 'utf8' }).stdout;

function shown(box: Container): Record<string, string> {
  const lines = systemctl('show', unitOf(box)).split('\n');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

const listed = (box: Container): string => systemctl('list-units', '--all', '--no-legend', unitOf(box)).trim();

function through(box: Container, verb: 'create' | 'run', ...args: string[]): Result {
  box.config.linux.cgroupsPath = `${slice}:test:${box.id}`;
  box.prepare(args);
  return box.call('--systemd-cgroup', [verb, '--bundle', box.bundle, box.id]);
}

function created(box: Container): Container {
  expect(through(box, 'create', 'sleep', '1000'), 'create').toMatchObject({ code: 0 });
  expect(box.start()).toMatchObject({ code: 0 });
  return box;
}

const limits: Changes = {
  linux: {
    resources: {
      memory: { limit: 64 << 20, reservation: 32 << 20 },
      pids: { limit: 20 },
      cpu: { quota: 50_000, period: 100_000, shares: 512, cpus: '0', mems: '0' },
    },
  },
};

test('a scope is made in the slice, with the container inside and its limits as properties', (t) => {
  const box = created(container(t, limits));
  expect(cgroupOf(box)).toBe(pathOf(box));
  expect(shown(box)).toMatchObject({
    ActiveState: 'active',
    Slice: slice,
    Delegate: 'yes',
    MemoryMax: String(64 << 20),
    MemoryLow: String(32 << 20),
    TasksMax: '20',
    CPUQuotaPerSecUSec: '500ms',
    AllowedCPUs: '0',
  });
  expect(cgroupFile(box, 'cgroup.procs')).toBe(String(box.state().pid));
});

test('limits and the device filter outlast a daemon-reload', { only: ['tsrun'] }, async (t) => {
  const box = container(t, limits);
  const files = ['memory.max', 'memory.low', 'pids.max', 'cpu.max', 'cpu.weight', 'cpuset.cpus', 'cpuset.mems'];
  const values = () => files.map((file) => cgroupFile(box, file));
  // No driver is behind 1:10: only the filter answers "not permitted".
  box.config.linux.devices = [{ path: '/dev/none', type: 'c', major: 1, minor: 10 }];
  box.config.linux.cgroupsPath = `${slice}:test:${box.id}`;
  const look = 'cat /dev/none 2>&1 | grep -o "not permitted"; cat /dev/null && echo null';
  box.prepare([
    'sh',
    '-c',
    `${look}; echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; ${look}; echo second; sleep 1000`,
  ]);
  expect(box.call('--systemd-cgroup', ['create', '--bundle', box.bundle, box.id])).toMatchObject({ code: 0 });
  expect(box.start()).toMatchObject({ code: 0 });
  await box.says('first');
  const before = values();
  expect(before[0]).toBe(String(64 << 20));
  systemctl('daemon-reload');
  expect(values()).toEqual(before);
  writeFileSync(join(`/proc/${box.state().pid}/root`, 'tmp/go'), '');
  await box.says('second');
  expect(box.output()).toBe('not permitted\nnull\nfirst\nnot permitted\nnull\nsecond\n');
});

test('update reaches the properties as well', (t) => {
  const box = created(container(t, limits));
  expect(box.call('update', ['--memory', '128M', '--pids-limit', '30', box.id])).toMatchObject({ code: 0 });
  expect(shown(box)).toMatchObject({ MemoryMax: String(128 << 20), TasksMax: '30' });
  systemctl('daemon-reload');
  expect([cgroupFile(box, 'memory.max'), cgroupFile(box, 'pids.max')]).toEqual([String(128 << 20), '30']);
});

test('annotations are properties', (t) => {
  const box = created(
    container(t, {
      annotations: {
        'org.systemd.property.TimeoutStopUSec': 'uint64 3000000',
        'org.systemd.property.Description': "'a container'",
      },
    }),
  );
  expect(shown(box)).toMatchObject({ TimeoutStopUSec: '3s', Description: 'a container' });
});

test('a property that systemd does not know is an error that names it, and nothing is left', (t) => {
  const box = container(t, { annotations: { 'org.systemd.property.NoSuchThing': 'true' } });
  const { code, err } = through(box, 'create', 'true');
  expect(code).toBe(1);
  expect(err).toContain('NoSuchThing');
  expect(listed(box)).toBe('');
});

test('delete takes the unit away', async (t) => {
  const box = created(container(t));
  box.kill('KILL');
  await box.reaches('stopped');
  expect(box.delete()).toMatchObject({ code: 0 });
  expect(listed(box)).toBe('');
  expect(existsSync(pathOf(box))).toBe(false);
});

test('a foreground run leaves no unit, whatever its exit code', (t) => {
  const box = container(t);
  expect(through(box, 'run', 'sh', '-c', 'exit 7').code).toBe(7);
  expect(listed(box)).toBe('');
  expect(through(box, 'run', 'echo', 'again')).toMatchObject({ code: 0, out: 'again\n' });
});

test('a create that fails leaves no unit', (t) => {
  const box = container(t);
  const { code, err } = through(box, 'create', 'no-such-program');
  expect(code).toBe(1);
  expect(err).toContain('executable file not found in $PATH');
  expect(listed(box)).toBe('');
  expect(existsSync(pathOf(box))).toBe(false);
});

test("a unit that runs is in nobody else's way", {
  except: { runc: 'waits for the job', crun: 'has its own words' },
}, (t) => {
  const box = created(container(t));
  const second = container(t);
  second.config.linux.cgroupsPath = `${slice}:test:${box.id}`;
  second.prepare(['true']);
  const { code, err } = second.call('--systemd-cgroup', ['create', '--bundle', second.bundle, second.id]);
  expect(code).toBe(1);
  expect(err).toContain(unitOf(box));
  expect(box.state().status).toBe('running');
});

test('one task is enough of a limit', (t) => {
  const box = container(t, { linux: { resources: { pids: { limit: 1 } } } });
  expect(through(box, 'run', 'echo', 'alone')).toMatchObject({ code: 0, out: 'alone\n' });
});

test('a memory hog is killed and the unit is gone after the run', (t) => {
  const box = container(t, { linux: { resources: { memory: { limit: 32 << 20, swap: 32 << 20 } } } });
  expect(through(box, 'run', 'sh', '-c', 'x=x; while :; do x=$x$x; done').code).toBe(137);
  expect(listed(box)).toBe('');
});

test('cgroupsPath must be slice:prefix:name', (t) => {
  const box = container(t);
  box.config.linux.cgroupsPath = '/a/path';
  box.prepare(['true']);
  const { code, err } = box.call('--systemd-cgroup', ['create', '--bundle', box.bundle, box.id]);
  expect(code).toBe(1);
  expect(err).toContain('slice:prefix:name');
});

test('without D-Bus the error says so', { only: ['tsrun'] }, (t) => {
  const box = container(t);
  box.prepare(['true']);
  const { code, err } = box.call('--systemd-cgroup', ['run', '--bundle', box.bundle, box.id], {
    env: { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/no/bus' },
  });
  expect(code).toBe(1);
  expect(err).toContain('/no/bus');
  expect(err).toContain('--cgroup-manager=cgroupfs');
});

test('delete --force of a running container stops its unit, whatever manager it is called with', async (t) => {
  const box = created(container(t));
  expect(box.leaksAfterForce()).toEqual([]);
  await until('the unit is gone', () => listed(box) === '');
  expect(readFileSync('/proc/1/comm', 'utf8')).toBe('systemd\n');
});
