// Names, lengths and bytes that must not get through: ids that are paths, endless strings, the caller's environment.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { container, expect, runtime, test } from '../harness/index.ts';

const badIds = ['..', '.', 'a/b', '../../escape', 'a b', 'a\nb', '', '*', 'ü', `${'x'.repeat(5000)}`];

for (const id of badIds) {
  const shown = id.length > 20 ? `${id.slice(0, 3)}… of ${id.length} characters` : JSON.stringify(id);
  const lenient = id !== '.' && id !== '..' && !id.includes('/') && id !== '' && id !== 'a\nb' && id.length < 300;
  test(`the id ${shown} is refused and nothing is made of it`, {
    except: lenient ? { crun: 'it takes any name' } : {},
  }, (t) => {
    const box = container(t);
    const before = readdirSync(join(box.dir, '..')).toSorted();
    box.prepare(['true']);
    const result = box.call('create', ['--bundle', box.bundle, id]);
    expect(result.code).not.toBe(0);
    if (runtime.family === 'tsrun' && id !== '') expect(result.err).toContain('invalid container ID format');
    expect(readdirSync(join(box.dir, '..')).toSorted()).toEqual(before);
    expect(existsSync(join(box.dir, '../escape'))).toBe(false);
  });
}

for (const id of ['..', '../bundle', 'a/../../b']) {
  test(`delete --force of the id ${id} removes nothing`, {
    except: { crun: "Debian 12's crun is vulnerable: it removes the directory" },
  }, (t) => {
    const box = container(t);
    writeFileSync(box.path('canary'), 'alive');
    box.call('delete', ['--force', id]);
    expect(readFileSync(box.path('canary'), 'utf8')).toBe('alive');
    expect(existsSync(box.bundle)).toBe(true);
  });
}

test('a mount source of 70 000 characters is a clean error (CVE-2021-43784)', (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/mnt', type: 'bind', source: `/${'x'.repeat(70_000)}`, options: ['bind'] });
  expect(box.run('true')).toMatchObject({ code: 1, out: '' });
});

test('a NUL byte in a path is a clean error (CVE-2021-43784)', { except: { crun: 'it reads up to the NUL' } }, (t) => {
  const box = container(t);
  box.config.mounts.push({ destination: '/mnt\0/../../etc', type: 'tmpfs', source: 'tmpfs' });
  expect(box.run('true')).toMatchObject({ code: 1, out: '' });
});

test('the environment of the runtime does not reach the container (CVE-2016-9962)', (t) => {
  const box = container(t);
  box.prepare(['env']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { env: { HOST_SECRET: 'secret', LD_PRELOAD: '' } });
  expect(result.out).not.toContain('secret');
});
