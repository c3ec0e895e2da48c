// Id-mapped mounts: whose files they are inside, whose they become on the disk.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  baseNamespaces,
  capabilities,
  type Changes,
  type Container,
  container,
  expect,
  facts,
  type IdMapping,
  type Mount,
  runtime,
  test,
  userHolder,
} from '../harness/index.ts';

const only = { only: ['tsrun' as const], needs: ['kernel:5.12' as const] };
// /tmp may be a tmpfs, which can be mapped from Linux 6.3 on.
const onDisk = { ...only, needs: [...only.needs, 'id-mapped mounts of files' as const] };
const here: IdMapping[] = [{ containerID: 0, hostID: 5000, size: 1000 }];
const inside100k: IdMapping[] = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const user = { namespaces: [...baseNamespaces, { type: 'user' }], uidMappings: inside100k, gidMappings: inside100k };

/** A directory of the host that is mounted at /data. */
function withData(t: TestContext, mount: Partial<Mount>, changes: Changes = {}, owner?: number): [Container, string] {
  const box = container(t, changes, owner === undefined ? {} : { owner });
  const dir = box.path('data');
  mkdirSync(dir);
  for (const id of [0, 7]) {
    writeFileSync(join(dir, `of-${id}`), '');
    chownSync(join(dir, `of-${id}`), id, id);
  }
  box.config.mounts.push({ destination: '/data', type: 'bind', source: dir, ...mount });
  return [box, dir];
}

const all = capabilities('CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE');

test('mounts[].uidMappings: files of the disk have the mapped owner inside', onDisk, (t) => {
  const [box] = withData(t, { options: ['bind', 'idmap'], uidMappings: here, gidMappings: here });
  const { out, err } = box.run('probe', 'stat', '/data/of-0', '/data/of-7');
  expect(err).toBe('');
  expect(facts(out)).toEqual({ '/data/of-0': 'f 644 5000:5000', '/data/of-7': 'f 644 5007:5007' });
});

test('mounts[].uidMappings: without idmap among the options they hold all the same', onDisk, (t) => {
  const [box] = withData(t, { options: ['bind'], uidMappings: here, gidMappings: here });
  expect(box.run('probe', 'stat', '/data/of-7').out).toBe('/data/of-7 f 644 5007:5007\n');
});

test('mounts[].gidMappings: may differ from the mappings of users', onDisk, (t) => {
  const groups = [{ containerID: 7, hostID: 70, size: 1 }];
  const [box] = withData(t, { options: ['bind', 'idmap'], uidMappings: here, gidMappings: groups });
  expect(facts(box.run('probe', 'stat', '/data/of-0', '/data/of-7').out)).toEqual({
    '/data/of-0': 'f 644 5000:65534',
    '/data/of-7': 'f 644 5007:70',
  });
});

test('mounts[].uidMappings: what is made inside belongs on the disk to whom the mapping says', onDisk, (t) => {
  const [box, dir] = withData(
    t,
    { options: ['bind', 'idmap'], uidMappings: here, gidMappings: here },
    { process: { user: { uid: 5007, gid: 5007 } } },
  );
  chownSync(dir, 7, 7);
  expect(box.run('touch', '/data/new')).toMatchObject({ code: 0 });
  expect(statSync(join(dir, 'new'))).toMatchObject({ uid: 7, gid: 7 });
});

test('mounts[].options: idmap takes the mappings of the container', onDisk, (t) => {
  const [box, dir] = withData(
    t,
    { options: ['bind', 'idmap'] },
    { process: { capabilities: all }, linux: user },
    100_000,
  );
  const { out, err } = box.run('sh', '-c', 'probe stat /data/of-0 /data/of-7; touch /data/new');
  expect(err).toBe('');
  expect(facts(out)).toEqual({ '/data/of-0': 'f 644 0:0', '/data/of-7': 'f 644 7:7' });
  expect(statSync(join(dir, 'new'))).toMatchObject({ uid: 0, gid: 0 });
});

test('mounts[].options: idmap takes the mappings of a joined user namespace', onDisk, async (t) => {
  const { pid } = await userHolder(t);
  const namespaces = [...baseNamespaces, { type: 'user', path: `/proc/${pid}/ns/user` }];
  const [box] = withData(t, { options: ['bind', 'idmap'] }, { linux: { namespaces } }, 100_000);
  const { out, err } = box.run('probe', 'stat', '/data/of-7');
  expect(err).toBe('');
  expect(out).toBe('/data/of-7 f 644 7:7\n');
});

test('mounts[].uidMappings: of its own beside those of a user namespace', onDisk, (t) => {
  const [box] = withData(
    t,
    {
      options: ['bind', 'idmap'],
      uidMappings: [{ containerID: 7, hostID: 100_003, size: 1 }],
      gidMappings: inside100k,
    },
    { linux: user },
    100_000,
  );
  expect(box.run('probe', 'stat', '/data/of-7').out).toBe('/data/of-7 f 644 3:7\n');
});

function tree(t: TestContext, options: string[]): string {
  const [box, dir] = withData(t, { options, uidMappings: here, gidMappings: here });
  mkdirSync(`${dir}/sub`);
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', `${dir}/sub`]);
  t.onTestFinished(() => void spawnSync('umount', [`${dir}/sub`]));
  const { out, err } = box.run('probe', 'stat', '/data/of-0', '/data/sub');
  expect(err).toBe('');
  return out;
}

test('mounts[].options: ridmap maps the mounts below as well', { ...only, needs: ['kernel:6.3'] }, (t) => {
  expect(tree(t, ['rbind', 'ridmap'])).toBe('/data/of-0 f 644 5000:5000\n/data/sub d 755 5000:5000\n');
});

test('mounts[].options: idmap leaves the mounts below as they are', { ...only, needs: ['kernel:6.3'] }, (t) => {
  expect(tree(t, ['rbind', 'idmap'])).toBe('/data/of-0 f 644 5000:5000\n/data/sub d 755 0:0\n');
});

test('mounts[].options: idmap a new file system has mappings too', { ...only, needs: ['kernel:6.3'] }, (t) => {
  const box = container(t);
  box.config.mounts.push({
    destination: '/data',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['idmap', 'mode=755'],
    uidMappings: here,
    gidMappings: here,
  });
  expect(box.run('probe', 'stat', '/data').out).toBe('/data d 755 5000:5000\n');
});

test('mounts[].uidMappings: a file system that has no id-mapped mounts is an error that says so', only, (t) => {
  const box = container(t);
  const source = box.path('proc');
  mkdirSync(source);
  spawnSync('mount', ['-t', 'proc', 'proc', source]);
  t.onTestFinished(() => void spawnSync('umount', [source]));
  box.config.mounts.push({
    destination: '/data',
    type: 'bind',
    source,
    options: ['bind', 'idmap'],
    uidMappings: here,
    gidMappings: here,
  });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  expect(err).toMatch(/map ids \/data failed: .*EINVAL.*\/mounts\/\d+\/uidMappings.*no id-mapped mounts/);
});

test('mounts[].options: idmap without any mappings it is refused', {
  except: { runc: 'runc 1.1 takes it for data' },
}, (t) => {
  const [box] = withData(t, { options: ['bind', 'idmap'] });
  const { code, err } = box.run('true');
  expect(code).toBe(1);
  if (runtime.family === 'tsrun') expect(err).toContain('expected uidMappings and gidMappings beside idmap');
});

test('mounts[].uidMappings: many mounts with the same mappings', onDisk, (t) => {
  const [box, dir] = withData(t, { options: ['bind', 'idmap'] }, { linux: user }, 100_000);
  for (let i = 0; i < 40; i++)
    box.config.mounts.push({ destination: `/more/${i}`, type: 'bind', source: dir, options: ['bind', 'idmap', 'ro'] });
  expect(box.run('probe', 'stat', '/more/39/of-7').out).toBe('/more/39/of-7 f 644 7:7\n');
});
