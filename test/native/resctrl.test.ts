// linux.intelRdt on a CPU that has it, and the refusal on all others.
import { existsSync, readFileSync } from 'node:fs';
import { container, expect, test } from '../harness/index.ts';

const root = '/sys/fs/resctrl';

test('linux.intelRdt.schemata, linux.intelRdt.l3CacheSchema, linux.intelRdt.memBwSchema, linux.intelRdt.closID, linux.intelRdt.enableMonitoring: the process is in its groups', {
  needs: ['resctrl'],
}, (t) => {
  const line = readFileSync(`${root}/schemata`, 'utf8').trim().split('\n')[0] ?? '';
  const box = container(t, { linux: { intelRdt: { schemata: [line.trim()], enableMonitoring: true } } });
  box.created('sleep', '9');
  const pid = String(box.state().pid);
  const tasks = (group: string) => readFileSync(`${root}/${group}/tasks`, 'utf8').trim().split('\n');
  expect(tasks(box.id)).toContain(pid);
  expect(tasks(`${box.id}/mon_groups/${box.id}`)).toContain(pid);
  box.delete('--force');
  expect(existsSync(`${root}/${box.id}`)).toBe(false);
});

for (const field of ['closID', 'l3CacheSchema', 'memBwSchema'] as const) {
  test(`linux.intelRdt.${field}: without resctrl it is refused`, {
    needs: ['no resctrl'],
    except: {
      crun: "Debian 12's crun drops it",
      ...(field === 'closID' ? { runc: 'runc 1.1 drops a class without a schema' } : {}),
    },
  }, (t) => {
    const { code, err } = container(t, { linux: { intelRdt: { [field]: 'L3:0=f' } } }).run('true');
    expect(code).not.toBe(0);
    expect(err).toMatch(/intelRdt|Intel RDT/i);
  });
}

test('update --l3-cache-schema: without resctrl it is refused', { needs: ['no resctrl'], only: ['tsrun'] }, (t) => {
  const box = container(t).created('sleep', '9');
  const { code, err } = box.call('update', ['--l3-cache-schema', 'L3:0=f', box.id]);
  expect(code).toBe(1);
  expect(err).toContain('resctrl is not mounted');
});

test('update --l3-cache-schema, --mem-bw-schema: a container without a class gets one', { needs: ['resctrl'] }, (t) => {
  const box = container(t).created('sleep', '9');
  const line = readFileSync(`${root}/schemata`, 'utf8').trim().split('\n')[0] ?? '';
  expect(box.call('update', ['--l3-cache-schema', line.trim(), box.id])).toMatchObject({ code: 0 });
  expect(readFileSync(`${root}/${box.id}/tasks`, 'utf8').trim().split('\n')).toContain(String(box.state().pid));
  box.delete('--force');
  expect(existsSync(`${root}/${box.id}`)).toBe(false);
});
