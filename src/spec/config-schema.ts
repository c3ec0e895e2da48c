// config.json of runtime-spec 1.3 as tables: which fields there are, of what type, in which range. What one field says
// about another is in rules.ts.

import { capabilityNames } from '../linux/capabilities.ts';
import { rlimitNames } from '../linux/rlimits.ts';
import {
  CPU_MOST,
  ioPriorityClasses,
  memoryPolicyFlags,
  memoryPolicyModes,
  NODE_MOST,
  personalities,
  schedulerFlags,
  schedulerPolicies,
} from '../linux/scheduling.ts';
import { seccompActions, seccompArchitectures, seccompFlags, seccompOperators } from '../linux/seccomp.ts';
import { parseNumberList } from './number-list.ts';
import {
  BOOLEAN,
  type BooleanSchema,
  CHOICE,
  type ChoiceSchema,
  INTEGER,
  type IntegerSchema,
  LIST,
  type ListSchema,
  MAP,
  type MapSchema,
  RECORD,
  type RecordSchema,
  TEXT,
  type TextSchema,
} from './schema.ts';
import {
  isAbsoluteContainerPath,
  isAbsolutePath,
  isAnything,
  isContainerPath,
  isDeviceAccess,
  isDeviceName,
  isEnvironmentEntry,
  isFileName,
  isNonEmptyText,
  isPageSize,
  isPath,
  isKnownVersion,
  isText,
  isUtsName,
} from './text.ts';

const text: TextSchema = { kind: TEXT, expected: 'a text without NUL', test: isText };
const word: TextSchema = { kind: TEXT, expected: 'a text that is not empty and has no NUL', test: isNonEmptyText };
const anyText: TextSchema = { kind: TEXT, expected: 'a text', test: isAnything };
const path: TextSchema = { kind: TEXT, expected: 'a path of 1 to 4095 bytes without NUL', test: isPath };
const absolutePath: TextSchema = {
  kind: TEXT,
  expected: 'an absolute path of at most 4095 bytes without NUL',
  test: isAbsolutePath,
};
const containerPath: TextSchema = {
  kind: TEXT,
  expected: 'a path inside the container, without ".." and NUL, of 1 to 4095 bytes',
  test: isContainerPath,
};
const absoluteContainerPath: TextSchema = {
  kind: TEXT,
  expected: 'an absolute path inside the container, without ".." and NUL, of at most 4095 bytes',
  test: isAbsoluteContainerPath,
};
const utsName: TextSchema = { kind: TEXT, expected: 'a name of 1 to 64 bytes without NUL', test: isUtsName };
const closID: TextSchema = {
  kind: TEXT,
  expected: 'a name without "/" that is not "." or "..", or "/" for the root class',
  test: (text) => text === '/' || isFileName(text),
};

const deviceName: TextSchema = {
  kind: TEXT,
  expected: 'a name of 1 to 15 bytes without blanks, "/", ":" and "%"',
  test: isDeviceName,
};

const boolean: BooleanSchema = { kind: BOOLEAN };

// JSON.parse rounds to doubles: the greatest int64 becomes 2^63 and the greatest uint64 2^64, and both must pass.
const int64: IntegerSchema = { kind: INTEGER, expected: 'an integer of 64 bits', min: -(2 ** 63), max: 2 ** 63 };
const uint64: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 2^64-1', min: 0, max: 2 ** 64 };
const uint32: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 4294967295', min: 0, max: 2 ** 32 - 1 };
const limit: IntegerSchema = { kind: INTEGER, expected: 'an integer from -1 to 2^63-1', min: -1, max: 2 ** 63 };
// (uid_t)-1 means "leave unchanged" to every system call that takes an id.
const id: IntegerSchema = { kind: INTEGER, expected: 'an id from 0 to 4294967294', min: 0, max: 2 ** 32 - 2 };
// The kernel has 12 bits for the major and 20 for the minor number of a device (linux/kdev_t.h).
const major: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 4095', min: 0, max: 4095 };
const minor: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 1048575', min: 0, max: 2 ** 20 - 1 };
const anyDeviceNumber: IntegerSchema = {
  kind: INTEGER,
  expected: 'an integer from 0 to 4294967295, or -1 for all',
  min: -1,
  max: 2 ** 32 - 1,
};
const winsize: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 65535', min: 0, max: 65535 };

const cpuList: TextSchema = {
  kind: TEXT,
  expected: `a list of CPUs such as 0-3,7, none above ${CPU_MOST}`,
  test: (list) => parseNumberList(list, CPU_MOST) !== undefined,
};
const nodeList: TextSchema = {
  kind: TEXT,
  expected: `a list of NUMA nodes such as 0-3,7, none above ${NODE_MOST}`,
  test: (list) => parseNumberList(list, NODE_MOST) !== undefined,
};

const texts: ListSchema = { kind: LIST, expected: 'an array of texts', item: text, min: 0 };
const textMap: MapSchema = { kind: MAP, expected: 'an object of texts', value: text };

const idMapping: RecordSchema = {
  kind: RECORD,
  fields: {
    containerID: id,
    hostID: id,
    size: { kind: INTEGER, expected: 'an integer from 1 to 4294967295', min: 1, max: 2 ** 32 - 1 },
  },
  required: ['containerID', 'hostID', 'size'],
};
const idMappings: ListSchema = { kind: LIST, expected: 'an array of id mappings', item: idMapping, min: 0 };

const user: RecordSchema = {
  kind: RECORD,
  fields: {
    uid: id,
    gid: id,
    umask: { kind: INTEGER, expected: 'an integer from 0 to 511 (0777)', min: 0, max: 0o777 },
    additionalGids: { kind: LIST, expected: 'an array of group ids', item: id, min: 0 },
  },
  required: ['uid', 'gid'],
};

const capability: ChoiceSchema = { kind: CHOICE, words: capabilityNames };
const capabilitySet: ListSchema = { kind: LIST, expected: 'an array of capability names', item: capability, min: 0 };

const rlimit: RecordSchema = {
  kind: RECORD,
  fields: { type: { kind: CHOICE, words: rlimitNames }, hard: uint64, soft: uint64 },
  required: ['type', 'hard', 'soft'],
};

const scheduler: RecordSchema = {
  kind: RECORD,
  fields: {
    policy: { kind: CHOICE, words: Object.keys(schedulerPolicies) },
    nice: { kind: INTEGER, expected: 'an integer from -20 to 19', min: -20, max: 19 },
    priority: { kind: INTEGER, expected: 'an integer from 0 to 99', min: 0, max: 99 },
    flags: {
      kind: LIST,
      expected: 'an array of scheduler flags',
      item: { kind: CHOICE, words: Object.keys(schedulerFlags) },
      min: 0,
    },
    runtime: uint64,
    deadline: uint64,
    period: uint64,
  },
  required: ['policy'],
};

const processSchema: RecordSchema = {
  kind: RECORD,
  fields: {
    terminal: boolean,
    consoleSize: { kind: RECORD, fields: { height: winsize, width: winsize }, required: ['height', 'width'] },
    cwd: absolutePath,
    env: {
      kind: LIST,
      expected: 'an array of texts',
      item: { kind: TEXT, expected: 'NAME=value without NUL', test: isEnvironmentEntry },
      min: 0,
    },
    args: { kind: LIST, expected: 'an array of at least one text', item: text, min: 1 },
    user,
    capabilities: {
      kind: RECORD,
      fields: {
        bounding: capabilitySet,
        effective: capabilitySet,
        inheritable: capabilitySet,
        permitted: capabilitySet,
        ambient: capabilitySet,
      },
      required: [],
    },
    rlimits: { kind: LIST, expected: 'an array of rlimits', item: rlimit, min: 0 },
    noNewPrivileges: boolean,
    apparmorProfile: text,
    oomScoreAdj: { kind: INTEGER, expected: 'an integer from -1000 to 1000', min: -1000, max: 1000 },
    scheduler,
    selinuxLabel: text,
    ioPriority: {
      kind: RECORD,
      fields: {
        class: { kind: CHOICE, words: Object.keys(ioPriorityClasses) },
        priority: { kind: INTEGER, expected: 'an integer from 0 to 7', min: 0, max: 7 },
      },
      required: ['class', 'priority'],
    },
    execCPUAffinity: { kind: RECORD, fields: { initial: cpuList, final: cpuList }, required: [] },
  },
  required: ['cwd', 'args', 'user'],
};

const hook: RecordSchema = {
  kind: RECORD,
  fields: {
    path: absolutePath,
    args: texts,
    env: texts,
    timeout: { kind: INTEGER, expected: 'seconds, an integer of at least 1', min: 1, max: 2 ** 63 },
  },
  required: ['path'],
};
const hookList: ListSchema = { kind: LIST, expected: 'an array of hooks', item: hook, min: 0 };

const mount: RecordSchema = {
  kind: RECORD,
  fields: {
    destination: containerPath,
    type: text,
    source: path,
    options: { kind: LIST, expected: 'an array of texts', item: word, min: 0 },
    uidMappings: idMappings,
    gidMappings: idMappings,
  },
  required: ['destination'],
};

const device: RecordSchema = {
  kind: RECORD,
  fields: {
    type: { kind: CHOICE, words: ['c', 'b', 'u', 'p'] },
    path: absoluteContainerPath,
    major,
    minor,
    // Docker copies all of st_mode here, file type and all.
    fileMode: uint32,
    uid: id,
    gid: id,
  },
  required: ['type', 'path'],
};

const deviceRule: RecordSchema = {
  kind: RECORD,
  fields: {
    allow: boolean,
    type: { kind: CHOICE, words: ['a', 'b', 'c'] },
    major: anyDeviceNumber,
    minor: anyDeviceNumber,
    access: { kind: TEXT, expected: 'some of the letters r, w and m', test: isDeviceAccess },
  },
  required: ['allow'],
};

const memory: RecordSchema = {
  kind: RECORD,
  fields: {
    limit,
    reservation: limit,
    swap: limit,
    kernel: limit,
    kernelTCP: limit,
    swappiness: { kind: INTEGER, expected: 'an integer from 0 to 100', min: 0, max: 100 },
    disableOOMKiller: boolean,
    useHierarchy: boolean,
    checkBeforeUpdate: boolean,
  },
  required: [],
};

const cpu: RecordSchema = {
  kind: RECORD,
  fields: {
    shares: uint64,
    quota: int64,
    burst: uint64,
    period: uint64,
    realtimeRuntime: int64,
    realtimePeriod: uint64,
    cpus: text,
    mems: text,
    idle: { kind: INTEGER, expected: '0 or 1', min: 0, max: 1 },
  },
  required: [],
};

// The specification names no range, the kernel takes 10 to 1000, and 0 is what engines write for "not set".
const weight: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 1000', min: 0, max: 1000 };
const weightDevices: ListSchema = {
  kind: LIST,
  expected: 'an array of device weights',
  item: { kind: RECORD, fields: { major, minor, weight, leafWeight: weight }, required: ['major', 'minor'] },
  min: 0,
};
const throttleDevices: ListSchema = {
  kind: LIST,
  expected: 'an array of device rates',
  item: { kind: RECORD, fields: { major, minor, rate: uint64 }, required: ['major', 'minor', 'rate'] },
  min: 0,
};

export const resourcesSchema: RecordSchema = {
  kind: RECORD,
  fields: {
    devices: { kind: LIST, expected: 'an array of device rules', item: deviceRule, min: 0 },
    memory,
    cpu,
    pids: { kind: RECORD, fields: { limit }, required: [] },
    blockIO: {
      kind: RECORD,
      fields: {
        weight,
        leafWeight: weight,
        weightDevice: weightDevices,
        throttleReadBpsDevice: throttleDevices,
        throttleWriteBpsDevice: throttleDevices,
        throttleReadIOPSDevice: throttleDevices,
        throttleWriteIOPSDevice: throttleDevices,
      },
      required: [],
    },
    hugepageLimits: {
      kind: LIST,
      expected: 'an array of huge page limits',
      item: {
        kind: RECORD,
        fields: { pageSize: { kind: TEXT, expected: 'a size such as 2MB', test: isPageSize }, limit: uint64 },
        required: ['pageSize', 'limit'],
      },
      min: 0,
    },
    network: {
      kind: RECORD,
      fields: {
        classID: uint32,
        priorities: {
          kind: LIST,
          expected: 'an array of interface priorities',
          item: { kind: RECORD, fields: { name: word, priority: uint32 }, required: ['name', 'priority'] },
          min: 0,
        },
      },
      required: [],
    },
    rdma: {
      kind: MAP,
      expected: 'an object of RDMA limits',
      value: { kind: RECORD, fields: { hcaHandles: uint32, hcaObjects: uint32 }, required: [] },
    },
    unified: textMap,
  },
  required: [],
};

const seccompAction: ChoiceSchema = {
  kind: CHOICE,
  words: seccompActions,
};

const seccompArg: RecordSchema = {
  kind: RECORD,
  fields: {
    index: { kind: INTEGER, expected: 'an integer from 0 to 5', min: 0, max: 5 },
    value: uint64,
    valueTwo: uint64,
    op: {
      kind: CHOICE,
      words: seccompOperators,
    },
  },
  required: ['index', 'value', 'op'],
};

// SECCOMP_RET_DATA has 16 bits.
const errnoRet: IntegerSchema = { kind: INTEGER, expected: 'an integer from 0 to 65535', min: 0, max: 65535 };

const syscallRule: RecordSchema = {
  kind: RECORD,
  fields: {
    names: { kind: LIST, expected: 'an array of at least one system call name', item: word, min: 1 },
    action: seccompAction,
    errnoRet,
    args: { kind: LIST, expected: 'an array of argument comparisons', item: seccompArg, min: 0 },
  },
  required: ['names', 'action'],
};

const seccomp: RecordSchema = {
  kind: RECORD,
  fields: {
    defaultAction: seccompAction,
    defaultErrnoRet: errnoRet,
    architectures: {
      kind: LIST,
      expected: 'an array of architectures',
      item: {
        kind: CHOICE,
        words: seccompArchitectures,
      },
      min: 0,
    },
    flags: {
      kind: LIST,
      expected: 'an array of seccomp flags',
      item: {
        kind: CHOICE,
        words: seccompFlags,
      },
      min: 0,
    },
    listenerPath: path,
    listenerMetadata: text,
    syscalls: { kind: LIST, expected: 'an array of system call rules', item: syscallRule, min: 0 },
  },
  required: ['defaultAction'],
};

const namespace: RecordSchema = {
  kind: RECORD,
  fields: {
    type: { kind: CHOICE, words: ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'] },
    path: absolutePath,
  },
  required: ['type'],
};

const memoryPolicy: RecordSchema = {
  kind: RECORD,
  fields: {
    mode: { kind: CHOICE, words: Object.keys(memoryPolicyModes) },
    nodes: nodeList,
    flags: {
      kind: LIST,
      expected: 'an array of memory policy flags',
      item: { kind: CHOICE, words: Object.keys(memoryPolicyFlags) },
      min: 0,
    },
  },
  required: ['mode'],
};

const personality: RecordSchema = {
  kind: RECORD,
  fields: {
    domain: { kind: CHOICE, words: Object.keys(personalities) },
    flags: {
      kind: LIST,
      expected: 'an array',
      item: { kind: TEXT, expected: '(nothing): the specification knows no personality flags', test: () => false },
      min: 0,
    },
  },
  required: ['domain'],
};

const timeOffset: RecordSchema = {
  kind: RECORD,
  fields: {
    secs: int64,
    nanosecs: { kind: INTEGER, expected: 'an integer from 0 to 999999999', min: 0, max: 999999999 },
  },
  required: [],
};

const linux: RecordSchema = {
  kind: RECORD,
  fields: {
    uidMappings: idMappings,
    gidMappings: idMappings,
    sysctl: textMap,
    resources: resourcesSchema,
    cgroupsPath: containerPath,
    namespaces: { kind: LIST, expected: 'an array of namespaces', item: namespace, min: 0 },
    devices: { kind: LIST, expected: 'an array of devices', item: device, min: 0 },
    netDevices: {
      kind: MAP,
      expected: 'an object of network devices',
      value: { kind: RECORD, fields: { name: deviceName }, required: [] },
    },
    seccomp,
    rootfsPropagation: {
      kind: CHOICE,
      // The specification knows the first four; runc takes the recursive ones too, and podman writes them.
      words: ['shared', 'slave', 'private', 'unbindable', 'rshared', 'rslave', 'rprivate', 'runbindable'],
    },
    maskedPaths: { kind: LIST, expected: 'an array of paths', item: absoluteContainerPath, min: 0 },
    readonlyPaths: { kind: LIST, expected: 'an array of paths', item: absoluteContainerPath, min: 0 },
    mountLabel: text,
    intelRdt: {
      kind: RECORD,
      fields: { closID, schemata: texts, l3CacheSchema: text, memBwSchema: text, enableMonitoring: boolean },
      required: [],
    },
    memoryPolicy,
    personality,
    timeOffsets: { kind: MAP, expected: 'an object of clock offsets', value: timeOffset },
  },
  required: [],
};

/** All of config.json that concerns Linux; sections of other platforms are unknown fields. */
export const configSchema: RecordSchema = {
  kind: RECORD,
  fields: {
    ociVersion: {
      kind: TEXT,
      expected: 'a version 1.x of the specification in SemVer 2.0, such as 1.3.0',
      test: isKnownVersion,
    },
    root: { kind: RECORD, fields: { path, readonly: boolean }, required: ['path'] },
    mounts: { kind: LIST, expected: 'an array of mounts', item: mount, min: 0 },
    process: processSchema,
    hostname: utsName,
    domainname: utsName,
    hooks: {
      kind: RECORD,
      fields: {
        prestart: hookList,
        createRuntime: hookList,
        createContainer: hookList,
        startContainer: hookList,
        poststart: hookList,
        poststop: hookList,
      },
      required: [],
    },
    annotations: { kind: MAP, expected: 'an object of texts', value: anyText },
    linux,
  },
  required: ['ociVersion', 'root'],
};
