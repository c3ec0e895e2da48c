// What the texts of a cgroup become: numbers, runc's JSON, Prometheus' text, a table.
import { describe, expect, test } from 'vitest';
import { parseBytes, parseDuration, parseInteger } from '../../src/cli/amounts.ts';
import { planUpdate } from '../../src/plan/update.ts';
import { eventLine, runcStats } from '../../src/stats/events.ts';
import { type CpuStats, parseStats } from '../../src/stats/parse.ts';
import { prometheusText } from '../../src/stats/prometheus.ts';
import type { Sample } from '../../src/stats/read.ts';
import { statsJson, statsTable, usages } from '../../src/stats/table.ts';

const files: Record<string, string> = {
  'cpu.stat':
    'usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 250000\n',
  'cpu.max': '50000 100000\n',
  'cpu.pressure': 'some avg10=1.50 avg60=0.70 avg300=0.10 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n',
  'memory.current': '1048576\n',
  'memory.max': 'max\n',
  'memory.peak': '2097152\n',
  'memory.swap.current': '4096\n',
  'memory.swap.max': '0\n',
  'memory.stat': 'anon 500\nfile 300\n',
  'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n',
  'pids.current': '5\n',
  'pids.max': '100\n',
  'io.stat': '8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n7:1 \n',
  'hugetlb.2MB.current': '2097152\n',
  'hugetlb.2MB.max': '9223372036852678656\n',
  'hugetlb.2MB.events': 'max 9\n',
  'rdma.current': 'mlx4_0 hca_handle=2 hca_object=2000\n',
};

const stats = parseStats((name) => files[name], Object.keys(files));
const sample: Sample = { id: 'web', pid: 7, uptime: 3725, at: 100, stats };

describe('parseStats', () => {
  test('reads every file', () => {
    expect(stats).toMatchObject({
      cpu: { usage: 1500000, throttledPeriods: 4, throttledTime: 250000, quota: 50000, period: 100000 },
      memory: { usage: 1048576, limit: Infinity, peak: 2097152, swapLimit: 0, oomKills: 2, limitHits: 3 },
      pids: { current: 5, limit: 100 },
      io: { '8:0': { rbytes: 10, wbytes: 20, wios: 2 }, '7:1': { rbytes: 0 } },
      hugetlb: { '2MB': { usage: 2097152, limit: Infinity, failures: 9 } },
      rdma: { mlx4_0: { handles: 2, objects: 2000 } },
      pressure: { cpu: { some: { avg10: 1.5, total: 123 }, full: { total: 7 } } },
    });
  });

  test('of an empty cgroup tells nothing', () => {
    expect(parseStats(() => undefined, [])).toEqual({ pressure: {} });
  });
});

describe('the JSON of events', () => {
  const data = JSON.parse(JSON.stringify(runcStats(stats)));

  test('has the units of runc: nanoseconds, and memory with swap', () => {
    expect(data.cpu.usage).toEqual({ total: 1.5e9, kernel: 5e8, user: 1e9 });
    expect(data.cpu.throttling).toEqual({ periods: 10, throttledPeriods: 4, throttledTime: 2.5e8 });
    expect(data.memory.usage).toMatchObject({ usage: 1048576, max: 2097152, failcnt: 3 });
    expect(data.memory.swap.usage).toBe(1048576 + 4096);
    expect(data.memory.raw).toEqual({ anon: 500, file: 300 });
    expect(data.pids).toEqual({ current: 5, limit: 100 });
    expect(data.blkio.ioServiceBytesRecursive).toContainEqual({ major: 8, op: 'Write', value: 20 });
  });

  test('has the greatest 64 bit number for no limit', () => {
    expect(eventLine('stats', 'web', runcStats(stats))).toContain('"usage":{"limit":18446744073709551615,');
  });

  test('of an OOM has no data', () => {
    expect(eventLine('oom', 'web')).toBe('{"type":"oom","id":"web"}');
  });
});

const cpuOf = (usage: number) => ({ ...parseStats((name) => files[name], []).cpu, usage }) as CpuStats;

describe('the table', () => {
  const later = { ...sample, at: 102, stats: { ...stats, cpu: cpuOf(2500000) } };

  test('shows CPU use since the last look', () => {
    expect(usages([later], [sample])[0]?.cpuPercent).toBe(50);
    expect(usages([later], [])[0]?.cpuPercent).toBeUndefined();
    expect(usages([later], [{ ...sample, pid: 8 }])[0]?.cpuPercent).toBeUndefined();
  });

  test('is for people', () => {
    const [head, row] = statsTable(usages([later], [sample])).split('\n');
    expect(head).toMatch(/^ID +CPU % +MEM \/ LIMIT/);
    expect(row).toMatch(/^web +50\.0% +1\.00MiB \/ none +- +5 \/ 100 +10B \/ 20B +4 of 10 +1\.5% - - +2 +1h2m$/);
  });

  test('as JSON has null for no limit', () => {
    expect(JSON.parse(statsJson(usages([sample], [])))).toMatchObject([
      { id: 'web', pid: 7, memory: { usage: 1048576, limit: null }, pids: { limit: 100 } },
    ]);
  });
});

describe('the text for Prometheus', () => {
  test('names each metric once, with its help and its type before it', () => {
    const text = prometheusText([sample, { ...sample, id: 'db' }]);
    expect(text).toContain(
      '# TYPE tsrun_container_memory_limit_bytes gauge\ntsrun_container_memory_limit_bytes{id="web"} +Inf\n',
    );
    expect(text).toContain('tsrun_container_io_bytes_total{id="db",device="8:0",operation="write"} 20\n');
    expect(text).toContain('tsrun_container_cpu_usage_seconds_total{id="web"} 1.5\n');
    const names = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test('of no containers is empty', () => {
    expect(prometheusText([])).toBe('');
  });
});

describe('planUpdate', () => {
  const hierarchy = { mount: '/sys/fs/cgroup', controllers: ['memory', 'pids', 'cpu'] };
  const cgroup = '/sys/fs/cgroup/a/b';
  const written = (steps: readonly { path?: string; value?: string }[]) =>
    steps.map(({ path, value }) => `${path?.slice('/sys/fs/cgroup'.length)} ${value}`);

  test('writes what changes, enables what is needed, and knows the way back', () => {
    const { resources, apply, restore } = planUpdate(
      { memory: { limit: 1000, swap: 2000 }, pids: { limit: 5 } },
      { memory: { limit: 1500 } },
      cgroup,
      hierarchy,
    );
    expect(resources).toEqual({ memory: { limit: 1500, swap: 2000 }, pids: { limit: 5 } });
    expect(written(apply as never)).toEqual([
      '/cgroup.subtree_control +pids +memory',
      '/a/cgroup.subtree_control +pids +memory',
      '/a/b/memory.swap.max 500',
      '/a/b/memory.max 1500',
    ]);
    expect(written(restore as never)).toEqual(['/a/b/memory.swap.max 1000', '/a/b/memory.max 1000']);
  });

  test('writes what is asked for even if it should be there: somebody else may have changed it', () => {
    const { apply } = planUpdate({ pids: { limit: 5 } }, { pids: { limit: 5 } }, cgroup, hierarchy);
    expect(written(apply as never)).toContain('/a/b/pids.max 5');
  });

  test('of nothing writes nothing', () => {
    expect(planUpdate({ pids: { limit: 5 } }, {}, cgroup, hierarchy).apply).toEqual([]);
  });

  test('refuses what the controllers cannot do', () => {
    expect(() => planUpdate({}, { rdma: { mlx: { hcaHandles: 1 } } }, cgroup, hierarchy)).toThrow(
      '/linux/resources/rdma/mlx',
    );
    expect(() => planUpdate({ memory: { swap: 5 } }, { memory: { limit: 10 } }, cgroup, hierarchy)).toThrow(
      'update: the new configuration',
    );
  });
});

describe('amounts on the command line', () => {
  test.each([
    ['64m', 67108864],
    ['64M', 67108864],
    ['1.5GiB', 1610612736],
    ['4096', 4096],
    ['1kb', 1024],
    ['2 t', 2199023255552],
    ['-1', -1],
  ])('%s are %d bytes', (text, bytes) => expect(parseBytes(text, 'memory', 'update')).toBe(bytes));
  test.each(['', 'm', '1x', '-5', '1e3', '1..2m'])('%j is no size', (text) =>
    expect(() => parseBytes(text, 'memory', 'update')).toThrow('--memory'),
  );
  test.each([
    ['5s', 5000],
    ['1h30m', 5400000],
    ['500ms', 500],
    ['2.5s', 2500],
  ])('%s are %d ms', (text, ms) => expect(parseDuration(text, 'interval', 'events')).toBe(ms));
  test.each(['', '5', '0s', 's', '5s x', '-5s'])('%j is no time', (text) =>
    expect(() => parseDuration(text, 'interval', 'events')).toThrow('--interval'),
  );
  test.each(['', '1.5', 'x', '9007199254740993'])('%j is no whole number', (text) =>
    expect(() => parseInteger(text, 'cpu-quota', 'update')).toThrow('--cpu-quota'),
  );
});
