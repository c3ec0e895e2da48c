import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cgroupWrites, sharesToWeight } from '../../src/cgroup/limits.ts';
import { ConfigError, type Problem } from '../../src/errors.ts';
import type { LinuxResources } from '../../src/spec/types.ts';

const everything = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc'];

/** `file=value` of each write, in order. */
const lines = (resources: LinuxResources): string[] =>
  cgroupWrites(resources, everything).writes.map(({ file, value }) => `${file}=${value}`);

const problems = (resources: LinuxResources, available = everything): readonly Problem[] => {
  try {
    cgroupWrites(resources, available);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

const pointers = (resources: LinuxResources): string[] => problems(resources).map(({ pointer }) => pointer);

describe('limits', () => {
  test('of nothing are no writes and no controllers', () => {
    expect(cgroupWrites({}, [])).toEqual({ writes: [], controllers: [], ignored: [] });
  });

  test('carry the pointer of their field and a reason', () => {
    const [write] = cgroupWrites({ memory: { limit: 1048576 } }, everything).writes;
    expect(write).toEqual({
      file: 'memory.max',
      value: '1048576',
      from: '/linux/resources/memory/limit',
      why: 'at most 1048576 bytes of memory',
    });
  });

  test('name each controller once, in the order of first use', () => {
    const resources = { pids: { limit: 5 }, memory: { limit: 4096, swap: 8192 }, cpu: { shares: 2, cpus: '0' } };
    expect(cgroupWrites(resources, everything).controllers).toEqual(['pids', 'memory', 'cpu', 'cpuset']);
  });

  test('are written in the order of runc, with unified last', () => {
    const resources: LinuxResources = {
      unified: { 'memory.max': '1' },
      rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } },
      hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }],
      cpu: { cpus: '0-1', shares: 1024 },
      blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }] },
      memory: { limit: 4096 },
      pids: { limit: 7 },
    };
    expect(lines(resources)).toEqual([
      'pids.max=7',
      'memory.max=4096',
      'io.max=8:0 rbps=600',
      'cpu.weight=100',
      'cpuset.cpus=0-1',
      'hugetlb.2MB.max=4194304',
      'hugetlb.2MB.rsvd.max=4194304',
      'rdma.max=mlx5_1 hca_handle=3 hca_object=10000',
      'memory.max=1',
    ]);
  });
});

describe('a limit whose controller is not available', () => {
  test('is an error that names the limit, the controller and a way out', () => {
    const [problem] = problems({ memory: { limit: 4096 } }, ['hugetlb']);
    expect(problem?.pointer).toBe('/linux/resources/memory/limit');
    expect(problem?.expected).toContain('"memory" is not available here (there is only hugetlb)');
    expect(problem?.found).toBe('4096');
    expect(problem?.hint).toContain('--cgroup-manager=disabled');
  });

  test('does not hide the others', () => {
    const resources: LinuxResources = {
      memory: { limit: 4096, reservation: 4096 },
      pids: { limit: 3 },
      cpu: { cpus: '0', idle: 7 },
      unified: { 'io.max': '8:0 rbps=1' },
      hugepageLimits: [{ pageSize: '2MB', limit: 0 }],
    };
    expect(problems(resources, ['hugetlb', 'cpu']).map(({ pointer }) => pointer)).toEqual([
      '/linux/resources/pids/limit',
      '/linux/resources/memory/limit',
      '/linux/resources/memory/reservation',
      '/linux/resources/cpu/idle',
      '/linux/resources/cpu/cpus',
      '/linux/resources/unified/io.max',
    ]);
  });

  test('is reported once, though it needs two files', () => {
    expect(problems({ hugepageLimits: [{ pageSize: '1GB', limit: 1 }] }, [])).toHaveLength(1);
  });
});

describe('memory', () => {
  test('writes the bound for swap before that for memory, as swap alone', () => {
    expect(lines({ memory: { limit: 1000, swap: 3000 } })).toEqual(['memory.swap.max=2000', 'memory.max=1000']);
  });

  test('equal to memory+swap forbids swap, and needs no file for that', () => {
    const [write] = cgroupWrites({ memory: { limit: 1000, swap: 1000 } }, everything).writes;
    expect(write).toMatchObject({ file: 'memory.swap.max', value: '0', ifMissing: 'ignore' });
  });

  test('with a real bound for swap needs the file', () => {
    const [write] = cgroupWrites({ memory: { limit: 1000, swap: 3000 } }, everything).writes;
    expect(write?.ifMissing).toBeUndefined();
  });

  test('without a limit is without a limit of swap too, as in cgroup v1', () => {
    expect(lines({ memory: { limit: -1 } })).toEqual(['memory.swap.max=max', 'memory.max=max']);
  });

  test('without a limit takes memory+swap as swap', () => {
    expect(lines({ memory: { limit: -1, swap: 5000 } })).toEqual(['memory.swap.max=5000', 'memory.max=max']);
  });

  test('takes -1 as max for swap and reservation', () => {
    expect(lines({ memory: { swap: -1, reservation: -1 } })).toEqual(['memory.swap.max=max', 'memory.low=max']);
  });

  test('takes 0 as not set', () => {
    expect(lines({ memory: { limit: 0, reservation: 0, swap: 0 } })).toEqual([]);
  });

  test('refuses less memory+swap than memory', () => {
    expect(pointers({ memory: { limit: 2000, swap: 1000 } })).toEqual(['/linux/resources/memory/swap']);
  });

  test('refuses memory+swap without memory', () => {
    expect(pointers({ memory: { swap: 1000 } })).toEqual(['/linux/resources/memory/swap']);
  });

  test('refuses negative numbers other than -1', () => {
    expect(pointers({ memory: { limit: -2, reservation: -5 } })).toEqual([
      '/linux/resources/memory/limit',
      '/linux/resources/memory/reservation',
    ]);
  });

  test('tells which fields cgroup v2 has nothing for', () => {
    const memory = { kernel: 1, kernelTCP: 1, swappiness: 10, disableOOMKiller: true, useHierarchy: true };
    const { writes, ignored, controllers } = cgroupWrites({ memory }, []);
    expect(writes).toEqual([]);
    expect(controllers).toEqual([]);
    expect(ignored.map(({ from }) => from.split('/').at(-1))).toEqual([
      'kernel',
      'kernelTCP',
      'swappiness',
      'disableOOMKiller',
    ]);
  });

  test('says nothing of an OOM killer that stays on', () => {
    expect(cgroupWrites({ memory: { disableOOMKiller: false } }, []).ignored).toEqual([]);
  });

  test('with checkBeforeUpdate must exceed what is in use', () => {
    const { writes } = cgroupWrites({ memory: { limit: 4096, checkBeforeUpdate: true } }, everything);
    expect(writes[0]).toMatchObject({ file: 'memory.max', mustExceed: 'memory.current' });
  });
});

describe('large numbers', () => {
  test('from 2^53 on are written in full', () => {
    expect(lines({ memory: { limit: 2 ** 60 } })).toEqual(['memory.max=1152921504606846976']);
  });

  test('where the kernel saturates become max', () => {
    expect(lines({ memory: { limit: JSON.parse('9223372036854771712') } })).toEqual(['memory.max=max']);
    expect(lines({ memory: { limit: 1e21, swap: 1e22 } })).toEqual(['memory.swap.max=max', 'memory.max=max']);
  });

  test('are subtracted exactly', () => {
    expect(lines({ memory: { limit: 2 ** 30, swap: 2 ** 60 } })).toEqual([
      'memory.swap.max=1152921503533105152',
      'memory.max=1073741824',
    ]);
  });

  test('never have an exponent, in whatever field', () => {
    const big = fc.oneof(fc.double({ min: 1, max: 1e300, noNaN: true }).map(Math.floor), fc.nat());
    fc.assert(
      fc.property(big, (rate) => {
        const device = [{ major: 8, minor: 0, rate }];
        const written = lines({
          memory: { limit: rate, reservation: rate, swap: rate },
          cpu: { shares: rate, quota: rate, period: rate },
          pids: { limit: rate },
          blockIO: { throttleReadBpsDevice: device, throttleWriteIOPSDevice: device },
          hugepageLimits: [{ pageSize: '2MB', limit: rate }],
          rdma: { mlx5: { hcaHandles: rate } },
        });
        for (const line of written) expect(line.split('=').at(-1)).toMatch(/^(max|\d+)( max| \d+)?$/);
      }),
    );
  });
});

describe('cpu', () => {
  test.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [102, 17],
    [512, 59],
    [1024, 100],
    [2048, 174],
    [262144, 10000],
    [1e30, 10000],
  ])('turns %d shares into a weight of %d', (shares, weight) => {
    expect(sharesToWeight(shares)).toBe(weight);
  });

  test('never gives fewer shares more weight', () => {
    fc.assert(
      fc.property(fc.nat(300000), fc.nat(300000), (a, b) => {
        expect(sharesToWeight(Math.min(a, b))).toBeLessThanOrEqual(sharesToWeight(Math.max(a, b)));
      }),
    );
  });

  test('shares of 0 are not set', () => {
    expect(lines({ cpu: { shares: 0 } })).toEqual([]);
  });

  test('quota and period are one write', () => {
    expect(lines({ cpu: { quota: 50000, period: 200000 } })).toEqual(['cpu.max=50000 200000']);
  });

  test('quota alone leaves the period as it is', () => {
    expect(lines({ cpu: { quota: 50000 } })).toEqual(['cpu.max=50000']);
  });

  test('a negative quota is no limit', () => {
    expect(lines({ cpu: { quota: -1, period: 100000 } })).toEqual(['cpu.max=max 100000']);
  });

  test('period alone is without a limit', () => {
    const [write] = cgroupWrites({ cpu: { period: 100000 } }, everything).writes;
    expect(write).toMatchObject({ value: 'max 100000', from: '/linux/resources/cpu/period' });
  });

  test('burst with a quota is set back first, so that any old values may precede', () => {
    expect(lines({ cpu: { quota: 50000, burst: 20000 } })).toEqual([
      'cpu.max.burst=0',
      'cpu.max=50000',
      'cpu.max.burst=20000',
    ]);
  });

  test('burst alone is one write', () => {
    expect(lines({ cpu: { burst: 20000 } })).toEqual(['cpu.max.burst=20000']);
  });

  test('burst above the quota is refused', () => {
    expect(pointers({ cpu: { quota: 1000, burst: 2000 } })).toEqual(['/linux/resources/cpu/burst']);
  });

  test('idle leaves out the weight, which the kernel would refuse', () => {
    const { writes, ignored } = cgroupWrites({ cpu: { idle: 1, shares: 1024 } }, everything);
    expect(writes.map(({ file }) => file)).toEqual(['cpu.idle']);
    expect(ignored.map(({ from }) => from)).toEqual(['/linux/resources/cpu/shares']);
  });

  test('not idle is written before the weight', () => {
    expect(lines({ cpu: { idle: 0, shares: 1024 } })).toEqual(['cpu.idle=0', 'cpu.weight=100']);
  });

  test('realtime limits are refused, unless they are 0', () => {
    expect(pointers({ cpu: { realtimeRuntime: 950000, realtimePeriod: 1000000 } })).toEqual([
      '/linux/resources/cpu/realtimeRuntime',
      '/linux/resources/cpu/realtimePeriod',
    ]);
    expect(lines({ cpu: { realtimeRuntime: 0, realtimePeriod: 0 } })).toEqual([]);
  });

  test('cpus and mems go to the cpuset controller', () => {
    expect(lines({ cpu: { cpus: '2-3', mems: '0' } })).toEqual(['cpuset.cpus=2-3', 'cpuset.mems=0']);
    expect(lines({ cpu: { cpus: '', mems: '' } })).toEqual([]);
  });
});

describe('pids', () => {
  test('a limit of 0 is a limit', () => {
    expect(lines({ pids: { limit: 0 } })).toEqual(['pids.max=0']);
  });

  test('a negative limit is none', () => {
    expect(lines({ pids: { limit: -1 } })).toEqual(['pids.max=max']);
  });

  test('a limit above what the kernel can have is none', () => {
    expect(lines({ pids: { limit: 4194304 } })).toEqual(['pids.max=4194304']);
    expect(lines({ pids: { limit: 4194305 } })).toEqual(['pids.max=max']);
  });
});

describe('blockIO', () => {
  test.each([
    [10, 'default 1'],
    [100, 'default 910'],
    [500, 'default 4950'],
    [1000, 'default 10000'],
  ])('weight %d goes to BFQ, or else to io.weight as %s', (weight, value) => {
    const [write] = cgroupWrites({ blockIO: { weight } }, everything).writes;
    expect(write).toMatchObject({
      file: 'io.bfq.weight',
      value: String(weight),
      ifMissing: { file: 'io.weight', value },
    });
  });

  test('weight of a device names the device in both files', () => {
    const resources = { blockIO: { weightDevice: [{ major: 8, minor: 16, weight: 1000 }] } };
    expect(cgroupWrites(resources, everything).writes).toMatchObject([
      {
        file: 'io.bfq.weight',
        value: '8:16 1000',
        from: '/linux/resources/blockIO/weightDevice/0/weight',
        ifMissing: { file: 'io.weight', value: '8:16 10000' },
      },
    ]);
  });

  test('weights outside of 10 to 1000 are refused', () => {
    expect(pointers({ blockIO: { weight: 9 } })).toEqual(['/linux/resources/blockIO/weight']);
    expect(pointers({ blockIO: { weight: 1001 } })).toEqual(['/linux/resources/blockIO/weight']);
  });

  test('leaf weights are ignored, and that is told', () => {
    const device = { major: 8, minor: 0, leafWeight: 300 };
    const { writes, ignored } = cgroupWrites({ blockIO: { leafWeight: 10, weightDevice: [device] } }, everything);
    expect(writes).toEqual([]);
    expect(ignored.map(({ from }) => from)).toEqual([
      '/linux/resources/blockIO/leafWeight',
      '/linux/resources/blockIO/weightDevice/0/leafWeight',
    ]);
  });

  test('each throttle is a key of io.max', () => {
    const on = (rate: number) => [{ major: 8, minor: 0, rate }];
    const blockIO = {
      throttleReadBpsDevice: on(100),
      throttleWriteBpsDevice: on(200),
      throttleReadIOPSDevice: on(300),
      throttleWriteIOPSDevice: on(400),
    };
    expect(lines({ blockIO })).toEqual([
      'io.max=8:0 rbps=100',
      'io.max=8:0 wbps=200',
      'io.max=8:0 riops=300',
      'io.max=8:0 wiops=400',
    ]);
  });

  test('a rate of 0 takes the throttle away, as in cgroup v1', () => {
    const blockIO = { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 0 }] };
    expect(lines({ blockIO })).toEqual(['io.max=8:0 rbps=max']);
  });
});

describe('huge pages', () => {
  test('are limited in use, and in reservations where the kernel counts them', () => {
    const { writes } = cgroupWrites({ hugepageLimits: [{ pageSize: '64KB', limit: 1000000 }] }, everything);
    expect(writes.map(({ file, ifMissing }) => [file, ifMissing])).toEqual([
      ['hugetlb.64KB.max', undefined],
      ['hugetlb.64KB.rsvd.max', 'ignore'],
    ]);
  });

  test('without a limit (2^64-1) are max', () => {
    expect(lines({ hugepageLimits: [{ pageSize: '1GB', limit: JSON.parse('18446744073709551615') }] })).toEqual([
      'hugetlb.1GB.max=max',
      'hugetlb.1GB.rsvd.max=max',
    ]);
  });

  test.each(['', '2', '2mb', '0MB', '../2MB', '2MB/../../x', '2MB\n'])('of size %j are refused', (pageSize) => {
    expect(pointers({ hugepageLimits: [{ pageSize, limit: 1 }] })).toEqual([
      '/linux/resources/hugepageLimits/0/pageSize',
    ]);
  });
});

describe('rdma', () => {
  test('writes what is set', () => {
    expect(lines({ rdma: { mlx4_0: { hcaObjects: 20 }, ocrdma1: {} } })).toEqual(['rdma.max=mlx4_0 hca_object=20']);
  });

  test('takes numbers that the kernel cannot hold as no limit', () => {
    expect(lines({ rdma: { mlx4_0: { hcaHandles: 4294967295 } } })).toEqual(['rdma.max=mlx4_0 hca_handle=max']);
  });

  test('refuses names that would be read as more than a name', () => {
    expect(pointers({ rdma: { 'a/b hca_handle=1': { hcaHandles: 1 } } })).toEqual([
      '/linux/resources/rdma/a~1b hca_handle=1',
    ]);
  });
});

describe('network', () => {
  test('classes and priorities are refused, since cgroup v2 has none', () => {
    expect(pointers({ network: { classID: 1, priorities: [{ name: 'eth0', priority: 1 }] } })).toEqual([
      '/linux/resources/network/classID',
      '/linux/resources/network/priorities',
    ]);
    expect(lines({ network: { classID: 0, priorities: [] } })).toEqual([]);
  });
});

describe('unified', () => {
  test('writes every key as it is', () => {
    expect(lines({ unified: { 'memory.high': 'max', 'misc.max': 'res_a 1' } })).toEqual([
      'memory.high=max',
      'misc.max=res_a 1',
    ]);
  });

  test('writes several lines one by one', () => {
    expect(lines({ unified: { 'io.max': '8:0 rbps=1\n8:16 wbps=2\n' } })).toEqual([
      'io.max=8:0 rbps=1',
      'io.max=8:16 wbps=2',
    ]);
  });

  test('writes an empty value', () => {
    expect(lines({ unified: { 'cpuset.cpus': '' } })).toEqual(['cpuset.cpus=']);
  });

  test('needs no controller for core files', () => {
    const { writes, controllers } = cgroupWrites({ unified: { 'cgroup.max.depth': '2' } }, []);
    expect(writes).toHaveLength(1);
    expect(controllers).toEqual([]);
  });

  test.each(['memory/../cgroup.procs', '../x.y', 'memory', '.max', 'memory.', '..', '', 'memory.max\n'])(
    'refuses the key %j',
    (key) => {
      expect(problems({ unified: { [key]: '1' } })).toHaveLength(1);
    },
  );

  test('escapes the key in the pointer', () => {
    expect(pointers({ unified: { 'a~/b': '1' } })).toEqual(['/linux/resources/unified/a~0~1b']);
  });
});

describe('known files', () => {
  const resources: LinuxResources = {
    blockIO: { weight: 10 },
    hugepageLimits: [{ pageSize: '2MB', limit: 1 }],
  };

  test('choose between alternatives and drop what is not there', () => {
    const { writes } = cgroupWrites(resources, everything, ['io.weight', 'hugetlb.2MB.max']);
    expect(writes.map(({ file, value }) => `${file}=${value}`)).toEqual(['io.weight=default 1', 'hugetlb.2MB.max=1']);
    expect(writes.some((write) => 'ifMissing' in write)).toBe(false);
  });

  test('keep the first choice if it is there', () => {
    const files = ['io.bfq.weight', 'io.weight', 'hugetlb.2MB.max', 'hugetlb.2MB.rsvd.max'];
    const { writes } = cgroupWrites(resources, everything, files);
    expect(writes.map(({ file }) => file)).toEqual(['io.bfq.weight', 'hugetlb.2MB.max', 'hugetlb.2MB.rsvd.max']);
  });
});
