// linux.cgroupsPath and linux.resources: where the container is counted, what it is limited to, and that it goes away.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  type Changes,
  capabilities,
  cgroupOf,
  cgroupRoot as root,
  cgroupsOf,
  type Container,
  container,
  controllers,
  expect,
  namespaces,
  nullDisk,
  weighingDisk,
  processesOf,
  quietly,
  test,
  until,
  withoutMount,
} from '../harness/index.ts';

const all = capabilities('CAP_MKNOD', 'CAP_SYS_ADMIN');

function limited(t: TestContext, resources: Record<string, unknown>, more: Changes = {}): Container {
  return container(t, { ...more, linux: { resources } });
}

test('by default the container has a cgroup of its own that carries its id', (t) => {
  const box = container(t).created('sleep', '100');
  expect(cgroupsOf(box.id)).toContain(cgroupOf(box));
  expect(readFileSync(join(cgroupOf(box), 'cgroup.procs'), 'utf8').trim()).toBe(String(box.state().pid));
});

test('an absolute cgroupsPath starts at the root of the hierarchy', (t) => {
  const box = container(t);
  box.config.linux.cgroupsPath = `/parent-${box.id}/child`;
  t.onTestFinished(() => quietly(() => rmdirSync(`${root}/parent-${box.id}`)));
  box.created('sleep', '100');
  expect(cgroupOf(box)).toBe(`${root}/parent-${box.id}/child`);
  box.delete('--force');
  expect(existsSync(`${root}/parent-${box.id}/child`)).toBe(false);
  quietly(() => rmdirSync(`${root}/parent-${box.id}`));
});

test("a relative cgroupsPath lies below a place of the runtime's choice", (t) => {
  const box = container(t);
  box.config.linux.cgroupsPath = `relative-${box.id}`;
  box.created('sleep', '100');
  expect(cgroupOf(box)).toMatch(new RegExp(`relative-${box.id}$`));
});

test('.. in cgroupsPath does not leave the hierarchy', {
  except: { crun: "Debian 12's crun is vulnerable: it makes the directory" },
}, (t) => {
  const box = container(t);
  box.config.linux.cgroupsPath = `/../../../up-${box.id}`;
  if (box.create('sleep', '100').code === 0) expect(cgroupOf(box).startsWith(`${root}/`)).toBe(true);
  expect(existsSync(`/up-${box.id}`)).toBe(false);
});

test('the cgroup is gone after delete', (t) => {
  const box = container(t).created('sleep', '100');
  const path = cgroupOf(box);
  box.delete('--force');
  expect(existsSync(path)).toBe(false);
});

test('the cgroup is gone after a foreground run', (t) => {
  const box = container(t);
  expect(box.run('true').code).toBe(0);
  expect(cgroupsOf(box.id)).toEqual([]);
});

test('what forked away from pid 1 is in the cgroup and is killed with it', async (t) => {
  const box = container(t);
  box.created('sh', '-c', 'probe fork-away; exec probe sleep').start();
  await until('both are up', () => box.output().match(/ready/g)?.length === 2);
  expect(
    readFileSync(join(cgroupOf(box), 'cgroup.procs'), 'utf8')
      .trim()
      .split('\n'),
  ).toHaveLength(2);
  box.delete('--force');
  expect(processesOf(box.traces)).toEqual([]);
});

test('cgroups that the container made below its own are removed too', async (t) => {
  const box = await container(t).started();
  const path = cgroupOf(box);
  for (const dir of ['a', 'a/b', 'c']) mkdirSync(join(path, dir));
  expect(box.delete('--force').code).toBe(0);
  expect(existsSync(path)).toBe(false);
});

test('a cgroup that exists and holds processes of others is not taken', { only: ['tsrun'] }, async (t) => {
  const first = await container(t).started();
  const second = container(t);
  second.config.linux.cgroupsPath = cgroupOf(first).slice(root.length);
  expect(second.create('true').code).toBe(1);
  expect(first.state().status).toBe('running');
});

test('cgroup.kill ends the container from outside', { needs: ['kernel:5.14'] }, async (t) => {
  const box = await container(t).started();
  writeFileSync(join(cgroupOf(box), 'cgroup.kill'), '1');
  await box.reaches('stopped');
});

// Proves: linux.resources.hugepageLimits[].pageSize, linux.resources.hugepageLimits[].limit
test('hugepageLimits are written', { needs: ['controller:hugetlb'] }, (t) => {
  const sizes = readdirSync('/sys/kernel/mm/hugepages');
  expect(sizes).toContain('hugepages-2048kB');
  const box = limited(t, { hugepageLimits: [{ pageSize: '2MB', limit: 8_388_608 }] }).created('sleep', '100');
  expect(readFileSync(join(cgroupOf(box), 'hugetlb.2MB.max'), 'utf8').trim()).toBe('8388608');
});

// Proves: linux.resources.unified
test('unified keys are written as they are', { needs: ['controller:hugetlb'] }, (t) => {
  const box = limited(t, { unified: { 'hugetlb.1GB.max': '2147483648' } }).created('sleep', '100');
  expect(readFileSync(join(cgroupOf(box), 'hugetlb.1GB.max'), 'utf8').trim()).toBe('2147483648');
});

test('cgroup.* keys of unified work without any controller', (t) => {
  const box = limited(t, { unified: { 'cgroup.max.descendants': '7' } }).created('sleep', '100');
  expect(readFileSync(join(cgroupOf(box), 'cgroup.max.descendants'), 'utf8').trim()).toBe('7');
});

for (const [key, why] of [
  ['nosuch.max', 'unknown'],
  ['../cgroup.procs', 'a path'],
  ['a/b', 'a path'],
] as const) {
  test(`a unified key that is ${why} (${key}) is refused`, (t) => {
    const result = limited(t, { unified: { [key]: '1' } }).create('true');
    expect(result.code).toBe(1);
    expect(result.err).toContain(key.split('.')[0] || key);
  });
}

const limits = [
  ['memory', { memory: { limit: 67_108_864 } }, 'memory.max', '67108864'],
  ['memory', { memory: { reservation: 33_554_432 } }, 'memory.low', '33554432'],
  ['memory', { memory: { limit: 67_108_864, swap: 100_663_296 } }, 'memory.swap.max', '33554432'],
  ['pids', { pids: { limit: 20 } }, 'pids.max', '20'],
  ['pids', { pids: { limit: -1 } }, 'pids.max', 'max'],
  ['cpu', { cpu: { quota: 50_000, period: 200_000 } }, 'cpu.max', '50000 200000'],
  ['cpu', { cpu: { shares: 1024 } }, 'cpu.weight', /^(39|100)$/],
  ['cpu', { cpu: { idle: 1 } }, 'cpu.idle', '1'],
  ['cpu', { cpu: { quota: 50_000, burst: 20_000 } }, 'cpu.max.burst', '20000'],
  ['pids', { pids: { limit: 0 } }, 'pids.max', '0'],
  ['memory', { unified: { 'memory.high': '33554432' }, memory: { limit: 67_108_864 } }, 'memory.high', '33554432'],
  ['memory', { unified: { 'memory.max': '33554432' }, memory: { limit: 67_108_864 } }, 'memory.max', '33554432'],
  ['cpuset', { cpu: { cpus: '0', mems: '0' } }, 'cpuset.cpus', '0'],
  ['io', { blockIO: { weight: 500 } }, 'io.weight', /^default \d+$/],
] as const;

// Proves: linux.resources.memory.limit, linux.resources.memory.reservation, linux.resources.memory.swap, linux.resources.pids.limit, linux.resources.cpu.quota, linux.resources.cpu.period, linux.resources.cpu.shares, linux.resources.cpu.idle, linux.resources.cpu.burst, linux.resources.cpu.cpus, linux.resources.cpu.mems, linux.resources.blockIO.weight
for (const [controller, resources, file, value] of limits) {
  test(`${JSON.stringify(resources)} arrives in ${file}`, { needs: [`controller:${controller}`] }, (t) => {
    const box = limited(t, resources).created('sleep', '100');
    expect(readFileSync(join(cgroupOf(box), file), 'utf8').trim()).toMatch(value);
  });

  // The same table says what must not be dropped in silence where the controller is missing.
  if (!controllers().includes(controller) && !file.endsWith('idle')) {
    test(`without the controller ${controller}, ${JSON.stringify(resources)} is an error that names it`, {
      only: ['tsrun'],
    }, (t) => {
      const box = limited(t, resources);
      const result = box.create('true');
      expect(result).toMatchObject({ code: 1, out: '' });
      expect(result.err).toContain(controller);
      expect(result.err).toContain(Object.keys(Object.values(resources)[0] ?? {})[0]);
      expect(box.leaks()).toEqual([]);
    });
  }
}

test('linux.resources.memory.checkBeforeUpdate: less than what is in use is refused', {
  needs: ['controller:memory'],
  only: ['tsrun'],
}, (t) => {
  const box = limited(t, { memory: { limit: 4096, checkBeforeUpdate: true } });
  const dir = join(root, `used-${box.id}`);
  mkdirSync(dir);
  t.onTestFinished(() => quietly(() => rmdirSync(dir)));
  // What a process of this cgroup read stays charged to it after its end.
  spawnSync('sh', ['-c', `echo $$ > ${dir}/cgroup.procs; head -c 20000000 /bin/busybox > ${box.path('file')}`]);
  box.config.linux.cgroupsPath = `/used-${box.id}`;
  expect(box.run('true')).toMatchObject({ code: 1, err: expect.stringContaining('checkBeforeUpdate') as string });
});

// Proves: linux.resources.memory.swappiness, linux.resources.memory.disableOOMKiller, linux.resources.memory.useHierarchy, linux.resources.blockIO.leafWeight, linux.resources.blockIO.weightDevice[].leafWeight
test('linux.resources.memory.kernel, linux.resources.memory.kernelTCP: have no effect, and that is told', {
  only: ['tsrun'],
}, (t) => {
  const box = limited(t, {
    memory: { kernel: 1e6, kernelTCP: 1e6, swappiness: 3, disableOOMKiller: true, useHierarchy: true },
    blockIO: { leafWeight: 100, weightDevice: [{ major: 8, minor: 0, leafWeight: 100 }] },
  });
  box.prepare(['true']);
  const log = box.path('log');
  const result = box.call('--log', [log, '--log-level', 'warning', 'run', '--bundle', box.bundle, box.id]);
  expect(result).toMatchObject({ code: 0 });
  const told = readFileSync(log, 'utf8');
  for (const field of ['kernel', 'kernelTCP', 'swappiness', 'disableOOMKiller'])
    expect(told).toContain(`/linux/resources/memory/${field} in config.json has no effect`);
  for (const field of ['leafWeight', 'weightDevice/0/leafWeight'])
    expect(told).toContain(`/linux/resources/blockIO/${field} in config.json has no effect`);
  expect(result.out).toBe('');
});

const onDisk = { needs: ['controller:io' as const, 'module:null_blk' as const] };

// Proves: linux.resources.blockIO.throttleReadBpsDevice[].*, linux.resources.blockIO.throttleWriteBpsDevice[].*, linux.resources.blockIO.throttleReadIOPSDevice[].*, linux.resources.blockIO.throttleWriteIOPSDevice[].*
test('the four throttles of a device arrive in io.max', onDisk, (t) => {
  const { major, minor } = nullDisk();
  const at = (rate: number) => [{ major, minor, rate }];
  const box = limited(t, {
    blockIO: {
      throttleReadBpsDevice: at(1048576),
      throttleWriteBpsDevice: at(2097152),
      throttleReadIOPSDevice: at(300),
      throttleWriteIOPSDevice: at(400),
    },
  }).created('sleep', '100');
  const found = readFileSync(join(cgroupOf(box), 'io.max'), 'utf8').trim();
  expect(found).toBe(`${major}:${minor} rbps=1048576 wbps=2097152 riops=300 wiops=400`);
});

// Proves: linux.resources.blockIO.weightDevice[].major, linux.resources.blockIO.weightDevice[].minor, linux.resources.blockIO.weightDevice[].weight
test('the weight of a device arrives in the file of the scheduler that is there', onDisk, (t) => {
  const { major, minor } = weighingDisk(t);
  const box = limited(t, { blockIO: { weightDevice: [{ major, minor, weight: 500 }] } }).created('sleep', '100');
  expect(readFileSync(join(cgroupOf(box), 'io.bfq.weight'), 'utf8')).toMatch(
    new RegExp(`^${major}:${minor} 500$`, 'm'),
  );
});

// Proves: linux.resources.rdma{}.hcaHandles, linux.resources.rdma{}.hcaObjects
test('limits of an RDMA device that is not there are a clear error', {
  needs: ['controller:rdma'],
  only: ['tsrun'],
}, (t) => {
  const { code, err } = limited(t, { rdma: { nope_0: { hcaHandles: 3, hcaObjects: 4 } } }).run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/rdma\.max.*\/linux\/resources\/rdma\/nope_0/);
});

// Proves: linux.resources.network.classID, linux.resources.network.priorities[].name, linux.resources.network.priorities[].priority, linux.resources.cpu.realtimeRuntime, linux.resources.cpu.realtimePeriod
for (const [name, resources] of [
  ['linux.resources.network.classID: is refused', { network: { classID: 5 } }],
  [
    'linux.resources.network.priorities[].name, linux.resources.network.priorities[].priority: are refused',
    { network: { priorities: [{ name: 'eth0', priority: 5 }] } },
  ],
  ['linux.resources.cpu.realtimeRuntime: is refused', { cpu: { realtimeRuntime: 5 } }],
  ['linux.resources.cpu.realtimePeriod: is refused', { cpu: { realtimePeriod: 5 } }],
] as const) {
  test(`${name}, since cgroup v2 has nothing for it`, { only: ['tsrun'] }, (t) => {
    const { code, err } = limited(t, resources).run('true');
    expect(code).toBe(1);
    expect(err).toContain(`/linux/resources/${Object.keys(resources)[0]}/`);
    expect(err).toContain('only cgroup v1');
  });
}

const owned = (path: string) => {
  const uid = (file: string) => statSync(join(path, file)).uid;
  return [uid(''), uid('cgroup.procs'), uid('cgroup.subtree_control'), uid('cgroup.threads'), uid('cgroup.freeze')];
};
const writableCgroup = withoutMount('/sys/fs/cgroup').concat({
  destination: '/sys/fs/cgroup',
  type: 'cgroup',
  source: 'cgroup',
  options: ['nosuid', 'noexec', 'nodev', 'rw'],
});

test('linux.cgroupsPath: the user of a container that may write to its cgroup owns it', {
  except: {
    runc: 'runc 1.1 gives it away under systemd only',
    crun: "Debian 12's crun gives it to the root of a user namespace only",
  },
}, (t) => {
  const box = container(t, { mounts: writableCgroup, process: { user: { uid: 1000, gid: 1000 } } }).created(
    'sleep',
    '9',
  );
  expect(owned(cgroupOf(box))).toEqual([1000, 1000, 1000, 1000, 0]);
});

test('linux.cgroupsPath: in a user namespace the owner is who the user is on the host', {
  needs: ['user namespaces'],
  except: { runc: 'runc 1.1 gives it away under systemd only' },
}, (t) => {
  const mappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount', 'user', 'cgroup'].map((type) => ({ type }));
  const linux = { namespaces, uidMappings: mappings, gidMappings: mappings };
  const box = container(t, { linux, mounts: writableCgroup }, { owner: 100000 });
  const script = 'mkdir /sys/fs/cgroup/below && echo 1 > /sys/fs/cgroup/below/cgroup.procs && cat /proc/self/cgroup';
  expect(box.run('sh', '-c', script)).toMatchObject({ code: 0, err: '' });
  box.created('sleep', '9');
  expect(owned(cgroupOf(box))).toEqual([100000, 100000, 100000, 100000, 0]);
});

for (const [name, changes] of [
  ['a read-only mount', {}],
  ['the cgroup namespace of the host', { ...namespaces({ without: ['cgroup'] }), mounts: writableCgroup }],
] as const) {
  test(`linux.cgroupsPath: with ${name} the cgroup stays that of the host's root`, (t) => {
    const box = container(t, { ...changes, process: { user: { uid: 1000, gid: 1000 } } }).created('sleep', '9');
    expect(owned(cgroupOf(box))).toEqual([0, 0, 0, 0, 0]);
  });
}

const denyAll = { allow: false, access: 'rwm' };
const crunNeeds = {
  except: { crun: 'it raises RLIMIT_MEMLOCK, which needs CAP_SYS_RESOURCE' },
  needs: ['CAP_BPF' as const],
};

// 1:99 does not exist: ENXIO says that the program let the open through, and no real device is touched.
const devices = [
  ['with all denied, an unknown device cannot be made', [denyAll], ['c', '7:77', 'r'], 'mknod ok\nopen EPERM'],
  ['with all denied, /dev/zero can be read all the same', [denyAll], ['c', '1:5', 'r'], 'mknod ok\nopen ok'],
  ['with all denied, kmsg cannot be opened', [denyAll], ['c', '1:11', 'r'], 'mknod ok\nopen EPERM'],
  [
    'one device is allowed by its numbers',
    [denyAll, { allow: true, type: 'c', major: 1, minor: 99, access: 'rwm' }],
    ['c', '1:99', 'r'],
    'mknod ok\nopen ENXIO',
  ],
  [
    'reading is allowed and writing is not',
    [denyAll, { allow: true, type: 'c', major: 1, minor: 99, access: 'rm' }],
    ['c', '1:99', 'w'],
    'mknod ok\nopen EPERM',
  ],
  [
    'a rule for one type is none for the other',
    [denyAll, { allow: true, type: 'b', major: 1, minor: 99, access: 'rwm' }],
    ['c', '1:99', 'r'],
    'mknod ok\nopen EPERM',
  ],
  [
    'a major number without a minor allows them all',
    [denyAll, { allow: true, type: 'c', major: 1, access: 'rwm' }],
    ['c', '1:99', 'r'],
    'mknod ok\nopen ENXIO',
  ],
  [
    'a later rule wins over an earlier one',
    [
      denyAll,
      { allow: true, type: 'c', major: 1, access: 'rwm' },
      { allow: false, type: 'c', major: 1, minor: 99, access: 'rwm' },
    ],
    ['c', '1:99', 'r'],
    'mknod ok\nopen EPERM',
  ],
] as const;

// Proves: linux.resources.devices[].*
for (const [name, rules, probed, answer] of devices) {
  const hole = name.startsWith('a later') ? { runc: 'runc 1.1 refuses a hole in a wildcard' } : {};
  test(`devices: ${name}`, { ...crunNeeds, except: { ...crunNeeds.except, ...hole } }, (t) => {
    const box = limited(t, { devices: rules }, { process: { capabilities: all } });
    expect(box.run('probe', 'device', ...probed).out.trim()).toBe(answer);
  });
}

test('devices: the default devices work under a rule that denies all', crunNeeds, (t) => {
  const box = limited(t, { devices: [denyAll] });
  const { code, out } = box.run(
    'sh',
    '-c',
    'for d in null zero full random urandom; do probe open /dev/$d r; done; probe open /dev/pts/ptmx rw',
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^(\/dev\/\S+ ok\n){6}$/);
});
