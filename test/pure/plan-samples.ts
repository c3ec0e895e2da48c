// Valid configurations, hosts and requests to compile plans from: fixed ones for golden files, generated ones for rules.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { inOrder } from '../../src/explain/order.ts';
import { capabilityNames } from '../../src/linux/capabilities.ts';
import { mountOptionNames } from '../../src/plan/mount-options.ts';
import type { HostFacts } from '../../src/plan/host.ts';
import { compile, type Plan, type PlanRequest } from '../../src/plan/plan.ts';
import type { HostStep, InitStep, Step } from '../../src/plan/steps.gen.ts';
import { specTemplate } from '../../src/spec/template.ts';
import type { Spec } from '../../src/spec/types.ts';
import { fullConfig, type Json, parse } from './spec-samples.ts';

export const allCapabilities = 2 ** capabilityNames.length - 1;
const controllers = ['cpu', 'cpuset', 'hugetlb', 'io', 'memory', 'misc', 'pids', 'rdma'];

/** A host with everything, on which nothing is left out. */
const richHost: HostFacts = {
  euid: 0,
  permitted: allCapabilities,
  bounding: allCapabilities,
  lastCapability: capabilityNames.length - 1,
  cgroup: {
    mount: '/sys/fs/cgroup',
    own: '/user.slice/session-1.scope',
    controllers,
    filtersDevices: true,
    delegate: ['cgroup.procs'],
  },
  appArmor: true,
  seLinux: true,
  resctrl: { mount: '/sys/fs/resctrl', schemata: undefined },
  environment: ['PATH=/bin'],
  kernelMounts: [],
  inChroot: false,
};

const request: PlanRequest = {
  id: 'box',
  bundle: '/bundles/box',
  rootfs: '/bundles/box/rootfs',
  overlay: undefined,
  gate: undefined,
  noPivot: false,
  noNewKeyring: false,
  preserveFds: 0,
  seccomp: undefined,
  env: [],
};

export const specOf = (config: unknown): Spec => parse(structuredClone(config));
export const planOf = (config: unknown, more: Partial<PlanRequest> = {}, facts: Partial<HostFacts> = {}): Plan =>
  compile(specOf(config), { ...request, ...more }, { ...richHost, ...facts });

export const helloConfig = (): Json =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../../bundles/hello/config.json'), 'utf8'));
export const templateConfig = (rootless = false): Json =>
  structuredClone(specTemplate({ rootless, uid: 1000, gid: 1000 }));

/** The template without mounts, limits and masks: little enough to see what one field adds. */
export const smallConfig = (change: (config: Json) => void = () => undefined): Json => {
  const config = templateConfig();
  config.process.terminal = false;
  config.mounts = [];
  config.linux = { namespaces: [{ type: 'mount' }, { type: 'uts' }] };
  config.root.readonly = false;
  delete config.process.rlimits;
  change(config);
  return config;
};

/** Each field that a plan looks at. */
export function everything(): Json {
  const config = fullConfig();
  config.root.path = '/images/everything';
  config.process.cwd = '/work/dir';
  config.process.args = ['server', '--listen', '0.0.0.0:80'];
  config.process.rlimits.push({ type: 'RLIMIT_MEMLOCK', soft: 2 ** 64, hard: 2 ** 64 });
  config.process.rlimits[0].soft = 20;
  config.mounts = [
    ...templateConfig().mounts,
    { destination: '/data', type: 'none', source: '../data', options: ['rbind', 'ro', 'rnosuid', 'rslave'] },
    { destination: '/etc/hosts', type: 'bind', source: '/run/hosts', options: ['bind', 'noatime'] },
    { destination: '/proc/meminfo', source: '/lxcfs/meminfo', options: ['bind'] },
    { destination: '/dev', options: ['remount', 'noexec'] },
    {
      destination: '/tmp',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'sync', 'size=64m,mode=1777', 'shared'],
    },
    { destination: '/tmp', options: ['remount', 'size=32m'] },
  ];
  config.mounts[1].options.push('ro');
  config.linux.namespaces[1] = { type: 'network' };
  config.linux.resources.pids.limit = 0;
  config.linux.rootfsPropagation = 'rshared';
  return config;
}

/** Everything without a user namespace: then limits are set by init, and devices are made. */
export function everythingAsRoot(): Json {
  const config = everything();
  config.linux.namespaces = config.linux.namespaces.filter((entry: Json) => entry.type !== 'user');
  delete config.linux.uidMappings;
  delete config.linux.gidMappings;
  return config;
}

export const joined = (): Json =>
  smallConfig((config) => {
    config.linux.namespaces = ['pid', 'network', 'ipc', 'user', 'mount', 'uts', 'cgroup', 'time'].map((type) =>
      type === 'mount' ? { type } : { type, path: `/proc/4242/ns/${type === 'network' ? 'net' : type}` },
    );
  });

const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const few = <T>(value: fc.Arbitrary<T>, maxLength = 3) => fc.array(value, { maxLength });

/** Texts that must survive the way: quotes, other scripts, no NUL. */
export const textValue = fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replaceAll('\0', '0'));
const word = textValue.filter((text) => text !== '');
const fileName = fc.stringMatching(/^[a-z][a-z0-9.~_-]{0,6}$/);
const path = fc.oneof(
  fc.array(fileName, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`),
  fc.constantFrom('/dev', '/dev/shm', '/proc', '/proc/meminfo', '/proc/x', '/sys', '/a//b/', '/a/./b'),
);
const id = fc.oneof(fc.nat(10), fc.integer({ min: 0, max: 65535 }));
const byte64 = fc.oneof(fc.nat(5000), fc.constantFrom(2 ** 53 - 1, 2 ** 63, 2 ** 64));

/** They make another kind of mount, or are right only on some, or with mappings. */
const special = ['bind', 'rbind', 'idmap', 'ridmap', 'tmpcopyup'];

const options = few(
  fc.oneof(
    fc.constantFrom(...mountOptionNames.filter((name) => !special.includes(name))),
    fc.constantFrom('size=64m', 'mode=755', 'uid=5,gid=5'),
  ),
  5,
);
const mount = fc.oneof(
  fc.record({
    destination: path,
    type: fc.constantFrom('tmpfs', 'proc', 'sysfs', 'cgroup', 'cgroup2', 'devpts', 'mqueue', 'ext4'),
    source: fc.constantFrom('none', 'tmpfs'),
    options: some(options),
  }),
  fc.record({
    destination: path,
    type: fc.constantFrom('bind', 'none'),
    source: fc.constantFrom('/srv', 'data', '../x'),
    options: fc.tuple(options, fc.constantFrom('bind', 'rbind')).map(([list, bind]) => [bind, ...list]),
  }),
);

const capabilitySet = some(fc.subarray([...capabilityNames]));
const hook = fc.record(
  {
    path: fileName.map((name) => `/bin/${name}`),
    args: few(textValue),
    env: few(word.map((value) => `A=${value}`)),
    timeout: fc.integer({ min: 1, max: 2 ** 40 }),
  },
  { requiredKeys: ['path'] },
);
const device = fc.oneof(
  fc.record({
    type: fc.constantFrom('c', 'b', 'u'),
    path: fc.oneof(
      fc.constantFrom('/dev/null', '/dev/ptmx', '/dev//fuse', '/dev/console'),
      fileName.map((name) => `/dev/${name}`),
    ),
    major: fc.nat(4095),
    minor: fc.nat(2 ** 20 - 1),
    fileMode: some(fc.constantFrom(0o600, 0o20666, 0o60660, 0o100000 | 0o640)),
    uid: some(id),
  }),
  fc.record({ type: fc.constant('p'), path: fileName.map((name) => `/dev/${name}`) }),
);
const resources = fc.record(
  {
    devices: few(
      fc.record({
        allow: fc.boolean(),
        type: some(fc.constantFrom('a', 'b', 'c')),
        access: fc.constantFrom('rwm', 'r'),
      }),
    ),
    memory: fc.record({
      limit: some(fc.integer({ min: -1, max: 2 ** 40 })),
      checkBeforeUpdate: some(fc.boolean()),
    }),
    cpu: fc.record({ shares: some(fc.integer({ min: 2, max: 262144 })) }),
    pids: fc.record({ limit: fc.integer({ min: -1, max: 1000 }) }),
    unified: fc.constant({ 'memory.high': 'max' }),
  },
  { requiredKeys: [] },
);
const sysctls: readonly (readonly [name: string, type: string])[] = [
  ['net.ipv4.ip_forward', 'network'],
  ['net/ipv4/conf/eth0.1/rp_filter', 'network'],
  ['kernel.msgmax', 'ipc'],
  ['fs.mqueue.msg_max', 'ipc'],
];

const namespaceTypes = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'];
const namespaces = fc
  .tuple(fc.shuffledSubarray(namespaceTypes), fc.infiniteStream(fc.boolean()))
  .map(([types, joins]) =>
    types.map((type) => (joins.next().value === true ? { type, path: `/run/ns/${type}` } : { type })),
  );

const parts = fc.record({
  namespaces: some(namespaces),
  process: fc.record(
    {
      terminal: fc.boolean(),
      consoleSize: fc.record({ width: fc.nat(65535), height: fc.nat(65535) }),
      user: fc.record({ uid: id, gid: id, umask: some(fc.nat(0o777)), additionalGids: some(few(id)) }),
      args: fc.array(textValue, { minLength: 1, maxLength: 4 }),
      env: few(fc.tuple(fc.constantFrom('A', 'B', 'PATH', 'HOME'), textValue).map((pair) => pair.join('='))),
      cwd: fc.oneof(fc.constant('/'), path),
      capabilities: fc.record({
        bounding: capabilitySet,
        effective: capabilitySet,
        permitted: capabilitySet,
        inheritable: capabilitySet,
        ambient: capabilitySet,
      }),
      rlimits: fc.uniqueArray(
        fc
          .record({ type: fc.constantFrom('RLIMIT_NOFILE', 'RLIMIT_CORE', 'RLIMIT_AS'), a: byte64, b: byte64 })
          .map(({ type, a, b }) => ({ type, soft: Math.min(a, b), hard: Math.max(a, b) })),
        { selector: ({ type }) => type },
      ),
      noNewPrivileges: fc.boolean(),
      oomScoreAdj: fc.integer({ min: -1000, max: 1000 }),
      apparmorProfile: word,
      selinuxLabel: word,
      scheduler: fc.constantFrom(
        { policy: 'SCHED_OTHER', nice: -5 },
        { policy: 'SCHED_FIFO', priority: 1, flags: ['SCHED_FLAG_RESET_ON_FORK', 'SCHED_FLAG_KEEP_PARAMS'] },
        { policy: 'SCHED_DEADLINE', runtime: 1e6, deadline: 2 ** 40, period: 2 ** 64 },
      ),
      ioPriority: fc.record({
        class: fc.constantFrom('IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'),
        priority: fc.nat(7),
      }),
    },
    { requiredKeys: ['user', 'args', 'cwd'] },
  ),
  names: fc.record({ hostname: some(fileName), domainname: some(fileName) }),
  readonly: some(fc.boolean()),
  mounts: some(few(mount, 5)),
  hooks: some(
    fc.record(
      {
        prestart: few(hook, 2),
        createRuntime: few(hook, 2),
        createContainer: few(hook, 2),
        startContainer: few(hook, 2),
        poststop: few(hook, 1),
      },
      { requiredKeys: [] },
    ),
  ),
  annotations: some(fc.dictionary(word, textValue, { maxKeys: 2 })),
  masks: fc.record(
    {
      maskedPaths: few(path),
      readonlyPaths: few(path),
      rootfsPropagation: fc.constantFrom('rslave', 'shared', 'rprivate', 'unbindable'),
    },
    { requiredKeys: [] },
  ),
  devices: some(fc.uniqueArray(device, { maxLength: 3, selector: ({ path: place }) => place.replaceAll(/\/+/g, '/') })),
  cgroupsPath: some(fc.constantFrom('/pods/a', 'web')),
  resources: some(resources),
  timeOffsets: some(
    fc.record({ monotonic: some(fc.record({ secs: fc.integer(), nanosecs: some(fc.nat(999999999)) })) }),
  ),
  sysctl: fc.subarray([...sysctls]),
  intelRdt: some(
    fc.constantFrom({ closID: 'gold', schemata: ['L3:0=f'] }, { memBwSchema: 'MB:0=50', enableMonitoring: true }),
  ),
  personality: some(fc.constantFrom({ domain: 'LINUX' }, { domain: 'LINUX32' })),
  memoryPolicy: some(
    fc.constantFrom(
      { mode: 'MPOL_LOCAL' },
      { mode: 'MPOL_PREFERRED' },
      { mode: 'MPOL_BIND', nodes: '0-3,64', flags: ['MPOL_F_STATIC_NODES', 'MPOL_F_NUMA_BALANCING'] },
    ),
  ),
});

const strip = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** A configuration that parseSpec takes: fields that need a namespace are there only beside it. */
const validConfig: fc.Arbitrary<Json> = parts.map((part) => {
  const list = part.namespaces ?? [];
  const has = (type: string) => list.some((entry) => entry.type === type);
  const isNew = (type: string) => list.some((entry) => entry.type === type && !('path' in entry));
  const newUser = isNew('user');
  const inMount = has('mount');
  const mappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  return strip({
    ociVersion: '1.3.0',
    process: { ...part.process, ...(inMount ? {} : { terminal: undefined }) },
    root: { path: 'rootfs', readonly: inMount ? part.readonly : undefined },
    mounts: inMount ? part.mounts : undefined,
    ...(has('uts') ? part.names : {}),
    hooks: part.hooks,
    annotations: part.annotations,
    linux: {
      namespaces: part.namespaces,
      timeOffsets: isNew('time') ? part.timeOffsets : undefined,
      ...(newUser ? { uidMappings: mappings, gidMappings: mappings } : {}),
      ...(inMount ? part.masks : {}),
      devices: part.devices,
      cgroupsPath: part.cgroupsPath,
      resources: part.resources,
      intelRdt: part.intelRdt,
      personality: part.personality,
      memoryPolicy: part.memoryPolicy,
      sysctl: Object.fromEntries(part.sysctl.filter(([, type]) => has(type)).map(([name]) => [name, '1'])),
    },
  });
});

const mask = fc.bigInt({ min: 0n, max: BigInt(allCapabilities) }).map(Number);

export interface Sample {
  readonly config: Json;
  readonly spec: Spec;
  readonly request: PlanRequest;
  readonly facts: HostFacts;
  readonly plan: Plan;
}

/** A configuration, a host, a request, and the plan that is made of them. */
export const sample: fc.Arbitrary<Sample> = fc
  .record({
    config: validConfig,
    request: fc.record({
      id: fc.constantFrom('box', 'a.b_c-d'),
      bundle: fc.constant('/bundles/box'),
      rootfs: fc.constantFrom('/bundles/box/rootfs', '/images/x y'),
      overlay: fc.constantFrom(undefined, {
        lower: ['/s/2', '/s/1'],
        upper: '/b/upper',
        work: '/b/work',
        volatile: true,
      }),
      gate: some(fc.constant('/run/tsrun/box/gate')),
      noPivot: fc.boolean(),
      noNewKeyring: fc.boolean(),
      preserveFds: fc.nat(3),
      seccomp: fc.constant(undefined),
      env: fc.constantFrom<readonly string[]>([], ['LISTEN_FDS=1', 'LISTEN_PID=1']),
    }),
    facts: fc.record({
      euid: fc.constantFrom(0, 1000),
      permitted: mask,
      bounding: mask,
      lastCapability: fc.constant(capabilityNames.length - 1),
      cgroup: some(
        fc.record({
          mount: fc.constantFrom('/sys/fs/cgroup', '/sys/fs/cgroup/unified'),
          own: fc.constantFrom('/', '/user.slice/session-1.scope'),
          controllers: fc.constant(controllers),
          filtersDevices: fc.boolean(),
          delegate: fc.constantFrom(undefined, ['cgroup.procs', 'memory.oom.group']),
        }),
      ),
      resctrl: fc.constant({ mount: '/sys/fs/resctrl', schemata: undefined }),
      appArmor: fc.constant(true),
      seLinux: fc.constant(true),
      environment: fc.constantFrom([], ['PATH=/bin', 'A=b c']),
      kernelMounts: fc.constantFrom([], ['/proc', '/sys', '/bundles/box/rootfs/proc']),
      inChroot: fc.boolean(),
    }),
  })
  .map((made) => {
    const config = made.config;
    // Without cgroups a limit is refused, and that is not the matter here.
    if (made.facts.cgroup === undefined) delete config.linux.resources;
    // So are further groups without root.
    if (made.facts.euid !== 0) delete config.process.user.additionalGids;
    const spec = specOf(config);
    const { facts } = made;
    // Layers need a mount namespace, and that they are refused without is not the matter here.
    const isApart = spec.linux.namespaces?.some(({ type }) => type === 'mount') === true;
    const asked: PlanRequest = { ...made.request, ...(isApart ? {} : { overlay: undefined }) };
    return { config, spec, request: asked, facts, plan: compile(spec, asked, facts) };
  });

/** All steps of both sides, in the order in which they happen. */
export const happening = (plan: Plan): Step[] =>
  inOrder(plan).flatMap(({ step }) => (step.op === 'startUnit' ? [] : [step]));

export type Op<Name extends Step['op']> = Extract<Step, { op: Name }>;
export const all = <Name extends Step['op']>(steps: readonly Step[], op: Name): Op<Name>[] =>
  steps.filter((step): step is Op<Name> => step.op === op);
export const names = (steps: readonly (HostStep | InitStep)[]): string[] => steps.map(({ op }) => op);
