// One test per vulnerability that a runtime of this kind has had and that concerns run and create, named after it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import {
  baseMounts,
  capabilities,
  capabilityNames,
  type Container,
  container,
  expect,
  type Mount,
  mountInfo,
  namespaces,
  probe,
  programFiles,
  test,
  until,
  withoutMount,
} from '../harness/index.ts';

const everything = {
  process: {
    capabilities: capabilities(...capabilityNames.filter((name) => name !== 'CAP_SYS_RESOURCE')),
    noNewPrivileges: false,
  },
};

// A directory of the host that nothing may be added to, taken from or mounted on.
function canary(box: Container): string {
  const dir = box.path('canary');
  mkdirSync(join(dir, 'sub'), { recursive: true });
  writeFileSync(join(dir, 'file'), 'alive');
  return dir;
}

function expectAlive(dir: string, entries = ['file', 'sub']): void {
  expect(readdirSync(dir, { recursive: true, encoding: 'utf8' }).toSorted()).toEqual(entries);
  expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('alive');
}

function digests(): string[] {
  return programFiles().map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'));
}

test('CVE-2019-5736: a container cannot write the runtime through /proc/1/exe', async (t) => {
  const before = digests();
  const box = container(t, everything);
  // The program is its own interpreter: were init still the runtime's file, it would now be open for writing.
  writeFileSync(join(box.rootfs, 'bin/attack'), '#!/proc/self/exe\n', { mode: 0o755 });
  symlinkSync('/proc/self/exe', join(box.rootfs, 'bin/link'));
  for (const program of ['attack', 'link', '/proc/self/exe']) expect(box.run(program).code).toBeGreaterThan(0);
  expect(digests()).toEqual(before);
});

test('CVE-2019-5736: while created, init is a file that nobody can write', (t) => {
  const { pid } = container(t).created('sleep', '100').state();
  for (const file of programFiles()) expect(readFileSync(`/proc/${pid}/maps`, 'utf8')).not.toContain(`${file}\n`);
});

test("CVE-2019-5736: from a shared pid namespace, the runtime's own file cannot be opened for writing", {
  only: ['tsrun'],
}, async (t) => {
  const before = digests();
  const spy = container(t, { ...everything, ...namespaces({ without: ['pid'] }) });
  spy
    .created(
      'sh',
      '-c',
      'echo up; while :; do for p in /proc/[0-9]*; do case "$(readlink $p/exe)" in *tsrun*) (echo x >> $p/exe) 2>/dev/null && echo WROTE $p; esac; done; done',
    )
    .start();
  await spy.says('up');
  for (let round = 0; round < 10; round += 1) container(t).run('true');
  expect(digests()).toEqual(before);
});

for (const [cve, dir] of [
  ['CVE-2019-16884', '/proc'],
  ['CVE-2019-19921', '/proc'],
  ['CVE-2023-28642', '/sys'],
] as const) {
  for (const target of ['fake', '/fake', '/tmp']) {
    if (cve === 'CVE-2019-16884' && target !== 'fake') continue;
    test(`${cve}: ${dir} as a symlink to ${target} is refused`, {
      except: { crun: 'it mounts over what the link points at, in the root' },
    }, (t) => {
      const box = container(t);
      rmSync(join(box.rootfs, dir), { recursive: true });
      mkdirSync(join(box.rootfs, 'fake/self/attr'), { recursive: true });
      symlinkSync(target, join(box.rootfs, dir));
      const result = box.run('true');
      expect(result).toMatchObject({ code: 1, out: '' });
      expect(result.err).toMatch(/ordinary directory/);
      expect(box.leaks()).toEqual([]);
    });
  }
}

for (const destination of ['/proc/self/attr', '/proc/sys', '/proc/foo', '/proc/1']) {
  test(`CVE-2019-16884: a mount over ${destination} is refused`, {
    except: destination === '/proc/foo' ? {} : { crun: 'it allows that' },
  }, (t) => {
    const box = container(t);
    mkdirSync(box.path('decoy'));
    box.config.mounts.push({ destination, type: 'bind', source: box.path('decoy'), options: ['bind'] });
    const result = box.run('true');
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain('proc');
  });
}

test('CVE-2019-16884: a volume over the whole of /proc does not take the masks with it in silence', {
  except: { crun: 'it allows that' },
}, (t) => {
  const box = container(t);
  mkdirSync(box.path('decoy'));
  const mounts = [
    ...withoutMount('/proc'),
    { destination: '/proc', type: 'bind', source: box.path('decoy'), options: ['bind'] },
  ];
  box.config.mounts = mounts;
  expect(box.run('true').code).toBe(1);
});

// A container whose mount point lies in a volume where somebody swaps a directory with a symlink to the host.
async function race(
  t: TestContext,
  rounds: number,
  victim: (box: Container, canaryDir: string, volume: string) => void,
): Promise<string[]> {
  const owner = container(t);
  const canaryDir = canary(owner);
  const volume = owner.path('volume');
  mkdirSync(join(volume, 'point'), { recursive: true });
  symlinkSync(`${'../'.repeat(20)}${canaryDir}`, join(volume, 'link'));
  const attacker = spawn(probe, ['swap', join(volume, 'point'), join(volume, 'link')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.onTestFinished(() => void attacker.kill('SIGKILL'));
  let ready = false;
  attacker.stdout.on('data', () => (ready = true));
  await until('the attacker swaps', () => ready);
  const outputs: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const box = container(t);
    victim(box, canaryDir, volume);
    const { code, out } = box.run(
      'sh',
      '-c',
      'cat /proc/self/mountinfo; cat /volume/point/file /volume/link/file 2>/dev/null; true',
    );
    if (code === 0) outputs.push(out);
    expectAlive(canaryDir);
  }
  return outputs;
}

test('CVE-2021-30465: a symlink exchanged during create never opens the host', { timeout: 60_000 }, async (t) => {
  const outputs = await race(t, 40, (box, _, volume) => {
    box.config.mounts.push(
      { destination: '/volume', type: 'bind', source: volume, options: ['rbind'] },
      { destination: '/volume/point', type: 'tmpfs', source: 'raced' },
    );
  });
  for (const out of outputs) {
    expect(out).not.toContain('alive');
    expect(mountInfo(out.replace(/^[^\d].*\n?/gm, '')).filter(({ source }) => source === 'raced')).toHaveLength(1);
  }
});

test('CVE-2024-45310: a raced mount point creates no file or directory on the host', {
  timeout: 60_000,
  except: { runc: 'runc 1.1.5 is vulnerable' },
}, async (t) => {
  await race(t, 40, (box, canaryDir, volume) => {
    const file = join(canaryDir, 'file');
    box.config.mounts.push({ destination: '/volume', type: 'bind', source: volume, options: ['rbind'] });
    box.config.mounts.push(
      { destination: '/volume/point/new/dir', type: 'tmpfs', source: 'tmpfs' },
      { destination: '/volume/point/new-file', type: 'bind', source: file, options: ['bind', 'ro'] },
    );
  });
});

const cwds = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12].flatMap((fd) => [`/proc/self/fd/${fd}`, `/proc/self/fd/${fd}/../../..`]);

test('CVE-2024-21626: a cwd of /proc/self/fd/N leads nowhere outside', {
  timeout: 40_000,
  except: { crun: "Debian 12's crun is vulnerable" },
}, (t) => {
  for (const cwd of cwds) {
    const box = container(t, { process: { cwd } });
    box.prepare(['sh', '-c', 'pwd; ls -a']);
    // Descriptors of the caller make the attack as easy as it can be.
    const result = box.call('run', ['--bundle', box.bundle, box.id], {
      through: [probe, 'leak-fds', '8', canary(box)],
    });
    expect(result.out, cwd).not.toMatch(/^(file|sub)$|tsrun-test-/m);
    expect(result.code, cwd).toBeGreaterThan(0);
  }
});

test('CVE-2024-21626: a cwd that is a symlink to /proc/self/fd/N leads nowhere outside', (t) => {
  for (const fd of [3, 6, 7, 8]) {
    const box = container(t, { process: { cwd: '/foo' } });
    symlinkSync(`/proc/self/fd/${fd}`, join(box.rootfs, 'foo'));
    expect(box.run('ls', '-a').code).toBeGreaterThan(0);
  }
});

test('CVE-2024-21626: a program of /proc/self/fd/N/… is not found', (t) => {
  for (const fd of [3, 5, 6, 7, 8, 9, 10]) {
    expect(container(t).run(`/proc/self/fd/${fd}/../../../../bin/true`).code).toBeGreaterThan(0);
  }
});

test('CVE-2025-31133: a /dev/null that is a symlink does not uncover or mask something else', {
  except: { runc: 'runc 1.1.5 is vulnerable' },
}, (t) => {
  const box = container(t, { mounts: withoutMount('/dev') });
  symlinkSync('/proc/sys/kernel/core_pattern', join(box.rootfs, 'dev/null'));
  const result = box.run('sh', '-c', 'probe open /proc/timer_list w; probe stat /proc/timer_list');
  expect(result.code === 0 ? result.out : '').not.toMatch(/ f /);
  expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).not.toBe('');
});

test('CVE-2025-31133: with /dev a volume and null a link, core_pattern stays read-only', {
  except: { runc: 'runc 1.1.5 is vulnerable' },
}, (t) => {
  const box = container(t);
  const volume = box.path('volume');
  mkdirSync(volume);
  symlinkSync('/proc/sys/kernel/core_pattern', join(volume, 'null'));
  box.config.mounts = [
    ...withoutMount('/dev'),
    { destination: '/dev', type: 'bind', source: volume, options: ['bind'] },
  ];
  box.config.linux.maskedPaths = ['/proc/keys'];
  const result = box.run('sh', '-c', 'probe open /proc/keys w; probe open /proc/sys/kernel/core_pattern w');
  if (result.code === 0) expect(result.out).not.toContain('core_pattern ok');
  // A mask made from the link would be core_pattern itself under another name.
  if (result.code === 0) expect(box.run('cat', '/proc/keys').out).toBe('');
});

test('CVE-2025-52565: a planted /dev/console does not lead elsewhere', {
  needs: ['program:script'],
  except: { runc: 'runc 1.1.5 is vulnerable', crun: "Debian 12's crun is vulnerable" },
}, (t) => {
  const box = container(t, { process: { terminal: true }, mounts: withoutMount('/dev') });
  const dir = canary(box);
  symlinkSync(`${'../'.repeat(20)}${dir}/planted`, join(box.rootfs, 'dev/console'));
  box.config.mounts.push(baseMounts.find(({ type }) => type === 'devpts') as Mount);
  box.prepare(['sh', '-c', 'tty']);
  box.call('run', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', 'exec script -qefc "$(printf "%s " "$@")" /dev/null', 'sh'],
  });
  expectAlive(dir);
});

test('CVE-2025-52881: a sysctl is written into the real procfs or not at all', (t) => {
  const box = container(t, { linux: { sysctl: { 'net.ipv4.ip_forward': '1' } } });
  const decoy = box.path('decoy');
  mkdirSync(join(decoy, 'ipv4'), { recursive: true });
  writeFileSync(join(decoy, 'ipv4/ip_forward'), '0');
  box.config.mounts.push({ destination: '/proc/sys/net', type: 'bind', source: decoy, options: ['bind'] });
  box.run('true');
  expect(readFileSync(join(decoy, 'ipv4/ip_forward'), 'utf8')).toBe('0');
});

for (const [how, target] of [
  ['absolute', (dir: string) => dir],
  ['relative', (dir: string) => `${'../'.repeat(20)}${dir}`],
] as const) {
  test(`CVE-2026-41579: /dev as an ${how} symlink to the host changes nothing there`, {
    except: { runc: 'runc 1.1.5 is vulnerable', crun: "Debian 12's crun is vulnerable" },
  }, (t) => {
    const box = container(t, { mounts: withoutMount('/dev') });
    const dir = canary(box);
    writeFileSync(join(dir, 'ptmx'), '');
    rmSync(join(box.rootfs, 'dev'), { recursive: true });
    symlinkSync(target(dir), join(box.rootfs, 'dev'));
    box.run('true');
    expectAlive(dir, ['file', 'ptmx', 'sub']);
  });
}
