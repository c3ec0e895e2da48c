// linux.netDevices, in a network namespace of the test's own that stands for the host's.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'vitest';
import {
  type Changes,
  capabilities,
  type Container,
  container,
  expect,
  type Result,
  test,
  until,
} from '../harness/index.ts';

const old = { runc: "Debian 12's runc does not know the field", crun: "Debian 12's crun does not know the field" };
const needs = ['program:ip', 'program:unshare'] as const;

/** Runs the container where `ip` made these devices; what `after` prints on that host stands behind its output. */
function runWith(box: Container, setup: string[], after: string, ...args: string[]): Result & { host: string } {
  box.prepare(args);
  const script = box.path('host.sh');
  writeFileSync(script, `set -e\n${setup.join('\n')}\n"$@" || code=$?\n(${after}) > ${box.path('host')}\nexit $code\n`);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['unshare', '--net', 'sh', script] });
  return { ...result, host: spawnSync('cat', [box.path('host')], { encoding: 'utf8' }).stdout };
}

const veth = 'ip link add tt0 type veth peer name tt1';
const withDevices = (t: TestContext, netDevices: Record<string, { name?: string }>, more: Changes = {}) =>
  container(t, { ...more, linux: { ...more.linux, netDevices } });

test('linux.netDevices, linux.netDevices{}.name: the device leaves the host and is up inside under its new name', {
  except: old,
  needs: [...needs],
}, (t) => {
  const box = withDevices(t, { tt0: { name: 'net0' } });
  const result = runWith(box, [veth], 'ip -o link', 'ip', '-o', 'link', 'show', 'net0');
  expect(result).toMatchObject({ code: 0 });
  expect(result.out).toMatch(/net0@\S+: <[^>]*\bUP\b/);
  expect(result.host).not.toContain('tt0:');
  expect(result.host).toContain('tt1@');
});

test('linux.netDevices: without a new name it keeps its own', { except: old, needs: [...needs] }, (t) => {
  const result = runWith(withDevices(t, { tt0: {} }), [veth], 'true', 'ip', '-o', 'link', 'show', 'tt0');
  expect(result).toMatchObject({ code: 0 });
});

test('linux.netDevices: permanent global addresses come along, others do not', {
  except: old,
  needs: [...needs],
}, (t) => {
  const box = withDevices(t, { tt0: { name: 'net0' } });
  const setup = [
    veth,
    'ip addr add 192.0.2.7/24 dev tt0',
    'ip addr add 192.0.2.8/25 dev tt0 label tt0:1',
    'ip addr add 198.51.100.1 peer 198.51.100.2/32 dev tt0',
    'ip addr add 169.254.7.7/16 scope link dev tt0',
    'ip addr add 203.0.113.9/24 dev tt0 valid_lft 1000 preferred_lft 1000',
    'ip -6 addr add 2001:db8::7/64 dev tt0 nodad',
  ];
  const { code, out } = runWith(box, setup, 'true', 'ip', '-o', 'addr', 'show', 'dev', 'net0');
  expect(code).toBe(0);
  expect(out).toMatch(/inet 192\.0\.2\.7\/24 .*scope global.* net0\b/);
  expect(out).toContain('inet 192.0.2.8/25');
  expect(out).toMatch(/inet 198\.51\.100\.1 peer 198\.51\.100\.2\/32/);
  expect(out).toContain('inet6 2001:db8::7/64');
  expect(out).not.toContain('169.254.7.7');
  expect(out).not.toContain('203.0.113.9');
});

test('linux.netDevices: MTU and hardware address stay', { except: old, needs: [...needs] }, (t) => {
  const box = withDevices(t, { tt0: {} });
  const setup = [veth, 'ip link set tt0 mtu 1234 address 02:00:00:00:00:99'];
  const { out } = runWith(box, setup, 'true', 'ip', 'link', 'show', 'tt0');
  expect(out).toMatch(/mtu 1234[^]*02:00:00:00:00:99/);
});

test('linux.netDevices: hooks and kernel parameters find the device', { except: old, needs: [...needs] }, (t) => {
  const box = withDevices(
    t,
    { tt0: { name: 'net0' } },
    { linux: { sysctl: { 'net.ipv4.conf.net0.forwarding': '1' } }, process: { capabilities: capabilities() } },
  );
  const result = runWith(box, [veth], 'true', 'cat', '/proc/sys/net/ipv4/conf/net0/forwarding');
  expect(result).toMatchObject({ code: 0, out: '1\n' });
});

test('linux.netDevices: into a user namespace', { except: old, needs: [...needs, 'user namespaces'] }, (t) => {
  const mappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount', 'user'].map((type) => ({ type }));
  const linux = { namespaces, uidMappings: mappings, gidMappings: mappings, netDevices: { tt0: {} } };
  const box = container(t, { linux }, { owner: 100000 });
  const setup = [veth, 'ip addr add 192.0.2.7/24 dev tt0'];
  const result = runWith(box, setup, 'true', 'ip', '-o', 'addr', 'show', 'tt0');
  expect(result).toMatchObject({ code: 0 });
  expect(result.out).toContain('192.0.2.7/24');
});

test('linux.netDevices: into a network namespace that is joined', { except: old, needs: [...needs] }, async (t) => {
  const other = await container(t).started();
  const path = `/proc/${other.state().pid}/ns/net`;
  const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type): { type: string; path?: string } => ({ type }));
  const box = container(t, {
    linux: { namespaces: [...namespaces, { type: 'network', path }], netDevices: { tt0: {} } },
  });
  const result = runWith(box, [veth], 'ip -o link', 'ip', '-o', 'link', 'show', 'tt0');
  expect(result).toMatchObject({ code: 0 });
  expect(result.host).not.toContain('tt0@');
  await until('the other container has it', () => other.state().status === 'running');
});

test('linux.netDevices: a device that is not there is a clear error, and leaves nothing', {
  only: ['tsrun'],
  needs: [...needs],
}, (t) => {
  const { code, err } = runWith(withDevices(t, { nope0: {} }), [], 'true', 'true');
  expect(code).toBe(1);
  expect(err).toMatch(
    /move net device failed: RTM_GETLINK nope0: no such device \(ENODEV\).*\/linux\/netDevices\/nope0/,
  );
});

test('linux.netDevices: a name that is taken inside keeps the device on the host', {
  only: ['tsrun'],
  needs: [...needs],
}, (t) => {
  const result = runWith(withDevices(t, { tt0: { name: 'lo' } }), [veth], 'ip -o link', 'true');
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/RTM_GETLINK lo: file exists \(EEXIST\)/);
  expect(result.host).toContain('tt0@');
});

test("linux.netDevices: one that may not move is refused in the kernel's words", {
  only: ['tsrun'],
  needs: [...needs],
}, (t) => {
  const { code, err } = runWith(withDevices(t, { lo: { name: 'lo1' } }), [], 'true', 'true');
  expect(code).toBe(1);
  expect(err).toMatch(/move net device failed: RTM_NEWLINK lo: invalid argument \(EINVAL\)/);
});
