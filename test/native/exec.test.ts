// exec: what a further process in a container is, and what each flag makes of it.
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  capabilities,
  capabilitySet,
  type Changes,
  container,
  type Container,
  expect,
  facts,
  namespaces,
  test,
  until,
} from '../harness/index.ts';

type Context = Parameters<typeof container>[0];

const running = (t: Context, changes: Changes = {}): Promise<Container> => container(t, changes).started();

const statusOf = (box: Container, flags: string[]): Record<string, string> =>
  Object.fromEntries(
    box
      .ask(flags, 'cat', '/proc/self/status')
      .trim()
      .split('\n')
      .map((line) => line.split(/:\s*/) as [string, string]),
  );

test('a further process runs beside the first, in all of its namespaces', async (t) => {
  const box = await running(t);
  const { pid } = box.state();
  expect(box.ask([], 'hostname')).toBe('inside\n');
  expect(box.ask([], 'cat', '/proc/1/comm')).toBe('probe\n');
  for (const type of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts']) {
    expect(box.ask([], 'readlink', `/proc/self/ns/${type}`), type).toBe(`${readlinkSync(`/proc/${pid}/ns/${type}`)}\n`);
  }
});

test('a further process runs in a created container, before its program', { timeout: 30_000 }, (t) => {
  const box = container(t).created('sh', '-c', 'test -e /tmp/before && echo seen');
  expect(box.exec([], 'sh', '-c', 'touch /tmp/before; hostname')).toMatchObject({ code: 0, out: 'inside\n' });
  expect(box.state().status).toBe('created');
});

test("it is born in the container's cgroup", async (t) => {
  const box = await running(t);
  const { pid } = box.state();
  const text = box.ask([], 'sh', '-c', 'cat /proc/self/cgroup');
  expect(text).toContain('0::/\n');
  const child = box.exec(['--detach', '--pid-file', box.path('pid')], 'sleep', '5');
  expect(child).toMatchObject({ code: 0 });
  const other = readFileSync(box.path('pid'), 'utf8');
  expect(other).toMatch(/^[0-9]+$/);
  expect(readFileSync(`/proc/${other}/cgroup`, 'utf8')).toBe(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
});

for (const code of [0, 1, 77, 126, 127, 255]) {
  test(`exit status ${code} comes through`, async (t) => {
    expect((await running(t)).exec([], 'probe', 'exit', String(code)).code).toBe(code);
  });
}

for (const [name, number] of [
  ['KILL', 9],
  ['TERM', 15],
  ['SEGV', 11],
] as const) {
  test(`an end by SIG${name} is exit status ${128 + number}`, async (t) => {
    expect((await running(t)).exec([], 'sh', '-c', `kill -${name} $$; sleep 1`).code).toBe(128 + number);
  });
}

const failures = [
  ['a name that is nowhere in PATH', ['no-such-program'], /executable file not found in \$PATH/],
  ['an absolute path that does not exist', ['/no/such/program'], /no such file or directory/i],
  ['a file without the execute bit', ['/etc/passwd'], /permission denied/i],
  ['a directory', ['/etc'], /is a directory|permission denied/i],
] as const;
for (const [what, command, words] of failures) {
  test(`exec of ${what} fails with 255 in the words that engines look for`, {
    except: { crun: 'it exits with 1' },
  }, async (t) => {
    const box = await running(t);
    const result = box.exec(['--pid-file', box.path('pid')], ...command);
    expect(result).toMatchObject({ code: 255, out: '' });
    expect(result.err).toMatch(words);
    expect(() => readFileSync(box.path('pid')), 'no pid file tells of success').toThrow();
    expect(box.state().status, 'the container itself is left alone').toBe('running');
  });
}

test('a program that the kernel refuses fails with 255 and leaves no pid file', {
  except: { crun: 'it exits with 1', runc: 'it exits with 1' },
}, async (t) => {
  const box = await running(t);
  writeFileSync(join(box.rootfs, 'bin/garbage'), 'garbage', { mode: 0o755 });
  const result = box.exec(['--pid-file', box.path('pid')], 'garbage');
  expect(result).toMatchObject({ code: 255, out: '' });
  expect(result.err).toMatch(/exec format error/i);
  expect(() => readFileSync(box.path('pid'))).toThrow();
});

test('an unknown container is an error of 255', { except: { crun: 'it exits with 1' } }, (t) => {
  const result = container(t).exec([], 'true');
  expect(result.code).toBe(255);
  expect(result.err).toContain('does not exist');
});

test('a stopped container is refused', async (t) => {
  const box = await running(t);
  box.kill('KILL');
  await box.reaches('stopped');
  const result = box.exec([], 'true');
  expect(result.code).not.toBe(0);
  expect(result.err).toMatch(/cannot exec a container that has stopped|not running|stopped/);
});

test('nothing to run is an error', { except: { crun: 'it exits with 1' } }, (t) => {
  const result = container(t).created('true').exec([]);
  expect(result).toMatchObject({ code: 255, out: '' });
  expect(result.err).toContain('process args cannot be empty');
});

test('a paused container is refused', { except: { crun: 'it goes on and hangs' } }, async (t) => {
  const box = await running(t);
  expect(box.call('pause', [box.id])).toMatchObject({ code: 0 });
  const result = box.exec([], 'true');
  expect(result.code).toBe(255);
  expect(result.err).toContain('cannot exec in a paused container (use --ignore-paused to override)');
  expect(box.call('resume', [box.id])).toMatchObject({ code: 0 });
  expect(box.exec([], 'true').code).toBe(0);
});

test('--ignore-paused makes a process that runs once the container is resumed', { only: ['tsrun'] }, async (t) => {
  const box = await running(t);
  box.call('pause', [box.id]);
  const { done } = box.spawnVerb('exec', ['--ignore-paused', box.id, 'sh', '-c', 'echo ran; exit 3']);
  await until('the process is born', () => box.call('ps', ['--format', 'json', box.id]).out.includes(','));
  box.call('resume', [box.id]);
  expect(await done).toMatchObject({ code: 3, out: 'ran\n' });
});

test('environment, directory and user are those of the first process', {
  except: { crun: '1.8.1 takes only the environment over' },
}, async (t) => {
  const box = await running(t, {
    process: {
      env: ['PATH=/bin', 'GREETING=hello'],
      cwd: '/tmp',
      user: { uid: 1000, gid: 1000, additionalGids: [7] },
    },
  });
  const script = 'echo $GREETING; pwd; id -u; id -g; id -G; echo $HOME';
  const [greeting, cwd, uid, gid, groups, home] = box.ask([], 'sh', '-c', script).split('\n');
  expect([greeting, cwd, uid, gid, home]).toEqual(['hello', '/tmp', '1000', '1000', '/home/user']);
  expect(groups?.split(' ').toSorted()).toEqual(['1000', '7']);
});

test('so is the umask', { except: { runc: '1.1.5 has its own', crun: '1.8.1 has its own' } }, async (t) => {
  const box = await running(t, { process: { user: { uid: 0, gid: 0, umask: 0o27 } } });
  expect(box.ask([], 'sh', '-c', 'umask')).toBe('0027\n');
});

test('the configuration is that of the creation, whatever becomes of the bundle', {
  only: ['tsrun'],
}, async (t) => {
  const box = await running(t, { process: { env: ['PATH=/bin', 'A=then'] } });
  box.config.process.env = ['PATH=/bin', 'A=now'];
  box.write();
  expect(box.ask([], 'sh', '-c', 'echo $A')).toBe('then\n');
  box.write('not JSON at all');
  expect(box.ask([], 'sh', '-c', 'echo $A')).toBe('then\n');
});

test('--env adds, and the last value of a name wins', {
  except: { crun: '1.8.1 replaces the environment' },
}, async (t) => {
  const box = await running(t, { process: { env: ['PATH=/bin', 'A=1', 'B=1'] } });
  const lines = box.ask(['--env', 'A=2', '--env', 'C=3'], 'env').trim().split('\n').toSorted();
  expect(lines.filter((line) => /^[ABC]=/.test(line))).toEqual(['A=2', 'B=1', 'C=3']);
});

test('--cwd is where the program starts', async (t) => {
  expect((await running(t)).ask(['--cwd', '/tmp'], 'pwd')).toBe('/tmp\n');
});

test('a --cwd that is missing is an error', { except: { crun: 'it exits with 1' } }, async (t) => {
  const result = (await running(t)).exec(['--cwd', '/no/such'], 'pwd');
  expect(result).toMatchObject({ code: 255, out: '' });
  expect(result.err).toMatch(/no such file or directory/i);
});

for (const [value, uid, gid] of [
  ['1000', '1000', '0'],
  ['1000:7', '1000', '7'],
  ['0:5', '0', '5'],
  ['4294967294', '4294967294', '0'],
] as const) {
  test(`--user ${value}`, { except: value === '4294967294' ? { runc: '1.1.5 refuses it' } : {} }, async (t) => {
    const ids = facts((await running(t)).ask(['--user', value], 'probe', 'ids'));
    expect(ids['uid']?.split(' ')[0]).toBe(uid);
    expect(ids['gid']?.split(' ')[0]).toBe(gid);
  });
}

for (const value of [
  ' 1',
  '+1',
  '1:',
  ':1',
  '-1',
  '0x1',
  '1 ',
  '4294967295',
  '4294967296',
  '1:2:3',
  'root',
  '1e3',
  '',
]) {
  test(`CVE-2026-30892: --user ${JSON.stringify(value)} is refused`, { only: ['tsrun'] }, async (t) => {
    const result = (await running(t)).exec([`--user=${value}`], 'id', '-u');
    if (value === '') expect(result).toMatchObject({ code: 0, out: '0\n' });
    else expect(result).toMatchObject({ code: 255, out: '' });
  });
}

test('--additional-gids adds groups', { except: { crun: 'it has no such flag' } }, async (t) => {
  const box = await running(t, { process: { user: { uid: 0, gid: 0, additionalGids: [3] } } });
  const groups = box.ask(['-g', '5', '-g', '9'], 'id', '-G').trim().split(' ');
  expect(groups.map(Number).toSorted((a, b) => a - b)).toEqual([0, 3, 5, 9]);
});

test('capabilities are those of the first process', async (t) => {
  const box = await running(t);
  const status = statusOf(box, []);
  const harmless = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
  for (const set of ['CapBnd', 'CapEff', 'CapPrm']) expect(capabilitySet(status[set]), set).toEqual(harmless);
  for (const set of ['CapInh', 'CapAmb']) expect(capabilitySet(status[set]), set).toEqual([]);
});

test('CVE-2022-29162: --cap adds to three sets and never to the inheritable one', {
  except: { crun: '1.8.1 puts them in the place of the configured ones' },
}, async (t) => {
  const box = await running(t, { process: { capabilities: capabilities('CAP_KILL') } });
  const status = statusOf(box, ['--cap', 'CAP_CHOWN', '--cap', 'CAP_SETUID']);
  const wanted = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID'];
  for (const set of ['CapBnd', 'CapEff', 'CapPrm']) expect(capabilitySet(status[set]), set).toEqual(wanted);
  for (const set of ['CapInh', 'CapAmb']) expect(capabilitySet(status[set]), set).toEqual([]);
});

test('--cap is ambient too where the container has inheritable ones', {
  except: { crun: 'it makes none ambient', runc: '1.1.5 makes none ambient' },
}, async (t) => {
  const sets = { ...capabilities('CAP_CHOWN'), inheritable: ['CAP_CHOWN'] };
  const status = statusOf(await running(t, { process: { capabilities: sets } }), ['--cap', 'CAP_CHOWN']);
  expect(capabilitySet(status['CapAmb'])).toEqual(['CAP_CHOWN']);
});

test('an unknown --cap is refused', { except: { runc: 'it warns', crun: '1.8.1 passes it over' } }, async (t) => {
  const result = (await running(t)).exec(['--cap', 'CAP_NOPE'], 'true');
  expect(result.code).not.toBe(0);
  expect(result.err).toContain('CAP_NOPE');
});

test('no_new_privs is as in the configuration', {
  except: { crun: '1.8.1 looks at the flag alone' },
}, async (t) => {
  expect(statusOf(await running(t), [])['NoNewPrivs']).toBe('1');
  const box = await running(t, { process: { noNewPrivileges: false } });
  expect(statusOf(box, [])['NoNewPrivs']).toBe('0');
  expect(statusOf(box, ['--no-new-privs'])['NoNewPrivs']).toBe('1');
});

test('limits and the OOM score are those of the first process', {
  except: { crun: 'it leaves the OOM score of the caller', runc: '1.1.5 leaves that of the caller' },
}, async (t) => {
  const rlimits = [
    { type: 'RLIMIT_NOFILE', soft: 77, hard: 99 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
  ];
  const box = await running(t, { process: { rlimits, oomScoreAdj: 250 } });
  const limits = box.ask([], 'probe', 'rlimits');
  expect(limits).toMatch(/^NOFILE 77 99$/m);
  expect(limits).toMatch(/^CORE 0 0$/m);
  expect(box.ask([], 'cat', '/proc/self/oom_score_adj')).toBe('250\n');
});

test('--process takes all from a file, and the capabilities of the first process if it has none', {
  except: { crun: '1.8.1 leaves none' },
}, async (t) => {
  const box = await running(t);
  const file = box.path('process.json');
  writeFileSync(
    file,
    JSON.stringify({
      args: ['sh', '-c', 'echo $A; pwd; id -u; grep CapEff /proc/self/status'],
      cwd: '/tmp',
      env: ['PATH=/bin', 'A=from the file'],
      user: { uid: 0, gid: 0 },
    }),
  );
  const [a, cwd, uid, caps] = box.ask(['--process', file]).split('\n');
  expect([a, cwd, uid]).toEqual(['from the file', '/tmp', '0']);
  expect(capabilitySet(caps?.split(/\s+/)[1])).toEqual(['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']);
});

test('limits that a process.json has none of are those of the first process', {
  except: { runc: '1.1.5 leaves those of the caller', crun: '1.8.1 leaves those of the caller' },
}, async (t) => {
  const box = await running(t);
  const process = { args: ['probe', 'rlimits'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 }, rlimits: [] };
  writeFileSync(box.path('process.json'), JSON.stringify(process));
  expect(box.ask(['--process', box.path('process.json')])).toMatch(/^NOFILE 1024 1024$/m);
});

for (const [what, text, words] of [
  ['is no JSON', '{"args": [', /process\.json.*line 1/s],
  ['is no object', '[]', /expected an object/],
  ['has no args', '{"cwd": "/", "user": {"uid": 0, "gid": 0}}', /\/args/],
  ['has a wrong field', '{"args": ["true"], "cwd": "relative", "user": {"uid": "0", "gid": 0}}', /\/cwd.*\/user\/uid/s],
  [
    'has an unknown limit',
    '{"args":["true"],"cwd":"/","user":{"uid":0,"gid":0},"rlimits":[{"type":"X","soft":1,"hard":1}]}',
    /\/rlimits\/0\/type/,
  ],
  [
    'has lists that are none',
    '{"args":["true"],"cwd":"/","env":5,"user":{"uid":0,"gid":0,"additionalGids":7}}',
    /\/env.*\/user\/additionalGids/s,
  ],
] as const) {
  test(`a process.json that ${what} is told with its places`, { only: ['tsrun'] }, async (t) => {
    const box = await running(t);
    writeFileSync(box.path('process.json'), text);
    const result = box.exec(['-p', box.path('process.json'), '-e', 'A=1', '-g', '5']);
    expect(result).toMatchObject({ code: 255, out: '' });
    expect(result.err).toMatch(words);
  });
}

test('a process.json that is not there is an error', { except: { crun: 'it exits with 1' } }, async (t) => {
  const result = (await running(t)).exec(['--process', '/no/such/process.json']);
  expect(result).toMatchObject({ code: 255, out: '' });
  expect(result.err).toMatch(/no such file or directory/i);
});

test('--preserve-fds passes descriptors, and no other of the caller reaches the process', async (t) => {
  const box = await running(t);
  const through = ['sh', '-c', 'exec 3</etc/hostname 4</etc/passwd 5</ 6</proc 7</tmp; exec "$@"', 'sh'];
  const fds = (flags: string[]) =>
    box
      .call('exec', [...flags, box.id, 'probe', 'fds'], { through })
      .out.trim()
      .split(/\s+/)
      .filter((word) => /^\d+$/.test(word));
  expect(fds([])).toEqual(['0', '1', '2']);
  expect(fds(['--preserve-fds', '2'])).toEqual(['0', '1', '2', '3', '4']);
});

test('--preserve-fds of a descriptor that is not open is an error', {
  except: { crun: '1.8.1 passes it over' },
}, async (t) => {
  const result = (await running(t)).exec(['--preserve-fds', '40'], 'true');
  expect(result.code).not.toBe(0);
});

test('--cgroup is a cgroup below that of the container', {
  except: {
    runc: 'Debian 12 has 1.1.5, in which the flag is only for cgroup v1 paths',
    crun: '1.8.1 wants it otherwise',
  },
}, async (t) => {
  const box = await running(t);
  const own = cgroupOf(box.state().pid);
  mkdirSync(`/sys/fs/cgroup${own}/below/more`, { recursive: true });
  for (const path of ['below', '/below', 'below/more', './below/', 'memory,cpu:below']) {
    expect(box.ask(['--cgroup', path], 'grep', '0::', '/proc/self/cgroup'), path).toBe(
      `0::/${path.includes('more') ? 'below/more' : 'below'}\n`,
    );
  }
  for (const path of ['none', '../..', 'below/../..', '..', '/../x', ':below', 'cpu:../..']) {
    const result = box.exec(['--cgroup', path], 'true');
    expect(result, path).toMatchObject({ code: 255, out: '' });
    expect(result.err, path).toMatch(/cgroup/);
  }
});

const cgroupOf = (pid: number): string => /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';

test('where the container has split its cgroup, the process is born in that of its first one', {
  needs: ['controller:hugetlb'],
  except: { crun: '1.8.1 fails' },
}, async (t) => {
  const box = await running(t);
  const { pid } = box.state();
  const own = `/sys/fs/cgroup${cgroupOf(pid)}`;
  writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+hugetlb');
  mkdirSync(`${own}/init`);
  writeFileSync(`${own}/init/cgroup.procs`, String(pid));
  writeFileSync(`${own}/cgroup.subtree_control`, '+hugetlb');
  expect(box.ask([], 'grep', '0::', '/proc/self/cgroup')).toBe('0::/init\n');
});

test('a container whose first process is in no cgroup of its own is refused then', {
  needs: ['controller:hugetlb'],
  only: ['tsrun'],
}, async (t) => {
  const box = await running(t);
  const { pid } = box.state();
  const own = `/sys/fs/cgroup${cgroupOf(pid)}`;
  writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+hugetlb');
  writeFileSync('/sys/fs/cgroup/cgroup.procs', String(pid));
  writeFileSync(`${own}/cgroup.subtree_control`, '+hugetlb');
  const result = box.exec([], 'true');
  expect(result.code).toBe(255);
  expect(result.err).toContain('is not below it');
  writeFileSync(`${own}/cgroup.subtree_control`, '-hugetlb');
  writeFileSync(`${own}/cgroup.procs`, String(pid));
});

test('a container without a cgroup of its own has further processes all the same', { only: ['tsrun'] }, async (t) => {
  const box = container(t);
  box.prepare(['probe', 'sleep']);
  const global = ['--cgroup-manager=disabled', 'run', '--detach', '--bundle', box.bundle, box.id];
  expect(box.call('--log-level=error', global)).toMatchObject({ code: 0 });
  expect(box.ask([], 'hostname')).toBe('inside\n');
  expect(box.exec(['--cgroup', 'x'], 'true').err).toContain('has no cgroup');
});

test('a container of a user namespace', { except: { crun: '1.8.1 leaves the limits of the caller' } }, async (t) => {
  const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const box = container(
    t,
    { linux: { ...namespaces({ add: ['user'] }).linux, uidMappings: mapping, gidMappings: mapping } },
    { owner: 100_000 },
  );
  await box.started();
  const { pid } = box.state();
  expect(box.ask([], 'readlink', '/proc/self/ns/user')).toBe(`${readlinkSync(`/proc/${pid}/ns/user`)}\n`);
  expect(box.ask([], 'sh', '-c', 'id -u; id -g; hostname')).toBe('0\n0\ninside\n');
  expect(box.ask(['-u', '5:6'], 'sh', '-c', 'id -u; id -g')).toBe('5\n6\n');
  expect(box.ask([], 'probe', 'rlimits')).toMatch(/^NOFILE 1024 1024$/m);
});

test('--user outside of the mapping is refused', { only: ['tsrun'] }, async (t) => {
  const mapping = [{ containerID: 0, hostID: 100_000, size: 10 }];
  const box = container(
    t,
    { linux: { ...namespaces({ add: ['user'] }).linux, uidMappings: mapping, gidMappings: mapping } },
    { owner: 100_000 },
  );
  await box.started();
  const result = box.exec(['-u', '10'], 'true');
  expect(result).toMatchObject({ code: 255 });
  expect(result.err).toContain('/process/user/uid');
});

for (const type of ['pid', 'network', 'ipc', 'uts', 'cgroup']) {
  test(`a container that shares the host's ${type} namespace`, async (t) => {
    const changes = namespaces({ without: [type] });
    const box = await running(t, type === 'uts' ? { ...changes, hostname: undefined } : changes);
    expect(box.exec([], 'sh', '-c', 'exit 5').code).toBe(5);
  });
}

test('a container without a mount namespace', { only: ['tsrun'] }, async (t) => {
  const box = container(t, {
    ...namespaces({ without: ['mount', 'cgroup'] }),
    mounts: [],
    linux: {
      ...namespaces({ without: ['mount', 'cgroup'] }).linux,
      maskedPaths: [],
      readonlyPaths: [],
    },
  });
  await box.started();
  expect(box.ask([], 'ls', '/etc')).toBe('group\npasswd\n');
});

test('a container that was made with --no-pivot', async (t) => {
  const box = container(t);
  box.prepare(['probe', 'sleep']);
  expect(box.call('run', ['--no-pivot', '--detach', '--bundle', box.bundle, box.id])).toMatchObject({ code: 0 });
  expect(box.ask([], 'ls', '/etc')).toBe('group\npasswd\n');
});

test('a further process does not end with the command that started it, but with the container', async (t) => {
  const box = await running(t);
  expect(box.exec(['--detach', '--pid-file', box.path('pid')], 'sleep', '100').code).toBe(0);
  const pid = readFileSync(box.path('pid'), 'utf8');
  expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n');
  box.kill('KILL');
  await box.reaches('stopped');
  await until('it ended', () => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');
    } catch {
      return true;
    }
  });
});

test('signals of the caller go to the process', async (t) => {
  const box = await running(t);
  const { child, done, said } = box.spawnVerb('exec', [box.id, 'probe', 'catch', '15']);
  await until('it is ready', () => said().includes('ready'));
  child.kill('SIGHUP');
  await until('the first signal came', () => said().includes('got 1\n'));
  child.kill('SIGTERM');
  expect(await done).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^ready\n(got 23\n)*got 1\n(got 23\n)*got 15\n$/),
  });
});

test('two hundred processes at a time leave nothing behind', { timeout: 120_000 }, async (t) => {
  const box = await running(t);
  const before = box.call('ps', ['--format', 'json', box.id]).out;
  const all = Array.from(
    { length: 200 },
    (_, index) => box.spawnVerb('exec', [box.id, 'probe', 'exit', String(index % 128)], `storm${index}`).done,
  );
  const codes = (await Promise.all(all)).map(({ code }) => code);
  expect(codes).toEqual(all.map((_, index) => index % 128));
  expect(box.call('ps', ['--format', 'json', box.id]).out).toBe(before);
  expect(box.state().status).toBe('running');
});

const profile = (...names: string[]) => ({
  linux: {
    seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet: 99 }] },
  },
});

for (const noNewPrivileges of [true, false]) {
  test(`the filter of the container is that of each process, no_new_privs ${noNewPrivileges}`, async (t) => {
    const box = await running(t, { ...profile('mkdir', 'mkdirat'), process: { noNewPrivileges } });
    const result = box.exec([], 'sh', '-c', 'grep ^Seccomp: /proc/self/status; mkdir /tmp/x');
    expect(result.out).toMatch(/^Seccomp:\s+2$/m);
    expect(result.err).toMatch(/cannot assign requested address/i);
  });
}

test('a filter that refuses clone3 and setns does not keep exec from its work', { only: ['tsrun'] }, async (t) => {
  for (const noNewPrivileges of [true, false]) {
    const box = container(t, { process: { noNewPrivileges } });
    box.config.linux.seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['clone3', 'setns', 'unshare', 'mount', 'kill', 'openat2'], action: 'SCMP_ACT_KILL_PROCESS' },
      ],
    };
    await box.started();
    expect(box.ask([], 'hostname')).toBe('inside\n');
  }
});

test('execution domain, scheduling and CPUs are those of the first process', {
  only: ['tsrun'],
  needs: ['program:taskset'],
}, async (t) => {
  const box = await running(t, {
    process: { scheduler: { policy: 'SCHED_BATCH', nice: 5 }, execCPUAffinity: { initial: '0', final: '1' } },
    linux: { personality: { domain: 'LINUX32' } },
  });
  expect(box.ask([], 'grep', 'Cpus_allowed_list', '/proc/self/status')).toMatch(/\t1\n$/);
  const stat = box.ask([], 'cat', '/proc/self/stat').split(') ')[1]?.split(' ') ?? [];
  expect([stat[16], stat[38]], 'nice and policy').toEqual(['5', '3']);
  expect(box.ask([], 'cat', '/proc/self/personality').trim()).toMatch(/8$/);
});
