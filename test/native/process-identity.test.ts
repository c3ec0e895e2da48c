// process.user, capabilities, rlimits, noNewPrivileges, oomScoreAdj and the names of the host: who the program is.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  capabilities,
  capabilityNames,
  capabilitySet,
  container,
  expect,
  facts,
  inside,
  test,
} from '../harness/index.ts';

const some = ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW'];
const sets = ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'] as const;

function capsInside(t: Parameters<typeof inside>[0], changes: Parameters<typeof inside>[1]): Record<string, string[]> {
  const masks = facts(inside(t, changes, 'probe', 'caps'));
  return Object.fromEntries(sets.map((set) => [set, capabilitySet(masks[set])]));
}

// Proves: process.user.uid, process.user.gid, process.user.additionalGids
test('uid, gid and additional groups are those of the config', (t) => {
  const user = { uid: 1234, gid: 5678, additionalGids: [10, 20, 30] };
  expect(facts(inside(t, { process: { user } }, 'probe', 'ids'))).toEqual({
    uid: '1234 1234 1234',
    gid: '5678 5678 5678',
    groups: '10 20 30',
  });
});

test('the groups of the caller are dropped', (t) => {
  const box = container(t);
  box.prepare(['probe', 'ids']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], { through: ['setpriv', '--groups', '7,8,9'] });
  expect(facts(result.out)['groups']).toMatch(/^(groups)?$/);
});

// Proves: process.user.umask
for (const umask of [0o000, 0o027, 0o077]) {
  test(`umask ${umask.toString(8).padStart(3, '0')} is set`, (t) => {
    expect(facts(inside(t, { process: { user: { umask } } }, 'probe', 'process'))['umask']).toBe(umask.toString(8));
  });
}

test('without a umask in the config it is 022, whatever the caller has', (t) => {
  const box = container(t);
  box.prepare(['probe', 'process']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', 'umask 077; exec "$@"', 'sh'],
  });
  expect(facts(result.out)['umask']).toBe('22');
});

test('bounding, effective and permitted are exactly the configured sets, the others empty', (t) => {
  const expected = { bounding: some, effective: some, permitted: some, inheritable: [], ambient: [] };
  expect(capsInside(t, { process: { capabilities: capabilities(...some) } })).toEqual(expected);
});

// Proves: process.capabilities.bounding, process.capabilities.effective, process.capabilities.inheritable, process.capabilities.permitted, process.capabilities.ambient
test('the five sets are kept apart', (t) => {
  const wanted = {
    bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW', 'CAP_SETUID'],
    permitted: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW'],
    inheritable: ['CAP_CHOWN', 'CAP_KILL'],
    effective: ['CAP_CHOWN', 'CAP_KILL'],
    ambient: ['CAP_KILL'],
  };
  // exec gives root whatever is bounding or inheritable, so only another user shows what was asked for.
  const caps = capsInside(t, { process: { capabilities: wanted, user: { uid: 1000, gid: 1000 } } });
  expect(caps).toEqual({ ...wanted, permitted: ['CAP_KILL'], effective: ['CAP_KILL'] });
});

test('seen from outside the capabilities are the same', async (t) => {
  const box = await container(t, { process: { capabilities: capabilities(...some) } }).started();
  const status = readFileSync(`/proc/${box.state().pid}/status`, 'utf8');
  expect(capabilitySet(/CapEff:\s*(\S+)/.exec(status)?.[1])).toEqual(some);
  expect(capabilitySet(/CapBnd:\s*(\S+)/.exec(status)?.[1])).toEqual(some);
});

test('a user other than root has ambient capabilities only', (t) => {
  const user = { uid: 1000, gid: 1000 };
  const with_ = { ...capabilities(...some), inheritable: some, ambient: ['CAP_CHOWN'] };
  expect(capsInside(t, { process: { user, capabilities: with_ } })).toMatchObject({
    effective: ['CAP_CHOWN'],
    permitted: ['CAP_CHOWN'],
    ambient: ['CAP_CHOWN'],
    bounding: some,
  });
});

test('a user other than root without ambient capabilities has none', (t) => {
  const caps = capsInside(t, { process: { user: { uid: 1000, gid: 1000 }, capabilities: capabilities(...some) } });
  expect(caps).toEqual({ bounding: some, effective: [], permitted: [], inheritable: [], ambient: [] });
});

test('without capabilities in the config the program has none', (t) => {
  expect(capsInside(t, { process: { capabilities: undefined } })).toEqual(
    Object.fromEntries(sets.map((set) => [set, []])),
  );
});

test('empty capability lists leave nothing', (t) => {
  expect(capsInside(t, { process: { capabilities: capabilities() } })).toEqual(
    Object.fromEntries(sets.map((set) => [set, []])),
  );
});

test('a capability that the caller cannot grant does not stop the container', {
  except: { runc: 'it fails at capset', crun: 'crun 1.8 fails at capset' },
}, (t) => {
  const caps = capsInside(t, { process: { capabilities: capabilities('CAP_KILL', 'CAP_SYS_RESOURCE') } });
  expect(caps['effective']).toContain('CAP_KILL');
});

test('an unknown capability is refused by its name', { only: ['tsrun'] }, (t) => {
  const result = container(t, { process: { capabilities: capabilities('CAP_NOPE') } }).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('CAP_NOPE');
});

test('all that the kernel knows by number is known by name here', () => {
  expect(capabilityNames).toHaveLength(Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')) + 1);
});

// Proves: process.rlimits[].type, process.rlimits[].hard, process.rlimits[].soft
test('rlimits are set, soft and hard', (t) => {
  const rlimits = [
    { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 4096 },
    { type: 'RLIMIT_NPROC', soft: 77, hard: 88 },
    { type: 'RLIMIT_FSIZE', soft: 1_000_000, hard: 5_000_000_000 },
    { type: 'RLIMIT_STACK', soft: 4_194_304, hard: 8_388_608 },
    { type: 'RLIMIT_CPU', soft: 1000, hard: 2000 },
  ];
  const limits = facts(inside(t, { process: { rlimits } }, 'probe', 'rlimits'));
  for (const { type, soft, hard } of rlimits) expect(limits[type.replace('RLIMIT_', '')]).toBe(`${soft} ${hard}`);
});

test('an rlimit that is given twice is refused', {
  except: { runc: 'it lets the last one count', crun: 'it lets the last one count' },
}, (t) => {
  const limit = { type: 'RLIMIT_NOFILE', soft: 1, hard: 2 };
  const result = container(t, { process: { rlimits: [limit, limit] } }).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('RLIMIT_NOFILE');
});

test('an rlimit of an unknown type is refused', (t) => {
  const result = container(t, { process: { rlimits: [{ type: 'RLIMIT_NOPE', soft: 1, hard: 2 }] } }).run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toContain('RLIMIT_NOPE');
});

// Proves: process.noNewPrivileges
for (const noNewPrivileges of [true, false]) {
  test(`noNewPrivileges ${noNewPrivileges} is what the kernel says`, (t) => {
    expect(facts(inside(t, { process: { noNewPrivileges } }, 'probe', 'process'))['nnp']).toBe(
      noNewPrivileges ? '1' : '0',
    );
  });
}

// Proves: process.oomScoreAdj
test('oomScoreAdj is set', (t) => {
  expect(inside(t, { process: { oomScoreAdj: 321 } }, 'cat', '/proc/self/oom_score_adj')).toBe('321\n');
});

test('without oomScoreAdj it stays that of the caller', (t) => {
  const box = container(t);
  box.prepare(['cat', '/proc/self/oom_score_adj']);
  const result = box.call('run', ['--bundle', box.bundle, box.id], {
    through: ['sh', '-c', 'echo 111 > /proc/self/oom_score_adj; exec "$@"', 'sh'],
  });
  expect(result.out).toBe('111\n');
});

// Proves: hostname
test('hostname is set inside and unchanged outside', (t) => {
  const before = hostname();
  expect(facts(inside(t, { hostname: 'other-name' }, 'probe', 'process'))['hostname']).toBe('other-name');
  expect(hostname()).toBe(before);
});

// Proves: domainname
test('domainname is set', { except: { runc: 'runc 1.1 does not know it' } }, (t) => {
  expect(facts(inside(t, { domainname: 'example.org' }, 'probe', 'process'))['domainname']).toBe('example.org');
});

test('a hostname without a uts namespace is refused', (t) => {
  const box = container(t, { linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }] } });
  expect(box.run('true').code).toBe(1);
});

test('the program has a session keyring of its own, named after the container', {
  except: { crun: 'it names the keyring without the prefix' },
}, (t) => {
  const box = container(t);
  expect(facts(box.run('probe', 'process').out)['keyring']).toBe(`_ses.${box.id}`);
});

test('--no-new-keyring keeps the keyring of the caller', (t) => {
  const box = container(t);
  expect(facts(box.runWith(['--no-new-keyring'], 'probe', 'process').out)['keyring']).not.toBe(`_ses.${box.id}`);
});

test('the program leads a session of its own and has no parent that it can see', (t) => {
  expect(facts(inside(t, {}, 'probe', 'process'))).toMatchObject({ pid: '1', ppid: '0', sid: '1', pgrp: '1' });
});

const sysctls = [
  ['kernel.msgmax', '65000', '/proc/sys/kernel/msgmax'],
  ['kernel.shm_rmid_forced', '1', '/proc/sys/kernel/shm_rmid_forced'],
  ['fs.mqueue.msg_max', '9', '/proc/sys/fs/mqueue/msg_max'],
  ['net.ipv4.ip_forward', '1', '/proc/sys/net/ipv4/ip_forward'],
] as const;

// Proves: linux.sysctl
for (const [name, value, file] of sysctls) {
  test(`sysctl ${name} is set inside`, (t) => {
    expect(inside(t, { linux: { sysctl: { [name]: value } } }, 'cat', file).trim()).toBe(value);
  });
}

test('a sysctl that belongs to the whole host is refused', (t) => {
  const result = container(t, { linux: { sysctl: { 'kernel.core_pattern': 'x' } } }).run('true');
  expect(result).toMatchObject({ code: 1, out: '' });
  expect(result.err).toContain('kernel.core_pattern');
});

test('a sysctl whose namespace is shared with the host is refused', (t) => {
  const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  const result = container(t, { linux: { namespaces, sysctl: { 'net.ipv4.ip_forward': '1' } } }).run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('net.ipv4.ip_forward');
});
