// process.scheduler, ioPriority, execCPUAffinity, linux.memoryPolicy and personality: what is taken, and what they become.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CPU_MOST } from '../../src/linux/scheduling.ts';
import { planExecAffinity } from '../../src/plan/scheduling.ts';
import { parseNumberList } from '../../src/spec/number-list.ts';
import { all, planOf, smallConfig } from './plan-samples.ts';
import { type Json, complaints } from './spec-samples.ts';

type Case = readonly [name: string, change: (config: Json) => void, complaint: RegExp];

describe('parseSpec refuses', () => {
  const deadline = { policy: 'SCHED_DEADLINE', runtime: 10, deadline: 20, period: 30 };
  test.each<Case>([
    [
      'a misspelt policy',
      (c) => (c.process.scheduler.policy = 'FIFO'),
      /^\/process\/scheduler\/policy: .*"SCHED_FIFO"/,
    ],
    ['a policy of nothing', (c) => (c.process.scheduler = {}), /^\/process\/scheduler\/policy: .*, nothing/],
    [
      'realtime without priority',
      (c) => (c.process.scheduler = { policy: 'SCHED_RR' }),
      /scheduler\/priority: a priori/,
    ],
    [
      'a priority without realtime',
      (c) => (c.process.scheduler = { policy: 'SCHED_BATCH', priority: 1 }),
      /scheduler\/priority: \(nothing\) for SCHED_BATCH/,
    ],
    ['a priority of 100', (c) => (c.process.scheduler.priority = 100), /scheduler\/priority: an integer from 0 to 99/],
    ['a nice value of 20', (c) => (c.process.scheduler.nice = 20), /scheduler\/nice: an integer from -20 to 19/],
    ['an unknown flag', (c) => (c.process.scheduler.flags = ['RESET']), /scheduler\/flags\/0/],
    [
      'a runtime without deadline',
      (c) => (c.process.scheduler.runtime = 5),
      /scheduler\/runtime: \(nothing\) for SCHED/,
    ],
    [
      'SCHED_DEADLINE without a runtime',
      (c) => (c.process.scheduler = { ...deadline, runtime: 0 }),
      /scheduler\/runtime: nanoseconds/,
    ],
    [
      'a deadline before the runtime',
      (c) => (c.process.scheduler = { ...deadline, deadline: 9 }),
      /scheduler\/deadline: at least the runtime, 10, 9/,
    ],
    [
      'a period before the deadline',
      (c) => (c.process.scheduler = { ...deadline, period: 15 }),
      /scheduler\/period: at least the deadline, 20, 15/,
    ],
    ['a misspelt I/O class', (c) => (c.process.ioPriority.class = 'RT'), /ioPriority\/class: .*"IOPRIO_CLASS_RT"/],
    [
      'an I/O priority of 8',
      (c) => (c.process.ioPriority.priority = 8),
      /ioPriority\/priority: an integer from 0 to 7/,
    ],
    ['CPUs that are no list', (c) => (c.process.execCPUAffinity.initial = '0-'), /execCPUAffinity\/initial: a list of/],
    ['CPUs backwards', (c) => (c.process.execCPUAffinity.final = '3-1'), /execCPUAffinity\/final: a list of CPUs/],
    ['a console without a width', (c) => delete c.process.consoleSize.width, /^\/process\/consoleSize\/width/],
    ['an unknown personality', (c) => (c.linux.personality.domain = 'LINUX64'), /personality\/domain: .*"LINUX"/],
    ['a personality flag', (c) => (c.linux.personality.flags = ['X']), /personality\/flags\/0/],
    ['a misspelt memory policy', (c) => (c.linux.memoryPolicy.mode = 'BIND'), /memoryPolicy\/mode: .*"MPOL_BIND"/],
    ['a memory policy without nodes', (c) => delete c.linux.memoryPolicy.nodes, /memoryPolicy\/nodes: a list of NUMA/],
    ['nodes that are no list', (c) => (c.linux.memoryPolicy.nodes = 'all'), /memoryPolicy\/nodes: a list of NUMA/],
    [
      'nodes for the default policy',
      (c) => (c.linux.memoryPolicy = { mode: 'MPOL_DEFAULT', nodes: '0' }),
      /memoryPolicy\/nodes: \(nothing\) for MPOL_DEFAULT/,
    ],
    [
      'flags for the local policy',
      (c) => (c.linux.memoryPolicy = { mode: 'MPOL_LOCAL', flags: ['MPOL_F_STATIC_NODES'] }),
      /memoryPolicy\/flags: \(nothing\) for MPOL_LOCAL/,
    ],
    [
      'static and relative nodes',
      (c) => c.linux.memoryPolicy.flags.push('MPOL_F_RELATIVE_NODES'),
      /memoryPolicy\/flags: not both/,
    ],
    [
      'balancing beside another mode than bind',
      (c) => (c.linux.memoryPolicy = { mode: 'MPOL_INTERLEAVE', nodes: '0', flags: ['MPOL_F_NUMA_BALANCING'] }),
      /memoryPolicy\/flags: MPOL_F_NUMA_BALANCING only/,
    ],
  ])('%s', (_name, change, complaint) => {
    expect(complaints(change)).toEqual([expect.stringMatching(complaint)]);
  });
});

describe('a list of numbers', () => {
  test('is a mask of exactly its numbers', () => {
    const list = fc.array(fc.tuple(fc.nat(300), fc.nat(40)), { minLength: 1 });
    fc.assert(
      fc.property(list, (ranges) => {
        const text = ranges.map(([first, more]) => (more === 0 ? `${first}` : ` ${first}-${first + more}`)).join(',');
        const words = parseNumberList(text, CPU_MOST) ?? [];
        const isIn = (bit: number) => ranges.some(([first, more]) => bit >= first && bit <= first + more);
        for (let bit = 0; bit < 352; bit++) expect(((words[bit >>> 5] ?? 0) >>> (bit & 31)) & 1, text).toBe(+isIn(bit));
      }),
    );
  });

  test.each(['', ' ', ',', '-1', '1-', 'a', '0x1', '1:2', '8192', '3-2', '1 2', '99999999'])('is not %j', (text) => {
    expect(parseNumberList(text, CPU_MOST)).toBeUndefined();
  });
});

describe('the plan', () => {
  test('sets from outside what needs rights of the host', () => {
    const { host } = planOf(
      smallConfig((config) => {
        config.process.scheduler = { policy: 'SCHED_DEADLINE', runtime: 1, deadline: 2, period: 2 ** 64 };
        config.process.ioPriority = { class: 'IOPRIO_CLASS_RT', priority: 5 };
      }),
    );
    expect(all(host, 'setScheduler')).toMatchObject([
      { policy: 6, flags: 0, nice: 0, priority: 0, runtime: 1, deadline: 2, period: 2n ** 64n - 1n },
    ]);
    expect(all(host, 'setIoPriority')).toMatchObject([{ value: (1 << 13) | 5 }]);
  });

  test('gives nodes as words of 64 bits', () => {
    const { init } = planOf(
      smallConfig((config) => (config.linux.memoryPolicy = { mode: 'MPOL_BIND', nodes: '1,64' })),
    );
    expect(all(init, 'setMemoryPolicy')).toMatchObject([{ mode: 2, flags: 0, nodes: [2, 0, 1, 0] }]);
  });

  test('lets the container run on all CPUs, whatever its caller may use', () => {
    expect(all(planOf(smallConfig()).host, 'setAffinity')).toMatchObject([{ cpus: [], own: 0, optional: 1 }]);
  });

  test('of exec has initial CPUs for the runtime and final ones for the process', () => {
    expect(planExecAffinity({ initial: '0', final: '1' })).toMatchObject({
      before: [{ op: 'setAffinity', cpus: [1], own: 1, optional: 0 }],
      after: [{ op: 'setAffinity', cpus: [2], own: 0, optional: 0 }],
    });
    expect(planExecAffinity({ initial: '0' }).after).toMatchObject([{ cpus: [], own: 0, optional: 1 }]);
    expect(planExecAffinity(undefined).before).toEqual([]);
  });

  test.each(['apparmorProfile', 'selinuxLabel'] as const)('refuses %s where nobody would enforce it', (field) => {
    const config = smallConfig((c) => (c.process[field] = 'confined'));
    expect(() => planOf(config, {}, { appArmor: false, seLinux: false })).toThrow(
      new RegExp(`/process/${field}: expected \\(nothing\\), since (AppArmor|SELinux) is not enabled`),
    );
  });

  test('writes labels before descriptors are closed, through the own procfs', () => {
    const { init } = planOf(smallConfig((c) => Object.assign(c.process, { apparmorProfile: 'p', selinuxLabel: 'l' })));
    const ops = init.map(({ op }) => op);
    expect(all(init, 'writeLabel')).toMatchObject([
      { path: 'thread-self/attr/apparmor/exec', label: 'exec p' },
      { path: 'thread-self/attr/exec', label: 'l' },
    ]);
    expect(ops.indexOf('openProc')).toBeLessThan(ops.indexOf('writeLabel'));
    expect(ops.lastIndexOf('writeLabel')).toBeLessThan(ops.indexOf('closeDescriptors'));
  });
});
