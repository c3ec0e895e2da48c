import { describe, expect, test } from 'vitest';
import { capabilityNames } from '../../src/linux/capabilities.ts';
import { type Json, complaints, fullConfig, parse, problemsOf } from './spec-samples.ts';

type Case = readonly [name: string, change: (config: Json) => void, complaint: string | RegExp];

/** Each case changes one thing in the full config and causes exactly one problem. */
const refuses = (cases: readonly Case[]): void => {
  test.each(cases)('%s', (_name, change, complaint) => {
    const found = complaints(change);
    expect(found).toHaveLength(1);
    if (typeof complaint === 'string') expect(found[0]).toBe(complaint);
    else expect(found[0]).toMatch(complaint);
  });
};

const long = 'x'.repeat(4096);

describe('parseSpec refuses at the top', () => {
  refuses([
    [
      'a missing version',
      (c) => delete c.ociVersion,
      '/ociVersion: a version 1.x of the specification in SemVer 2.0, such as 1.3.0, nothing',
    ],
    ['a version of another major', (c) => (c.ociVersion = '2.0.0'), /^\/ociVersion: a version 1.x .*, "2.0.0"$/],
    ['a version of two parts', (c) => (c.ociVersion = '1.3'), /^\/ociVersion: a version 1.x .*, "1.3"$/],
    ['a version with a leading zero', (c) => (c.ociVersion = '01.3.0'), /^\/ociVersion/],
    ['a missing root', (c) => delete c.root, '/root: an object, nothing'],
    ['a null root', (c) => (c.root = null), '/root: an object, null'],
    ['an empty root path', (c) => (c.root.path = ''), '/root/path: a path of 1 to 4095 bytes without NUL, ""'],
    ['a root path with a NUL', (c) => (c.root.path = 'a\0b'), /^\/root\/path: .*, "a\\u0000b"$/],
    ['a root path of 4096 bytes', (c) => (c.root.path = long), /^\/root\/path: .*…$/],
    ['a root path of 4096 bytes in fewer characters', (c) => (c.root.path = 'é'.repeat(2048)), /^\/root\/path: /],
    ['a hostname of 65 bytes', (c) => (c.hostname = 'h'.repeat(65)), /^\/hostname: a name of 1 to 64 bytes/],
    ['an annotation that is a number', (c) => (c.annotations.n = 1), '/annotations/n: a text, 1'],
    ['an annotation without a name', (c) => (c.annotations[''] = 'x'), '/annotations/: no empty name, "x"'],
    ['annotations as a list', (c) => (c.annotations = []), '/annotations: an object of texts, []'],
    ['a key that needs escapes in a pointer', (c) => (c.annotations['a/b~c'] = 1), '/annotations/a~1b~0c: a text, 1'],
    ['a linux section that is a text', (c) => (c.linux = 'x'), '/linux: an object, "x"'],
  ]);

  test.each(['5', 'null', '[]', '"x"', 'true'])('a file that is just %s', (text) => {
    expect(problemsOf(text)).toEqual([{ pointer: '', expected: 'an object', found: text }]);
  });
});

describe('parseSpec refuses in process', () => {
  refuses([
    ['no arguments', (c) => (c.process.args = []), '/process/args: an array of at least one text, []'],
    ['missing arguments', (c) => delete c.process.args, '/process/args: an array of at least one text, nothing'],
    ['null arguments', (c) => (c.process.args = null), '/process/args: an array of at least one text, null'],
    ['a null argument', (c) => (c.process.args[1] = null), '/process/args/1: a text without NUL, null'],
    ['an argument with a NUL', (c) => (c.process.args[0] = 'a\0'), '/process/args/0: a text without NUL, "a\\u0000"'],
    ['a relative cwd', (c) => (c.process.cwd = 'home'), /^\/process\/cwd: an absolute path .*, "home"$/],
    ['a missing cwd', (c) => delete c.process.cwd, /^\/process\/cwd: an absolute path .*, nothing$/],
    ['a missing user', (c) => delete c.process.user, '/process/user: an object, nothing'],
    ['a missing uid', (c) => delete c.process.user.uid, /^\/process\/user\/uid: an id .*, nothing$/],
    ['a negative uid', (c) => (c.process.user.uid = -1), '/process/user/uid: an id from 0 to 4294967294, -1'],
    ['the uid that means none', (c) => (c.process.user.uid = 4294967295), /^\/process\/user\/uid: an id/],
    ['a uid that is no integer', (c) => (c.process.user.uid = 1.5), /^\/process\/user\/uid: .*, 1.5$/],
    ['a uid in quotes', (c) => (c.process.user.uid = '0'), /^\/process\/user\/uid: .*, "0"$/],
    ['a umask of four digits', (c) => (c.process.user.umask = 0o1000), /^\/process\/user\/umask: /],
    [
      'an environment entry without =',
      (c) => (c.process.env[1] = 'TERM'),
      /^\/process\/env\/1: NAME=value .*, "TERM"$/,
    ],
    ['an environment entry without a name', (c) => (c.process.env[0] = '=x'), /^\/process\/env\/0: NAME=value/],
    [
      'an oomScoreAdj of 1001',
      (c) => (c.process.oomScoreAdj = 1001),
      /^\/process\/oomScoreAdj: .* -1000 to 1000, 1001$/,
    ],
    ['a terminal that is a text', (c) => (c.process.terminal = 'yes'), '/process/terminal: true or false, "yes"'],
    ['a console wider than winsize', (c) => (c.process.consoleSize.width = 65536), /^\/process\/consoleSize\/width: /],
    [
      'a capability in small letters',
      (c) => (c.process.capabilities.bounding[1] = 'cap_kill'),
      '/process/capabilities/bounding/1: a known name such as CAP_CHOWN, "cap_kill" (did you mean "CAP_KILL"?)',
    ],
    [
      'a capability without its prefix',
      (c) => (c.process.capabilities.effective[0] = 'SYS_ADMIN'),
      /^\/process\/capabilities\/effective\/0: .*\(did you mean "CAP_SYS_ADMIN"\?\)$/,
    ],
    [
      'capabilities as a list (1.0.0-rc4)',
      (c) => (c.process.capabilities = ['CAP_KILL']),
      /^\/process\/capabilities: an object/,
    ],
    [
      'an unknown rlimit',
      (c) => (c.process.rlimits[0].type = 'NOFILES'),
      /^\/process\/rlimits\/0\/type: a known name such as RLIMIT_CPU, "NOFILES"/,
    ],
    [
      'an rlimit twice',
      (c) => (c.process.rlimits[1].type = 'RLIMIT_NOFILE'),
      '/process/rlimits/1/type: each type once, "RLIMIT_NOFILE"',
    ],
    [
      'a soft limit above the hard one',
      (c) => (c.process.rlimits[0].soft = 1025),
      '/process/rlimits/0/soft: at most the hard limit 1024, 1025',
    ],
    ['an rlimit above 64 bits', (c) => (c.process.rlimits[0].hard = 1e20), /^\/process\/rlimits\/0\/hard: .* 2\^64-1/],
  ]);
});

describe('parseSpec refuses in mounts and hooks', () => {
  refuses([
    ['a mount without a destination', (c) => delete c.mounts[1].destination, /^\/mounts\/1\/destination: .*, nothing$/],
    ['an empty destination', (c) => (c.mounts[1].destination = ''), /^\/mounts\/1\/destination: .*, ""$/],
    [
      'a destination that climbs',
      (c) => (c.mounts[1].destination = '/a/../../b'),
      /^\/mounts\/1\/destination: .*"\.\."/,
    ],
    ['a relative destination that climbs', (c) => (c.mounts[1].destination = '..'), /^\/mounts\/1\/destination: /],
    ['a destination with a NUL', (c) => (c.mounts[1].destination = '/a\0'), /^\/mounts\/1\/destination: /],
    ['an over-long destination', (c) => (c.mounts[1].destination = `/${long}`), /^\/mounts\/1\/destination: /],
    ['an over-long source', (c) => (c.mounts[1].source = long), /^\/mounts\/1\/source: /],
    [
      'options as a text',
      (c) => (c.mounts[1].options = 'ro,nosuid'),
      /^\/mounts\/1\/options: an array of texts, "ro,nosuid"$/,
    ],
    ['an empty option', (c) => (c.mounts[1].options[0] = ''), /^\/mounts\/1\/options\/0: /],
    ['a bind mount of nothing', (c) => delete c.mounts[2].source, '/mounts/2/source: a path for a bind mount, nothing'],
    ['a null mount', (c) => (c.mounts[1] = null), '/mounts/1: an object, null'],
    [
      'a hook with a relative path',
      (c) => (c.hooks.poststop[0].path = 'bin/e'),
      /^\/hooks\/poststop\/0\/path: an absolute/,
    ],
    ['a hook without a path', (c) => delete c.hooks.prestart[0].path, /^\/hooks\/prestart\/0\/path: .*, nothing$/],
    [
      'a timeout of 0',
      (c) => (c.hooks.createRuntime[0].timeout = 0),
      /^\/hooks\/createRuntime\/0\/timeout: .* at least 1, 0$/,
    ],
  ]);
});

describe('parseSpec refuses in linux', () => {
  refuses([
    [
      'a misspelt namespace type',
      (c) => (c.linux.namespaces[2].type = 'mounts'),
      /^\/linux\/namespaces\/2\/type: one of pid, network, mount, .*, "mounts" \(did you mean "mount"\?\)$/,
    ],
    [
      'a namespace type twice',
      (c) => c.linux.namespaces.push({ type: 'pid' }),
      '/linux/namespaces/8/type: each type once, "pid"',
    ],
    [
      'a relative namespace path',
      (c) => (c.linux.namespaces[1].path = 'netns/a'),
      /^\/linux\/namespaces\/1\/path: an absolute/,
    ],
    ['an unknown device type', (c) => (c.linux.devices[0].type = 'x'), '/linux/devices/0/type: one of c, b, u, p, "x"'],
    [
      'a relative device path',
      (c) => (c.linux.devices[0].path = 'dev/x'),
      /^\/linux\/devices\/0\/path: an absolute path inside/,
    ],
    ['a device path that climbs', (c) => (c.linux.devices[0].path = '/dev/../x'), /^\/linux\/devices\/0\/path: /],
    [
      'a character device without a major number',
      (c) => delete c.linux.devices[0].major,
      '/linux/devices/0/major: a number for a device of type c, nothing',
    ],
    ['a major number of 13 bits', (c) => (c.linux.devices[0].major = 4096), /^\/linux\/devices\/0\/major: /],
    ['an unknown propagation', (c) => (c.linux.rootfsPropagation = 'slaves'), /\(did you mean "slave"\?\)$/],
    [
      'a relative masked path',
      (c) => (c.linux.maskedPaths[0] = 'proc/kcore'),
      /^\/linux\/maskedPaths\/0: an absolute path/,
    ],
    ['a readonly path that climbs', (c) => (c.linux.readonlyPaths[0] = '/proc/..'), /^\/linux\/readonlyPaths\/0: /],
    ['a cgroupsPath that climbs', (c) => (c.linux.cgroupsPath = '/a/../../b'), /^\/linux\/cgroupsPath: /],
    [
      'unknown device accesses',
      (c) => (c.linux.resources.devices[0].access = 'rwx'),
      '/linux/resources/devices/0/access: some of the letters r, w and m, "rwx"',
    ],
    [
      'a device rule of a fifo',
      (c) => (c.linux.resources.devices[1].type = 'p'),
      /devices\/1\/type: one of a, b, c, "p"$/,
    ],
    ['a memory limit of -2', (c) => (c.linux.resources.memory.limit = -2), /memory\/limit: an integer from -1/],
    ['a memory limit with a unit', (c) => (c.linux.resources.memory.limit = '1G'), /memory\/limit: .*, "1G"$/],
    ['a swappiness of 101', (c) => (c.linux.resources.memory.swappiness = 101), /memory\/swappiness: /],
    ['negative shares', (c) => (c.linux.resources.cpu.shares = -1), /cpu\/shares: an integer from 0/],
    [
      'a huge page size without a unit',
      (c) => (c.linux.resources.hugepageLimits[0].pageSize = '2M'),
      /pageSize: a size such/,
    ],
    [
      'a throttle without a rate',
      (c) => delete c.linux.resources.blockIO.throttleReadBpsDevice[0].rate,
      /0\/rate: .*nothing$/,
    ],
    [
      'a unified value that is a number',
      (c) => (c.linux.resources.unified['memory.high'] = 5),
      /unified\/memory.high: a text/,
    ],
  ]);

  test('a host and a domain name without a uts namespace', () => {
    expect(complaints((c) => c.linux.namespaces.splice(4, 1))).toEqual([
      '/hostname: (nothing) without a uts namespace, "box" (add {"type":"uts"} to /linux/namespaces)',
      '/domainname: (nothing) without a uts namespace, "example.org" (add {"type":"uts"} to /linux/namespaces)',
    ]);
  });

  test('masked and readonly paths without a mount namespace', () => {
    expect(complaints((c) => c.linux.namespaces.splice(2, 1))).toEqual([
      expect.stringMatching(/^\/linux\/maskedPaths: \(nothing\) without a mount namespace/),
      expect.stringMatching(/^\/linux\/readonlyPaths: \(nothing\) without a mount namespace/),
    ]);
  });
});

describe('parseSpec refuses id mappings', () => {
  refuses([
    [
      'that are missing for a new user namespace',
      (c) => delete c.linux.gidMappings,
      '/linux/gidMappings: at least one mapping for the new user namespace, nothing',
    ],
    ['of no ids', (c) => (c.linux.gidMappings[0].size = 0), /^\/linux\/gidMappings\/0\/size: an integer from 1/],
    [
      'of the id that means none',
      (c) => (c.linux.gidMappings[0].hostID = 4294967295),
      /^\/linux\/gidMappings\/0\/hostID/,
    ],
    [
      'that pass the last id',
      (c) => (c.linux.gidMappings[0].hostID = 4294967000),
      '/linux/gidMappings/0/size: ids up to 4294967294, counted from hostID 4294967000, 65536',
    ],
    [
      'that overlap inside',
      (c) => (c.linux.uidMappings[0].size = 1001),
      '/linux/uidMappings/1/containerID: no id that /linux/uidMappings/0 maps already, 1000',
    ],
    [
      'that overlap outside',
      (c) => (c.linux.uidMappings[1].hostID = 100999),
      '/linux/uidMappings/1/hostID: no id that /linux/uidMappings/0 maps already, 100999',
    ],
    [
      'that lack the user of the process',
      (c) => (c.process.user.uid = 1001),
      '/process/user/uid: an id that /linux/uidMappings maps, 1001',
    ],
    [
      'that lack an additional group',
      (c) => (c.process.user.additionalGids[1] = 65536),
      '/process/user/additionalGids/1: an id that /linux/gidMappings maps, 65536',
    ],
    [
      'that are more than the kernel takes',
      (c) =>
        (c.linux.gidMappings = Array.from({ length: 341 }, (_, i) => ({
          containerID: 10 * i,
          hostID: 10 * i,
          size: 10,
        }))),
      /^\/linux\/gidMappings: at most 340 mappings/,
    ],
  ]);

  test('without a user namespace', () => {
    expect(complaints((c) => c.linux.namespaces.splice(5, 1))).toEqual([
      expect.stringMatching(/^\/linux\/uidMappings: \(nothing\) without a user namespace/),
      expect.stringMatching(/^\/linux\/gidMappings: \(nothing\) without a user namespace/),
    ]);
  });
});

describe('parseSpec refuses sysctls', () => {
  const sysctl =
    (name: string, value: unknown = '1') =>
    (c: Json): void => {
      c.linux.sysctl = { [name]: value };
    };
  refuses([
    [
      'of the whole host',
      sysctl('kernel.core_pattern'),
      /core_pattern: a kernel parameter that belongs to a namespace/,
    ],
    ['of the whole host, written with slashes', sysctl('vm/swappiness'), /^\/linux\/sysctl\/vm~1swappiness: a kernel/],
    ['that have a field of their own', sysctl('kernel.hostname'), /\(use the field \/hostname\)$/],
    ['that climb, written with slashes', sysctl('net/../kernel/core_pattern'), /: a name such as net.ipv4.ip_forward/],
    ['that climb, written with dots', sysctl('net.//.kernel.core_pattern'), /: a name such as net.ipv4.ip_forward/],
    ['that end in a separator', sysctl('net.'), /: a name such as net.ipv4.ip_forward/],
    ['with a number for a value', sysctl('net.ipv4.ip_forward', 1), /ip_forward: a text without NUL, 1$/],
  ]);

  test.each([
    ['net.core.somaxconn', 'network', 1],
    ['kernel.msgmax', 'ipc', 3],
    ['fs.mqueue.msg_max', 'ipc', 3],
    ['user.max_user_namespaces', 'user', 5],
  ])('%s without a namespace of type %s', (name, type, index) => {
    const found = complaints((c) => {
      c.linux.sysctl = { [name]: '1' };
      c.linux.namespaces.splice(index, 1);
      delete c.linux.uidMappings;
      delete c.linux.gidMappings;
    });
    expect(found).toContainEqual(expect.stringContaining(`/linux/sysctl/${name}: a namespace of type ${type}`));
  });
});

describe('parseSpec refuses in linux.seccomp', () => {
  test.each<readonly [string, (c: Json) => void, string]>([
    [
      'seccomp action',
      (c) => (c.linux.seccomp.defaultAction = 'SCMP_ACT_ERNO'),
      '/linux/seccomp/defaultAction did you mean "SCMP_ACT_ERRNO"?',
    ],
    [
      'operator',
      (c) => (c.linux.seccomp.syscalls[0].args[0].op = 'EQ'),
      '/linux/seccomp/syscalls/0/args/0/op did you mean "SCMP_CMP_EQ"?',
    ],
    ['architecture', (c) => (c.linux.seccomp.architectures[0] = 'amd64'), '/linux/seccomp/architectures/0'],
    [
      'seccomp flag',
      (c) => (c.linux.seccomp.flags[0] = 'LOG'),
      '/linux/seccomp/flags/0 did you mean "SECCOMP_FILTER_FLAG_LOG"?',
    ],
  ])('an unknown %s', (_name, change, complaint) => {
    const config = fullConfig();
    change(config);
    const found = problemsOf(JSON.stringify(config));
    expect(found.map(({ pointer, hint }) => `${pointer} ${hint ?? ''}`.trim())).toEqual([complaint]);
  });
});

describe('the report', () => {
  test('lists every problem of the file, of fields and of rules', () => {
    const found = complaints((c) => {
      c.process.cwd = 5;
      c.mounts[0].destination = '';
      c.linux.namespaces.push({ type: 'uts' });
      c.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1 };
    });
    expect(found.map((line) => line.slice(0, line.indexOf(':')))).toEqual([
      '/process/cwd',
      '/mounts/0/destination',
      '/linux/namespaces/8/type',
      '/linux/seccomp/defaultErrnoRet',
    ]);
  });

  test('does not judge a rule by fields that are wrong in themselves', () => {
    expect(complaints((c) => (c.linux.namespaces = 'all'))).toEqual([
      '/linux/namespaces: an array of namespaces, "all"',
    ]);
  });

  test('reads as one line a problem under the name of the file', () => {
    const config = fullConfig();
    config.linux.namespaces[1].type = 'nett';
    config.root.path = '';
    expect(() => parse(config)).toThrow(
      [
        'config.json has 2 problems',
        '  /root/path: expected a path of 1 to 4095 bytes without NUL, found ""',
        '  /linux/namespaces/1/type: expected one of pid, network, mount, ipc, uts, user, cgroup, time, ' +
          'found "nett" (did you mean "network"?)',
      ].join('\n'),
    );
  });

  test('shortens what it found', () => {
    const found = complaints((c) => (c.process.cwd = { a: ['x'.repeat(500)], b: [[[[[]]]]] }))[0] ?? '';
    expect(found.length).toBeLessThan(140);
  });

  test.each([
    ['net', 'network'],
    ['mnt', 'mount'],
    ['pids', 'pid'],
    ['NETWORK', 'network'],
    ['username', 'user'],
    ['cgrup', 'cgroup'],
  ])('takes the namespace type %s for %s', (typed, meant) => {
    expect(complaints((c) => (c.linux.namespaces[0].type = typed))).toEqual([
      expect.stringContaining(`did you mean "${meant}"?`),
    ]);
  });

  test('guesses nothing where nothing is near', () => {
    expect(complaints((c) => (c.linux.namespaces[0].type = 'zzzz'))[0]).not.toContain('did you mean');
  });

  test.each(capabilityNames.filter((_, i) => i % 10 === 0))('recognises %s without its prefix', (name) => {
    const found = complaints((c) => (c.process.capabilities.bounding[0] = name.slice(4).toLowerCase()));
    expect(found[0]).toContain(`did you mean "${name}"?`);
  });
});
