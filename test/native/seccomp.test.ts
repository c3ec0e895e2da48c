// linux.seccomp, from inside: what a call gets, and what a container may still do.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Changes,
  type Container,
  container,
  expect,
  facts,
  inside,
  stateRoot,
  test,
  until,
} from '../harness/index.ts';
import { narrowProgram } from '../harness/narrow.ts';
import { defaultProfile, type ProfileName } from '../seccomp/profiles.ts';

const arm = process.arch === 'arm64';
// munlockall(2): takes no arguments, needs no rights, and neither a shell nor a C library nor a runtime makes it.
const CALL = arm ? '231' : '152';
const CALL_32 = 153;
const GETPID_32 = 20;
const NATIVE = arm ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64';
const NARROW = arm ? 'SCMP_ARCH_ARM' : 'SCMP_ARCH_X86';
const SIGSYS = 128 + 31;
const profileOf = (name: ProfileName) => defaultProfile(name, arm ? 'arm64' : 'amd64');

interface Rule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: object[];
}

const filter = (rules: Rule[], more: object = {}): Changes => ({
  linux: {
    seccomp: { defaultAction: 'SCMP_ACT_ALLOW', architectures: [NATIVE], syscalls: rules, ...more },
  },
});
const onCall = (action: string, more: object = {}): Rule => ({
  names: ['munlockall'],
  action: `SCMP_ACT_${action}`,
  ...more,
});

for (const name of ['docker', 'podman'] as const) {
  test(`${name}'s default profile lets a container work`, { needs: [`profile:${name}`] }, (t) => {
    const box = container(t, { linux: { seccomp: profileOf(name) } });
    const result = box.run('sh', '-c', 'mkdir /made && ls -d /made && grep Seccomp: /proc/self/status');
    expect(result).toMatchObject({ code: 0, out: '/made\nSeccomp:\t2\n' });
  });
}

test("docker's default profile keeps user namespaces from being made", { needs: ['profile:docker'] }, (t) => {
  const box = container(t, { linux: { seccomp: profileOf('docker') } });
  const result = box.run('busybox', 'unshare', '-r', 'true');
  expect(result.code).not.toBe(0);
  expect(result.err).toContain('Operation not permitted');
});

const actions: [string, object, object][] = [
  ['ALLOW', {}, { code: 0, out: 'call ok\n' }],
  ['LOG', {}, { code: 0, out: 'call ok\n' }],
  ['ERRNO', {}, { code: 0, out: 'call EPERM\n' }],
  ['ERRNO', { errnoRet: 42 }, { code: 0, out: 'call ENOMSG\n' }],
  ['TRACE', {}, { code: 0, out: 'call ENOSYS\n' }],
  ['KILL', {}, { code: SIGSYS, out: '' }],
  ['KILL_THREAD', {}, { code: SIGSYS, out: '' }],
  ['KILL_PROCESS', {}, { code: SIGSYS, out: '' }],
];
for (const [action, more, expected] of actions) {
  test(`SCMP_ACT_${action}${'errnoRet' in more ? ' with errnoRet' : ''} is what a call gets`, (t) => {
    const other = action === 'ALLOW' ? { defaultAction: 'SCMP_ACT_LOG' } : {};
    const box = container(t, filter([onCall(action, more)], other));
    expect(box.run('probe', 'call', CALL)).toMatchObject(expected);
  });
}

// Proves: linux.seccomp.defaultAction, linux.seccomp.syscalls[].names, linux.seccomp.syscalls[].action, linux.seccomp.syscalls[].errnoRet
test('SCMP_ACT_TRAP sends SIGSYS, which a program can catch', (t) => {
  expect(inside(t, filter([onCall('TRAP')]), 'probe', 'call-trapped', CALL)).toBe(`signal 31 call ${CALL}\n`);
});

// Proves: linux.seccomp.defaultErrnoRet
test('defaultErrnoRet is the errno of the default action', (t) => {
  const names = ['execve', 'brk', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq', 'prlimit64', 'mprotect'];
  names.push(
    'readlink',
    'readlinkat',
    'getrandom',
    'newfstatat',
    'fstat',
    'write',
    'exit_group',
    'ioctl',
    'close_range',
  );
  names.push(
    'rt_sigaction',
    'rt_sigprocmask',
    'futex',
    'openat',
    'fcntl',
    'close',
    'read',
    'statx',
    'sendto',
    'epoll_ctl',
  );
  names.push(
    'epoll_pwait',
    'getpid',
    'tgkill',
    'nanosleep',
    'mmap',
    'munmap',
    'madvise',
    'getdents64',
    'fstatfs',
    'prctl',
  );
  names.push('sigaltstack', 'gettid', 'chdir', 'getcwd', 'setresuid', 'setresgid', 'setgroups', 'capset', 'capget');
  names.push(
    'umask',
    'faccessat2',
    'faccessat',
    'sched_yield',
    'sendmsg',
    'recvmsg',
    'ppoll',
    'uname',
    'clone',
    'exit',
  );
  const more = { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 42 };
  const box = container(t, filter([{ names, action: 'SCMP_ACT_ALLOW' }], more));
  expect(box.run('probe', 'call', CALL)).toMatchObject({ code: 0, out: 'call ENOMSG\n' });
});

const big = '0x500000005';
const operators: [string, object, string[], string[]][] = [
  ['EQ', { value: 0x500000005 }, [big], ['5', '0x500000000', '0x600000005']],
  ['NE', { value: 0x500000005 }, ['5', '0x600000005', '0'], [big]],
  ['LT', { value: 0x500000005 }, ['0', '0xffffffff', '0x500000004'], [big, '0x600000000']],
  ['LE', { value: 0x500000005 }, ['0xffffffff', big], ['0x500000006', '0x600000000']],
  ['GE', { value: 0x500000005 }, [big, '0x600000000'], ['0x500000004', '0xffffffff']],
  ['GT', { value: 0x500000005 }, ['0x500000006', '0x600000000'], [big, '0xffffffff']],
  ['MASKED_EQ', { value: 0xf0000000f, valueTwo: 0x500000005 }, [big, '0x1500000015'], ['5', '0x500000006']],
];
for (const [op, values, matching, others] of operators) {
  test(`SCMP_CMP_${op} compares 64 bits`, (t) => {
    const args = [{ index: 1, op: `SCMP_CMP_${op}`, ...values }];
    const box = container(t, filter([onCall('ERRNO', { errnoRet: 42, args })]));
    const commands = [...matching, ...others].map((value) => `probe call ${CALL} 0 ${value}`);
    const expected = [...matching.map(() => 'call ENOMSG\n'), ...others.map(() => 'call ok\n')].join('');
    expect(box.run('sh', '-c', commands.join(';')).out).toBe(expected);
  });
}

// Proves: linux.seccomp.syscalls[].args[].index, linux.seccomp.syscalls[].args[].value, linux.seccomp.syscalls[].args[].valueTwo, linux.seccomp.syscalls[].args[].op
test('values above 2^53 are compared exactly', (t) => {
  const box = container(
    t,
    filter([onCall('ERRNO', { errnoRet: 42, args: [{ index: 0, op: 'SCMP_CMP_EQ', value: 1 }] })]),
  );
  box.config.process.args = [
    'sh',
    '-c',
    `probe call ${CALL} 0xfffffffffffffff5; probe call ${CALL} 0xfffffffffffffff6`,
  ];
  box.write(JSON.stringify(box.config).replace('"value":1', '"value":18446744073709551605'));
  expect(box.call('run', ['--bundle', box.bundle, box.id]).out).toBe('call ENOMSG\ncall ok\n');
});

test('conditions of a rule hold together, rules each for itself', (t) => {
  const args = (...values: number[]) => values.map((value, index) => ({ index, op: 'SCMP_CMP_EQ', value }));
  const rules = [onCall('ERRNO', { errnoRet: 42, args: args(1, 2) }), onCall('ERRNO', { errnoRet: 42, args: args(7) })];
  const calls = ['1 2', '1 3', '7 3', '8 2'].map((words) => `probe call ${CALL} ${words}`);
  expect(inside(t, filter(rules), 'sh', '-c', calls.join(';'))).toBe('call ENOMSG\ncall ok\ncall ENOMSG\ncall ok\n');
});

test('calls that are newer than the profile do not exist', {
  needs: ['profile:podman'],
  except: { crun: 'it gives them the default action' },
}, (t) => {
  const profile = profileOf('podman');
  const seccomp = { ...profile, defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 };
  const box = container(t, { linux: { seccomp } });
  expect(box.run('probe', 'call', '600').out).toBe('call ENOSYS\n');
});

test('a name that no architecture has is passed over', (t) => {
  const rules = [{ names: ['no_such_call', 'munlockall'], action: 'SCMP_ACT_ERRNO' }];
  expect(inside(t, filter(rules), 'probe', 'call', CALL)).toBe('call EPERM\n');
});

test('run.oci.seccomp_fail_unknown_syscall refuses such a name', { only: ['tsrun', 'crun'] }, (t) => {
  const box = container(t, {
    ...filter([{ names: ['munlockall', 'no_such_call'], action: 'SCMP_ACT_ERRNO' }]),
    annotations: { 'run.oci.seccomp_fail_unknown_syscall': '1' },
  });
  const result = box.run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain('no_such_call');
});

for (const noNewPrivileges of [true, false]) {
  test(`with noNewPrivileges ${noNewPrivileges} a user without capabilities is filtered`, (t) => {
    const changes = filter([onCall('ERRNO')]);
    const box = container(t, {
      ...changes,
      process: { noNewPrivileges, user: { uid: 1000, gid: 1000 }, capabilities: {} },
    });
    const { out } = box.run(
      'sh',
      '-c',
      `probe call ${CALL}; probe process | grep nnp; grep Seccomp: /proc/self/status`,
    );
    expect(out).toBe(`call EPERM\nnnp ${noNewPrivileges ? 1 : 0}\nSeccomp:\t2\n`);
  });

  test(`created and started, with noNewPrivileges ${noNewPrivileges}`, async (t) => {
    const box = container(t, { ...filter([onCall('ERRNO')]), process: { noNewPrivileges } });
    await box.started('sh', '-c', `probe call ${CALL}; echo end`);
    await box.says('end');
    expect(box.output()).toBe('call EPERM\nend\n');
  });
}

test('a filter need not allow what the runtime does before the program runs', { only: ['tsrun'] }, (t) => {
  const names = ['close_range', 'rt_sigaction', 'rt_sigprocmask', 'ppoll', 'capset', 'setresuid', 'chdir', 'sendto'];
  expect(inside(t, filter([{ names, action: 'SCMP_ACT_KILL' }]), 'probe', 'exit', '0')).toBe('');
});

test('a program that the filter forbids to execute is an error', { only: ['tsrun'] }, (t) => {
  const box = container(t, filter([{ names: ['execve'], action: 'SCMP_ACT_ERRNO' }]));
  const result = box.run('true');
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/exec \/bin\/true: operation not permitted \(EPERM\)/);
});

/** A program, in the container, that makes a call of the 32-bit architecture; its exit code is the errno. */
function narrowCall(box: Container, number: number): string {
  const name = `call-${number}`;
  writeFileSync(join(box.rootfs, 'bin', name), narrowProgram(number), { mode: 0o755 });
  return name;
}

// Proves: linux.seccomp.architectures
test('32-bit calls follow the same rules where the profile names their architecture', {
  needs: ['32-bit programs'],
}, (t) => {
  const box = container(t, filter([onCall('ERRNO')], { architectures: [NATIVE, NARROW] }));
  const calls = [CALL_32, GETPID_32].map((number) => `${narrowCall(box, number)}; echo $?`);
  expect(box.run('sh', '-c', calls.join(';')).out).toBe('1\n0\n');
});

test('32-bit calls end a program whose profile does not name their architecture', {
  needs: ['32-bit programs'],
}, (t) => {
  const box = container(t, filter([onCall('ERRNO')]));
  expect(box.run(narrowCall(box, GETPID_32))).toMatchObject({ code: SIGSYS, out: '' });
});

const flags = ['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'];
for (const list of [[], ...flags.map((flag) => [flag]), flags]) {
  test(`linux.seccomp.flags: ${list.join(' ') || 'none'}`, { except: { runc: 'runc 1.1.5 knows no flags' } }, (t) => {
    expect(inside(t, filter([onCall('ERRNO')], { flags: list }), 'probe', 'call', CALL)).toBe('call EPERM\n');
  });
}

// Takes one connection, says what came, and answers ENOMSG to every call that it is asked about. Peers keep the
// connection open, so the end of the state is where it is whole.
const agent = `
import fcntl, json, os, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
connection, _ = server.accept()
text, fds, state = b'', [], None
while state is None:
    part, more, _, _ = socket.recv_fds(connection, 65536, 4)
    fds += more
    text += part
    try:
        state = json.loads(text)
    except ValueError:
        if not part:
            raise
with open(sys.argv[2] + '.new', 'w') as out:
    json.dump({'fds': len(fds), 'state': state}, out)
os.rename(sys.argv[2] + '.new', sys.argv[2])
while True:
    request = bytearray(80)
    try:
        fcntl.ioctl(fds[0], 0xc0502100, request)
        fcntl.ioctl(fds[0], 0xc0182101, bytearray(request[:8]) + struct.pack('=qiI', 0, -42, 0))
    except OSError:
        break
`;

async function startAgent(t: Parameters<typeof container>[0], box: Container): Promise<string> {
  writeFileSync(box.path('agent.py'), agent);
  const socket = box.path('agent.sock');
  const child = spawn('python3', [box.path('agent.py'), socket, box.path('agent.json')], { stdio: 'ignore' });
  t.onTestFinished(() => void child.kill());
  await until('the agent listens', () => existsSync(socket));
  return socket;
}

for (const noNewPrivileges of [true, false]) {
  test(`linux.seccomp.listenerPath, linux.seccomp.listenerMetadata: an agent answers for SCMP_ACT_NOTIFY, with noNewPrivileges ${noNewPrivileges}`, async (t) => {
    const box = container(t, { process: { noNewPrivileges }, annotations: { 'a.b': 'c' } });
    const listenerPath = await startAgent(t, box);
    const more = { listenerPath, listenerMetadata: 'for the agent' };
    Object.assign(box.config.linux, filter([onCall('NOTIFY')], more).linux);
    box.prepare(['probe', 'call', CALL]);
    const { done } = box.spawnRun(['probe', 'call', CALL]);
    expect(await done).toMatchObject({ code: 0, out: 'call ENOMSG\n' });
    const told = JSON.parse(readFileSync(box.path('agent.json'), 'utf8'));
    expect(told).toMatchObject({
      fds: 1,
      state: {
        fds: ['seccompFd'],
        metadata: 'for the agent',
        state: { id: box.id, bundle: box.bundle, annotations: { 'a.b': 'c' } },
      },
    });
    expect(told.state.pid).toBe(told.state.state.pid);
    expect(told.state.pid).toBeGreaterThan(1);
  });
}

test('create fails where no agent listens, and leaves nothing', { only: ['tsrun'] }, (t) => {
  const box = container(t, filter([onCall('NOTIFY')], { listenerPath: '/nowhere/agent.sock' }));
  const result = box.create('true');
  expect(result.code).toBe(1);
  expect(result.err).toMatch(
    /\/nowhere\/agent\.sock: no such file or directory \(ENOENT\).*\/linux\/seccomp\/listenerPath.*agent/,
  );
  expect(box.leaks()).toEqual([]);
});

test('rules that contradict each other are named', { only: ['tsrun'] }, (t) => {
  const args = [{ index: 0, op: 'SCMP_CMP_EQ', value: 1 }];
  const box = container(t, filter([onCall('ERRNO', { args }), onCall('KILL', { args })]));
  const result = box.run('true');
  expect(result.code).toBe(1);
  expect(result.err).toContain(
    '/linux/seccomp/syscalls/1 in config.json: its conditions are among those of /linux/seccomp/syscalls/0',
  );
});

test('a compiled filter is kept, for this user alone, and a damaged one is not used', { only: ['tsrun'] }, (t) => {
  const box = container(t, filter([onCall('ERRNO', { errnoRet: 71 })]));
  const dir = join(stateRoot, '.seccomp');
  const before = existsSync(dir) ? readdirSync(dir) : [];
  const run = () => box.run('probe', 'call', CALL).out;
  expect(run()).toBe('call EPROTO\n');
  const [name = ''] = readdirSync(dir).filter((file) => !before.includes(file));
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  expect(run()).toBe('call EPROTO\n');
  truncateSync(join(dir, name), 13);
  expect(run()).toBe('call EPROTO\n');
  expect(statSync(join(dir, name)).size % 8).toBe(0);
  writeFileSync(join(dir, name), Buffer.from([6, 0, 0, 0, 0, 0, 0, 0]));
  chmodSync(dir, 0o777);
  t.onTestFinished(() => chmodSync(dir, 0o700));
  expect(run()).toBe('call EPROTO\n');
});

test('tsrun seccomp prints the filter, and says what a call gets and why', { only: ['tsrun'] }, (t) => {
  const args = [{ index: 0, op: 'SCMP_CMP_GE', value: 16 }];
  const box = container(t, filter([onCall('ERRNO', { args }), { names: ['mount'], action: 'SCMP_ACT_KILL' }]));
  box.write();
  const ask = (...words: string[]) => box.call('seccomp', [...words.slice(0, -1), box.bundle, ...words.slice(-1)]);
  expect(box.call('seccomp', [box.bundle]).out).toMatch(
    arm
      ? /^ ?0 {2}load arch\n ?1 {2}if == 0xc00000b7 goto .*; aarch64\n/
      : /^ ?0 {2}load arch\n ?1 {2}if == 0xc000003e goto .*; x86_64\n/,
  );
  expect(ask('--call', 'munlockall', '0x10').out).toMatch(
    /^ERRNO\(EPERM\)\n\/linux\/seccomp\/syscalls\/0: its arguments match\n/,
  );
  expect(ask('--call', 'munlockall', '15').out).toMatch(
    /^ALLOW\n\/linux\/seccomp\/defaultAction: no rule for this call matches/,
  );
  // Of 64 bits without a sign.
  expect(ask('--call', 'munlockall', '-5').out).toMatch(/^ERRNO\(EPERM\)\n/);
  expect(JSON.parse(ask('--json', '--call', 'mount', '0').out)).toMatchObject({
    verdict: 'KILL_THREAD',
    from: '/linux/seccomp/syscalls/1',
  });
  expect(ask('--arch', arm ? 'arm' : 'x86', '--call', 'munlockall', '0').out).toMatch(
    /^KILL_THREAD\n\/linux\/seccomp\/architectures/,
  );
  expect(facts(ask('--call', 'nothing', '0').err)['tsrun:']).toContain('--call nothing');
});
