// pause, resume, update, ps, events and stats: what they do to a container's cgroup, and what they tell of it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, container, expect, test, until } from '../harness/index.ts';

const cgroupOf = (box: Container): string => {
  const path = /^0::(.*)$/m.exec(readFileSync(`/proc/${box.state().pid}/cgroup`, 'utf8'))?.[1] ?? '';
  return `/sys/fs/cgroup${path}`;
};
const fileOf = (box: Container, name: string): string => readFileSync(join(cgroupOf(box), name), 'utf8').trim();

const COUNTING = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done';

test('pause stops the processes and resume lets them go on', async (t) => {
  const box = await container(t).started('sh', '-c', COUNTING);
  await box.says('3\n');
  expect(box.call('pause', [box.id])).toMatchObject({ code: 0, out: '', err: '' });
  expect(fileOf(box, 'cgroup.events')).toContain('frozen 1');
  expect(box.state().status).toBe('paused');
  const still = box.output();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(box.output()).toBe(still);
  expect(box.call('resume', [box.id])).toMatchObject({ code: 0, out: '', err: '' });
  expect(box.state().status).toBe('running');
  await until('it counts on', () => box.output().length > still.length);
});

test('a paused container can be killed and deleted', async (t) => {
  const box = await container(t).started();
  box.call('pause', [box.id]);
  expect(box.kill('KILL').code).toBe(0);
  await box.reaches('stopped');
  expect(box.delete().code).toBe(0);
});

test('delete --force takes a paused container away', async (t) => {
  const box = await container(t).started();
  box.call('pause', [box.id]);
  expect(box.leaksAfterForce()).toEqual([]);
});

test('pause and resume refuse what does not fit the status, in the words of runc', {
  except: { crun: 'has its own words' },
}, async (t) => {
  const box = await container(t).started();
  const refused = (verb: string) => {
    const result = box.call(verb, [box.id]);
    expect(result.code, verb).toBe(1);
    return result.err;
  };
  expect(refused('resume')).toContain('container not paused');
  box.call('pause', [box.id]);
  expect(refused('pause')).toContain('container not running');
  box.kill('KILL');
  await box.reaches('stopped');
  expect(refused('pause')).toContain('container not running');
  expect(refused('resume')).toContain('container not paused');
});

test('a created container that is paused cannot be started', { only: ['tsrun', 'runc'] }, (t) => {
  const box = container(t).created('true');
  box.call('pause', [box.id]);
  const { code, err } = box.start();
  expect(code).toBe(1);
  expect(err).toContain('cannot start a container in the paused state');
  box.call('resume', [box.id]);
  expect(box.start().code).toBe(0);
});

test('ps shows the processes of the container and no others', {
  needs: ['program:ps'],
  except: { crun: 'prints pids alone' },
}, async (t) => {
  const box = await container(t).started('sh', '-c', 'sleep 1001 & sleep 1002 & echo here; wait');
  await box.says('here');
  const { code, out } = box.call('ps', [box.id]);
  expect(code).toBe(0);
  const [head, ...lines] = out.trim().split('\n');
  expect(head).toMatch(/^UID +PID +PPID/);
  expect(lines).toHaveLength(3);
  expect(out).toContain('sleep 1001');
  expect(out).not.toContain('vitest');
});

test('ps passes options on to ps(1)', { needs: ['program:ps'], except: { crun: 'prints pids alone' } }, async (t) => {
  const box = await container(t).started();
  const { code, out } = box.call('ps', [box.id, '-o', 'pid,comm', '-e']);
  expect(code).toBe(0);
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/)),
  ).toEqual([
    ['PID', 'COMMAND'],
    [String(box.state().pid), 'probe'],
  ]);
});

test('ps --format json prints the pids', async (t) => {
  const box = await container(t).started();
  expect(JSON.parse(box.call('ps', ['--format', 'json', box.id]).out)).toEqual([box.state().pid]);
});

test('ps without a column of pids says so', { only: ['tsrun'], needs: ['program:ps'] }, async (t) => {
  const box = await container(t).started();
  const { code, err } = box.call('ps', [box.id, '-o', 'comm']);
  expect(code).toBe(1);
  expect(err).toContain('no column PID');
});

test('update changes a limit of a running container', { needs: ['controller:hugetlb'], only: ['tsrun'] }, async (t) => {
  const box = await container(t, {
    linux: { resources: { hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }] } },
  }).started();
  expect(fileOf(box, 'hugetlb.2MB.max')).toBe('4194304');
  writeFileSync(box.path('new.json'), JSON.stringify({ hugepageLimits: [{ pageSize: '2MB', limit: 2097152 }] }));
  expect(box.call('update', ['--resources', box.path('new.json'), box.id])).toMatchObject({ code: 0 });
  expect(fileOf(box, 'hugetlb.2MB.max')).toBe('2097152');
});

test('update --resources - reads stdin', { needs: ['controller:hugetlb'], only: ['tsrun'] }, async (t) => {
  const box = await container(t).started();
  writeFileSync(box.path('new.json'), JSON.stringify({ unified: { 'hugetlb.2MB.max': '6291456' } }));
  expect(box.call('update', ['-r', '-', box.id], { input: box.path('new.json') })).toMatchObject({ code: 0 });
  expect(fileOf(box, 'hugetlb.2MB.max')).toBe('6291456');
});

test('an update of which one limit is refused changes none', {
  needs: ['controller:hugetlb'],
  only: ['tsrun'],
}, async (t) => {
  const box = await container(t, { linux: { resources: { unified: { 'hugetlb.2MB.max': '4194304' } } } }).started();
  writeFileSync(
    box.path('new.json'),
    JSON.stringify({ unified: { 'hugetlb.2MB.max': '2097152', 'hugetlb.no.max': '1' } }),
  );
  const { code, err } = box.call('update', ['-r', box.path('new.json'), box.id]);
  expect(code).toBe(1);
  expect(err).toContain('/linux/resources/unified/hugetlb.no.max');
  expect(fileOf(box, 'hugetlb.2MB.max')).toBe('4194304');
});

test('update of a file that is no JSON, or of wrong types, names the place', { only: ['tsrun'] }, async (t) => {
  const box = await container(t).started();
  writeFileSync(box.path('new.json'), '{"memory": {"limit": "much"}, "pids": []}');
  const { code, err } = box.call('update', ['-r', box.path('new.json'), box.id]);
  expect(code).toBe(1);
  expect(err).toContain('/memory/limit');
  expect(err).toContain('/pids');
});

test('update of a stopped container is refused', { except: { crun: 'has its own words' } }, async (t) => {
  const box = await container(t).started('true');
  await box.reaches('stopped');
  const { code, err } = box.call('update', ['--pids-limit', '5', box.id]);
  expect(code).toBe(1);
  expect(err).toContain('container not running');
});

test('events --stats prints the numbers of the cgroup once, in the shape of runc', {
  only: ['tsrun', 'runc'],
}, async (t) => {
  const box = await container(t).started(
    'sh',
    '-c',
    'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; sleep 100',
  );
  await box.says('done');
  const { code, out } = box.call('events', ['--stats', box.id]);
  expect(code).toBe(0);
  const { type, id, data } = JSON.parse(out);
  expect([type, id]).toEqual(['stats', box.id]);
  const usage = Number(/usage_usec (\d+)/.exec(fileOf(box, 'cpu.stat'))?.[1]) * 1000;
  expect(data.cpu.usage.total).toBeGreaterThan(usage / 2);
  expect(data.cpu.usage.total).toBeLessThanOrEqual(usage);
  expect(Object.keys(data)).toEqual(
    expect.arrayContaining(['cpu', 'cpuset', 'memory', 'pids', 'blkio', 'hugetlb', 'intel_rdt', 'network_interfaces']),
  );
});

test('events tells again and again, and ends with the container', { only: ['tsrun'] }, async (t) => {
  const box = await container(t).started('sleep', '0.5');
  const { code, out } = box.call('events', ['--interval', '100ms', box.id]);
  expect(code).toBe(0);
  const lines = out.trim().split('\n');
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(JSON.parse(line).type).toBe('stats');
});

test('stats shows what all containers use', { only: ['tsrun'] }, async (t) => {
  const boxes = await Promise.all([1, 2, 3].map(() => container(t).started('sh', '-c', 'while :; do :; done')));
  const [box] = boxes as [Container];
  const { code, out } = box.call('stats', ['--no-stream', '--json']);
  expect(code).toBe(0);
  const list = JSON.parse(out) as { id: string; pid: number; cpuPercent: number; cpu: { usage: number } }[];
  for (const one of boxes) {
    const found = list.find(({ id }) => id === one.id);
    expect(found?.pid).toBe(one.state().pid);
    expect(found?.cpuPercent).toBeGreaterThan(1);
    const usage = Number(/usage_usec (\d+)/.exec(fileOf(one, 'cpu.stat'))?.[1]);
    expect(found?.cpu.usage).toBeGreaterThan(0);
    expect(found?.cpu.usage).toBeLessThanOrEqual(usage);
  }
});

test('stats of a stopped container is refused, and of all leaves it out', { only: ['tsrun'] }, async (t) => {
  const box = await container(t).started('true');
  await box.reaches('stopped');
  expect(box.call('stats', ['--no-stream', box.id])).toMatchObject({ code: 1 });
  expect(box.call('stats', ['--no-stream']).out).not.toContain(box.id);
});

test('stats of named containers ends with the last of them', { only: ['tsrun'] }, async (t) => {
  const box = await container(t).started('sleep', '0.4');
  const { code, out } = box.call('stats', ['--interval', '100ms', box.id]);
  expect(code).toBe(0);
  expect(out).toContain(`${box.id}  `);
});

test('stats --prometheus prints what a text file collector reads', { only: ['tsrun'] }, async (t) => {
  const box = await container(t).started();
  const { code, out } = box.call('stats', ['--prometheus', box.id]);
  expect(code).toBe(0);
  expect(out).toContain(`tsrun_container_cpu_usage_seconds_total{id="${box.id}"} `);
  for (const line of out.trim().split('\n')) {
    expect(line).toMatch(
      /^(# (HELP|TYPE) tsrun_container_\w+ .+|tsrun_container_\w+\{[^}]+\} (\d+(\.\d+)?(e-\d+)?|\+Inf))$/,
    );
  }
});

test('a container without a cgroup has nothing to pause', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  box.prepare(['sleep', '100']);
  box.call('--cgroup-manager=disabled', ['create', '--bundle', box.bundle, box.id]);
  const { code, err } = box.call('pause', [box.id]);
  expect(code).toBe(1);
  expect(err).toContain('has no cgroup');
  expect(existsSync(box.dir)).toBe(true);
});
