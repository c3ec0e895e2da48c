// linux.resources: each limit is written, read back, and felt.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  capabilities,
  cgroupCount,
  cgroupFile,
  cgroupOf,
  type Container,
  container,
  expect,
  facts,
  hugePages,
  nullDisk,
  runtime,
  swapInMemory,
  test,
  until,
} from '../harness/index.ts';

const MIB = 1 << 20;

function limited(t: TestContext, resources: Record<string, unknown>): Container {
  return container(t, { linux: { resources } });
}

/** Runs the commands in a container that stays, so that its cgroup can be read; one line each. */
async function loaded(t: TestContext, resources: Record<string, unknown>, ...commands: string[]): Promise<Container> {
  const box = limited(t, resources);
  return finished(box, ...commands);
}

async function finished(box: Container, ...commands: string[]): Promise<Container> {
  box.created('sh', '-c', [...commands, 'echo finished', 'exec sleep 1000'].join('; ')).start();
  await until('the load is through', () => box.output().includes('finished'), 15);
  return box;
}

const said = (box: Container): Record<string, string> => facts(box.output());

const memory = { needs: ['controller:memory' as const] };
const cpu = { needs: ['controller:cpu' as const] };
const cpuset = { needs: ['controller:cpuset' as const] };
const pids = { needs: ['controller:pids' as const] };
const io = { needs: ['controller:io' as const, 'module:null_blk' as const] };

test('memory.limit: who takes more is killed, and exits with 137', memory, (t) => {
  const box = limited(t, { memory: { limit: 32 * MIB, swap: 32 * MIB } });
  const { code, out, err } = box.run('load', 'memory', '64');
  expect({ code, out }).toEqual({ code: 137, out: '' });
  if (runtime.family === 'tsrun') expect(err).toMatch(/out of memory \(OOM\): the kernel killed one process/);
});

test('memory.limit: the same exit code without an OOM kill says nothing of memory', memory, (t) => {
  const box = limited(t, { memory: { limit: 32 * MIB, swap: 32 * MIB } });
  expect(box.run('sh', '-c', 'exit 137')).toMatchObject({ code: 137, err: '' });
});

test('memory.limit: who stays below it is not disturbed', memory, (t) => {
  const box = limited(t, { memory: { limit: 32 * MIB, swap: 32 * MIB } });
  expect(box.run('load', 'memory', '16')).toMatchObject({ code: 0, out: 'used 16\n' });
});

test('memory.limit: memory.events counts the kill', memory, async (t) => {
  const box = await loaded(t, { memory: { limit: 32 * MIB, swap: 32 * MIB } }, 'load memory 64', 'echo code $?');
  expect(said(box)['code']).toBe('137');
  expect(cgroupFile(box, 'memory.max')).toBe(String(32 * MIB));
  expect(cgroupFile(box, 'memory.swap.max')).toBe('0');
  expect(cgroupCount(box, 'memory.events', 'oom_kill')).toBe(1);
  expect(box.state().status).toBe('running');
});

test('memory.swap: what is above memory.limit goes to swap, up to the difference', {
  needs: ['controller:memory', 'module:brd'],
}, async (t) => {
  swapInMemory(t);
  const box = await loaded(t, { memory: { limit: 16 * MIB, swap: 48 * MIB } }, 'load memory 32', 'load memory 96');
  expect(box.output()).toContain('used 32\n');
  expect(box.output()).not.toContain('used 96');
  expect(cgroupFile(box, 'memory.swap.max')).toBe(String(32 * MIB));
  expect(cgroupCount(box, 'memory.events', 'oom_kill')).toBe(1);
});

test('memory.reservation protects what is below it', memory, async (t) => {
  const box = await loaded(t, { memory: { reservation: 8 * MIB } }, 'load memory 1');
  expect(cgroupFile(box, 'memory.low')).toBe(String(8 * MIB));
});

test('unified: memory.high slows, and memory.events counts it', memory, async (t) => {
  const box = await loaded(t, { unified: { 'memory.high': String(8 * MIB) } }, 'load memory 8');
  expect(cgroupFile(box, 'memory.high')).toBe(String(8 * MIB));
  expect(cgroupCount(box, 'memory.events', 'high')).toBeGreaterThan(0);
});

test('unified: with memory.oom.group all of the container is killed together', memory, (t) => {
  const resources = { memory: { limit: 32 * MIB, swap: 32 * MIB }, unified: { 'memory.oom.group': '1' } };
  const { code, out } = limited(t, resources).run('sh', '-c', 'load memory 64; echo survived');
  expect({ code, out }).toEqual({ code: 137, out: '' });
});

test('unified wins over the field for the same file', pids, async (t) => {
  const box = await loaded(t, { pids: { limit: 100 }, unified: { 'pids.max': '7' } }, 'true');
  expect(cgroupFile(box, 'pids.max')).toBe('7');
});

test('pids.limit: a fork bomb is stopped', pids, async (t) => {
  const box = await loaded(t, { pids: { limit: 10 } }, 'load processes 100');
  // The shell and load itself are two of the ten.
  expect(said(box)['forked']).toBe('8 EAGAIN');
  expect(cgroupFile(box, 'pids.max')).toBe('10');
  expect(cgroupCount(box, 'pids.events', 'max')).toBeGreaterThan(0);
});

test('pids.limit: -1 is none', pids, (t) => {
  expect(limited(t, { pids: { limit: -1 } }).run('load', 'processes', '200').out).toBe('forked 200 ok\n');
});

test('cpu.quota: who wants all of a CPU gets the share and is throttled', cpu, async (t) => {
  const box = await loaded(t, { cpu: { quota: 20_000, period: 100_000 } }, 'load cpu 2');
  expect(Number(said(box)['percent'])).toBeLessThan(35);
  expect(cgroupFile(box, 'cpu.max')).toBe('20000 100000');
  expect(cgroupCount(box, 'cpu.stat', 'nr_throttled')).toBeGreaterThan(5);
});

test('cpu.burst: unused quota may be used later', {
  needs: ['controller:cpu'],
  except: { runc: 'runc 1.1 does not know it', crun: "Debian 12's crun does not know it" },
}, async (t) => {
  const box = await loaded(t, { cpu: { quota: 20_000, period: 100_000, burst: 10_000 } }, 'true');
  expect([cgroupFile(box, 'cpu.max'), cgroupFile(box, 'cpu.max.burst')]).toEqual(['20000 100000', '10000']);
});

test('cpu.shares: two containers on one CPU share it by their weights', {
  needs: ['controller:cpu', 'controller:cpuset'],
}, async (t) => {
  const boxes = [2, 262_144].map((shares) => limited(t, { cpu: { shares, cpus: '0' } }).created('load', 'cpu', '1000'));
  for (const box of boxes) box.start();
  const used = (): number[] => boxes.map((box) => cgroupCount(box, 'cpu.stat', 'usage_usec'));
  const [light = 0, heavy = 0] = used();
  let [lightMore, heavyMore] = [0, 0];
  await until('together they have computed for two seconds', () => {
    const [lightNow = 0, heavyNow = 0] = used();
    [lightMore, heavyMore] = [lightNow - light, heavyNow - heavy];
    return lightMore + heavyMore > 2_000_000;
  });
  expect(heavyMore).toBeGreaterThan(4 * lightMore);
});

test('cpu.cpus and cpu.mems confine', cpuset, async (t) => {
  const box = await loaded(t, { cpu: { cpus: '1', mems: '0' } }, 'grep allowed_list /proc/self/status');
  expect(box.output()).toMatch(/^Cpus_allowed_list:\s*1\nMems_allowed_list:\s*0\n/);
  expect(cgroupFile(box, 'cpuset.cpus.effective')).toBe('1');
});

test('cpu.cpus: a CPU that is not there is an error that leaves nothing', {
  needs: ['controller:cpuset'],
  except: { crun: "Debian 12's crun takes it" },
}, (t) => {
  const box = limited(t, { cpu: { cpus: '4000' } });
  const { code, err } = box.create('true');
  expect(code).toBe(1);
  expect(err).toContain('cpuset.cpus');
});

/** A container that may use the disk, with these limits of it. */
function withDisk(
  t: TestContext,
  limits: (disk: { major: number; minor: number }) => Record<string, unknown>,
): Container {
  const { major, minor } = nullDisk();
  return container(t, {
    process: { capabilities: capabilities('CAP_DAC_OVERRIDE') },
    linux: {
      devices: [{ path: '/dev/disk', type: 'b', major, minor, fileMode: 0o600 }],
      resources: {
        devices: [
          { allow: false, access: 'rwm' },
          { allow: true, type: 'b', major, minor, access: 'rw' },
        ],
        ...limits({ major, minor }),
      },
    },
  });
}

const reading = ['load', 'disk', '/dev/disk', 'r', '30', '65536'];
const writing = ['load', 'disk', '/dev/disk', 'w', '30', '65536'];

for (const [list, rate, line, commandLine] of [
  ['throttleReadBpsDevice', MIB, 'rbps=1048576 wbps=max riops=max wiops=max', reading],
  ['throttleWriteBpsDevice', MIB, 'rbps=max wbps=1048576 riops=max wiops=max', writing],
  ['throttleReadIOPSDevice', 20, 'rbps=max wbps=max riops=20 wiops=max', reading],
  ['throttleWriteIOPSDevice', 20, 'rbps=max wbps=max riops=max wiops=20', writing],
] as const) {
  test(`blockIO.${list} slows a device`, io, async (t) => {
    const command = commandLine.join(' ');
    const free = await finished(
      withDisk(t, () => ({})),
      command,
    );
    const slow = await finished(
      withDisk(t, (disk) => ({ blockIO: { [list]: [{ ...disk, rate }] } })),
      command,
    );
    const { major, minor } = nullDisk();
    expect(cgroupFile(slow, 'io.max')).toBe(`${major}:${minor} ${line}`);
    expect(Number(said(free)['ms'])).toBeLessThan(900);
    // 30 blocks of 64 KiB take 1.9 s at 1 MiB/s, and 1.5 s at 20 a second; the first slice is free.
    expect(Number(said(slow)['ms'])).toBeGreaterThan(1100);
  });
}

test('blockIO.weight becomes io.weight', {
  needs: ['controller:io', 'module:null_blk'],
  except: { crun: "Debian 12's crun writes io.bfq.weight only" },
}, async (t) => {
  const box = await finished(
    withDisk(t, () => ({ blockIO: { weight: 10 } })),
    'true',
  );
  // The weights of a disk's scheduler, which another test may have loaded, are those of OCI: 10 to 1000.
  const ofScheduler = existsSync(join(cgroupOf(box), 'io.bfq.weight'));
  expect(cgroupFile(box, ofScheduler ? 'io.bfq.weight' : 'io.weight')).toBe(`default ${ofScheduler ? 10 : 1}`);
});

test('blockIO: a device that is not there is an error that names it', {
  needs: ['controller:io'],
  only: ['tsrun'],
}, (t) => {
  const box = limited(t, { blockIO: { throttleReadBpsDevice: [{ major: 99, minor: 99, rate: 1 }] } });
  const { code, err } = box.create('true');
  expect(code).toBe(1);
  expect(err).toContain('io.max');
  expect(err).toContain('/linux/resources/blockIO/throttleReadBpsDevice/0/rate');
});

test('hugepageLimits: pages above the limit are refused', {
  needs: ['controller:hugetlb'],
}, async (t) => {
  hugePages(t, 4);
  const resources = { hugepageLimits: [{ pageSize: '2MB', limit: 4 * MIB }] };
  const box = await loaded(t, resources, 'load huge-pages 2', 'load huge-pages 3; echo code $?');
  expect(box.output()).toContain('used 2\n');
  expect(box.output()).not.toContain('used 3');
  expect(cgroupFile(box, 'hugetlb.2MB.max')).toBe(String(4 * MIB));
});

test('devices: a disk that is allowed for reading cannot be written', io, (t) => {
  const { major, minor } = nullDisk();
  const box = withDisk(t, () => ({
    devices: [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'b', major, minor, access: 'r' },
    ],
  }));
  expect(box.run('sh', '-c', 'probe open /dev/disk r; probe open /dev/disk w; probe open /dev/disk rw').out).toBe(
    '/dev/disk ok\n/dev/disk EPERM\n/dev/disk EPERM\n',
  );
});

test('devices: a disk of the host that no rule names cannot be opened', io, (t) => {
  const box = withDisk(t, () => ({ devices: [{ allow: false, access: 'rwm' }] }));
  expect(box.run('probe', 'open', '/dev/disk', 'r').out).toBe('/dev/disk EPERM\n');
});

test('all controllers at once', {
  needs: ['memory', 'cpu', 'cpuset', 'pids', 'io', 'hugetlb'].map((name) => `controller:${name}` as const),
}, async (t) => {
  const box = await loaded(
    t,
    {
      memory: { limit: 64 * MIB },
      cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0' },
      pids: { limit: 50 },
      hugepageLimits: [{ pageSize: '2MB', limit: 0 }],
      unified: { 'io.weight': 'default 50' },
    },
    'true',
  );
  const files = ['memory.max', 'cpu.max', 'cpuset.cpus', 'pids.max', 'hugetlb.2MB.max', 'io.weight'];
  expect(files.map((file) => cgroupFile(box, file))).toEqual([
    String(64 * MIB),
    '50000 100000',
    '0',
    '50',
    '0',
    'default 50',
  ]);
});
