// Annotations that crun gave a meaning, and that engines set.
import { readFileSync, writeFileSync } from 'node:fs';
import { container, expect, facts, type Hook, test } from '../harness/index.ts';

const crunOnly = { runc: 'runc does not know the annotations of crun' };

for (const [value, kept] of [
  ['1', '7 8 9'],
  ['0', ''],
] as const) {
  test(`annotations: run.oci.keep_original_groups=${value}`, {
    except: crunOnly,
  }, (t) => {
    const box = container(t, { annotations: { 'run.oci.keep_original_groups': value } });
    box.prepare(['probe', 'ids']);
    const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['setpriv', '--groups', '7,8,9'] });
    expect(facts(result.out)['groups']?.replace('groups', '')).toBe(kept);
  });
}

test('annotations: run.oci.keep_original_groups keeps the rights of groups that a user namespace does not map', {
  except: crunOnly,
  needs: ['user namespaces'],
}, (t) => {
  const mappings = [{ containerID: 0, hostID: 100000, size: 1000 }];
  const linux = {
    namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'user'].map((type) => ({ type })),
    uidMappings: mappings,
    gidMappings: mappings,
  };
  const box = container(t, { linux, annotations: { 'run.oci.keep_original_groups': '1' } }, { owner: 100000 });
  box.prepare(['probe', 'ids']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['setpriv', '--groups', '5000,5001'] });
  expect(facts(result.out)['groups']).toBe('65534 65534');
});

test('annotations: run.oci.hooks.stdout and run.oci.hooks.stderr get what all hooks print', {
  except: crunOnly,
}, (t) => {
  const box = container(t);
  const [out, err] = [box.path('hooks.out'), box.path('hooks.err')];
  writeFileSync(out, 'before\n');
  box.config.annotations = { 'run.oci.hooks.stdout': out, 'run.oci.hooks.stderr': err };
  const says = (name: string): Hook => ({
    path: '/bin/sh',
    args: ['sh', '-c', `cat > /dev/null; echo ${name}; echo ${name} failed >&2`],
  });
  const names = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];
  box.config.hooks = Object.fromEntries(names.map((name) => [name, [says(name)]]));
  expect(box.run('sh', '-c', 'echo program; ls /proc/self/fd')).toMatchObject({
    code: 0,
    out: 'program\n0\n1\n2\n3\n',
  });
  expect(readFileSync(out, 'utf8').trim().split('\n')).toEqual(['before', ...names]);
  expect(readFileSync(err, 'utf8').trim().split('\n')).toEqual(names.map((name) => `${name} failed`));
});

test('annotations: one file of hooks that cannot be opened is a clear error', { only: ['tsrun'] }, (t) => {
  const box = container(t, {
    annotations: { 'run.oci.hooks.stderr': '/no/such/directory/log' },
    hooks: { createContainer: [{ path: '/bin/true' }] },
  });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/open hook output failed: openat \/no\/such\/directory\/log: no such file or directory/);
  expect(err).toContain('/annotations/run.oci.hooks.stderr');
});

test('annotations: without those, what a hook says is told only when it fails', { only: ['tsrun'] }, (t) => {
  const box = container(t, {
    hooks: { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'echo a reason >&2; exit 3'] }] },
  });
  expect(box.run('true').err).toMatch(/failed with exit status 3: a reason/);
});
