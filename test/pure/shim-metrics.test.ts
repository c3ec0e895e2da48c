// The files of a cgroup to the bytes that containerd's clients read.
import { expect, test } from 'vitest';
import { decode } from '../../src/proto/decode.ts';
import { encode } from '../../src/proto/encode.ts';
import { Metrics } from '../../src/shim/messages/metrics.ts';
import { metricsOf } from '../../src/shim/metrics.ts';
import { parseStats } from '../../src/stats/parse.ts';

const none = 18446744073709551615n;
const files: Record<string, string> = {
  'cpu.stat':
    'usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 250000\n',
  'cpu.pressure': 'some avg10=1.50 avg60=0.70 avg300=0.10 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.25 total=7\n',
  'memory.current': '1048576\n',
  'memory.max': 'max\n',
  'memory.peak': '2097152\n',
  'memory.swap.current': '4096\n',
  'memory.swap.max': '8192\n',
  'memory.swap.peak': '5000\n',
  'memory.stat':
    'anon 500\nfile 300\ninactive_file 20\npgfault 9\nworkingset_refault_anon 3\nworkingset_refault_file 4\nworkingset_activate 5\nsomething_new 7\n',
  'memory.events': 'low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n',
  'memory.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n',
  'pids.current': '5\n',
  'pids.max': 'max\n',
  'io.stat': '8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n7:1 \n',
  'io.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=2\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n',
  'hugetlb.2MB.current': '2097152\n',
  'hugetlb.2MB.max': '9223372036852678656\n',
  'hugetlb.1GB.current': '0\n',
  'hugetlb.1GB.max': '1073741824\n',
  'rdma.current': 'mlx4_0 hca_handle=2 hca_object=2000\n',
  'rdma.max': 'mlx4_0 hca_handle=3 hca_object=max\n',
};

const metrics = (from: Record<string, string>) =>
  decode(Metrics, encode(Metrics, metricsOf(parseStats((name) => from[name], Object.keys(from)))));

test('every file of a cgroup has its place', () => {
  const { memory, cpu, ...others } = metrics(files);
  expect(cpu).toEqual({
    usageUsec: 1500000,
    userUsec: 1000000,
    systemUsec: 500000,
    nrPeriods: 10,
    nrThrottled: 4,
    throttledUsec: 250000,
    PSI: {
      some: { avg10: 1.5, avg60: 0.7, avg300: 0.1, total: 123 },
      full: { avg10: 0, avg60: 0, avg300: 0.25, total: 7 },
    },
  });
  expect(memory).toMatchObject({
    anon: 500,
    file: 300,
    inactive_file: 20,
    pgfault: 9,
    pgmajfault: 0,
    workingset_refault: 7,
    workingset_activate: 5,
    usage: 1048576,
    usageLimit: none,
    swapUsage: 4096,
    swapLimit: 8192,
    maxUsage: 2097152,
    swapMaxUsage: 5000,
    PSI: { some: { total: 1 }, full: { total: 0 } },
  });
  expect(others).toEqual({
    pids: { current: 5, limit: none },
    rdma: {
      current: [{ device: 'mlx4_0', hcaHandles: 2, hcaObjects: 2000 }],
      limit: [{ device: 'mlx4_0', hcaHandles: 3, hcaObjects: 4294967295 }],
    },
    io: {
      usage: [
        { major: 8, minor: 16, rbytes: 10, wbytes: 20, rios: 1, wios: 2 },
        { major: 7, minor: 1, rbytes: 0, wbytes: 0, rios: 0, wios: 0 },
      ],
      PSI: {
        some: { avg10: 0, avg60: 0, avg300: 0, total: 2 },
        full: { avg10: 0, avg60: 0, avg300: 0, total: 3 },
      },
    },
    hugetlb: [
      { current: 2097152, max: none, pagesize: '2MB' },
      { current: 0, max: 1073741824, pagesize: '1GB' },
    ],
    memoryEvents: { low: 1, high: 2, max: 3, oom: 4, oomKill: 5 },
  });
});

test('a controller that is not there has no numbers', () => {
  const { cpu, ...others } = metrics({ 'cpu.stat': 'usage_usec 3\n' });
  expect(cpu).toMatchObject({ usageUsec: 3, PSI: undefined });
  expect(others).toEqual({
    pids: undefined,
    memory: undefined,
    rdma: undefined,
    io: undefined,
    hugetlb: [],
    memoryEvents: undefined,
  });
});
