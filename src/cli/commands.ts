// The whole command line as data: what args.ts parses and help.ts prints.
// Names, short names and kinds follow runc, as engines send them, then crun: docs/decisions/0003-command-line.md

/** One flag. `--name value`, `--name=value` and the same with a single dash or the short name all mean it. */
export interface Flag {
  /** Without dashes, in kebab case. A parsed command line has its value under the same name in camel case. */
  readonly name: string;
  readonly short?: string;
  readonly aliases?: readonly string[];
  /** `bool` never takes the next word as its value; `strings` may be given more than once and keeps all values. */
  readonly kind: 'bool' | 'string' | 'int' | 'strings';
  /** What help shows in place of the value. */
  readonly value?: string;
  /** The only values there are. */
  readonly values?: readonly string[];
  /** The smallest `int` allowed. */
  readonly min?: number;
  /** The value when the flag is not given; without it that is `undefined`, `false` or `[]`, by kind. */
  readonly default?: string | number;
  readonly doc: string;
  /** Accepted and kept out of help: deprecated, or there only so that a caller of another runtime is not refused. */
  readonly hidden?: true;
}

/** One positional argument. Those that may be left out stand last. */
export interface Argument {
  readonly name: string;
  readonly optional?: true;
  readonly default?: string;
  /** Takes all words that are left, perhaps none; only as the last argument. */
  readonly rest?: true;
  /** All words that it may be. */
  readonly values?: readonly string[];
}

/** One verb. */
export interface Command {
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly arguments: readonly Argument[];
  readonly flags: readonly Flag[];
  /** Words after the first argument are not ours to read: they are a command with flags of its own. */
  readonly stopsAtArgument?: true;
  readonly hidden?: true;
}

/** Before the verb. */
export const globalFlags = [
  {
    name: 'root',
    kind: 'string',
    value: 'DIR',
    doc: 'keep the state of containers in DIR (default: /run/tsrun, or $XDG_RUNTIME_DIR/tsrun without root)',
  },
  { name: 'log', kind: 'string', value: 'FILE', doc: 'append messages to FILE; errors still go to stderr too' },
  {
    name: 'log-format',
    kind: 'string',
    value: 'FORMAT',
    values: ['text', 'json'],
    default: 'text',
    doc: 'how messages are written',
  },
  {
    name: 'log-level',
    kind: 'string',
    value: 'LEVEL',
    values: ['error', 'warning', 'debug'],
    default: 'error',
    doc: 'the least severe messages to write',
  },
  { name: 'debug', kind: 'bool', doc: 'the same as --log-level debug' },
  {
    name: 'systemd-cgroup',
    kind: 'bool',
    doc: 'let systemd make the cgroup; cgroupsPath then is "slice:prefix:name". The same as --cgroup-manager systemd',
  },
  {
    name: 'cgroup-manager',
    kind: 'string',
    value: 'MANAGER',
    values: ['cgroupfs', 'systemd', 'disabled'],
    doc: 'who makes the cgroup, cgroupfs unless given; "disabled" leaves the container in that of its caller',
  },
  {
    name: 'rootless',
    kind: 'string',
    value: 'MODE',
    values: ['true', 'false', 'auto'],
    default: 'auto',
    doc: 'go on when cgroups may not be written',
  },
  {
    name: 'store',
    kind: 'string',
    value: 'DIR',
    doc: 'keep images in DIR (default: /var/lib/tsrun, or $XDG_DATA_HOME/tsrun without root)',
  },
  { name: 'criu', kind: 'string', value: 'PATH', doc: 'deprecated and ignored: criu is found in $PATH', hidden: true },
  { name: 'help', short: 'h', kind: 'bool', doc: 'show help' },
  { name: 'version', short: 'v', kind: 'bool', doc: 'show the version' },
] as const satisfies readonly Flag[];

const containerId = { name: 'container-id' } as const satisfies Argument;

const bundleFlag = {
  name: 'bundle',
  short: 'b',
  kind: 'string',
  value: 'DIR',
  doc: 'the bundle: a directory with config.json and a root filesystem (default: the current directory)',
} as const satisfies Flag;

const createFlags = [
  bundleFlag,
  {
    name: 'config',
    short: 'f',
    kind: 'string',
    value: 'FILE',
    default: 'config.json',
    doc: 'read the configuration from FILE',
  },
  {
    name: 'console-socket',
    kind: 'string',
    value: 'SOCKET',
    doc: 'send the master end of the terminal to this unix socket',
  },
  { name: 'pidfd-socket', kind: 'string', value: 'SOCKET', doc: 'send a pidfd of the process to this unix socket' },
  { name: 'pid-file', kind: 'string', value: 'FILE', doc: 'write the process id to FILE' },
  { name: 'no-pivot', kind: 'bool', doc: 'do not use pivot_root(2), for a root filesystem on a ramdisk' },
  { name: 'no-new-keyring', kind: 'bool', doc: "keep the caller's session keyring" },
  {
    name: 'preserve-fds',
    kind: 'int',
    value: 'N',
    min: 0,
    default: 0,
    doc: 'pass N more file descriptors, after stdio and those of $LISTEN_FDS',
  },
  {
    name: 'trace',
    kind: 'string',
    value: 'FILE',
    doc: "write each step, the kernel's answer and the time it took to FILE",
  },
  { name: 'json', kind: 'bool', doc: 'write the trace as JSON' },
] as const satisfies readonly Flag[];

/** Of the verbs that take an image. */
const imageFlags = [
  {
    name: 'platform',
    kind: 'string',
    value: 'PLATFORM',
    doc: 'the image of an index to take, such as linux/arm64 (default: of the host)',
  },
  {
    name: 'max-size',
    kind: 'string',
    value: 'BYTES',
    default: '64g',
    doc: 'refuse a layer that is larger when it is unpacked',
  },
  {
    name: 'max-entries',
    kind: 'int',
    value: 'N',
    min: 1,
    default: 1_000_000,
    doc: 'refuse a layer with more files and directories',
  },
] as const satisfies readonly Flag[];

const imageArgument = { name: 'image' } as const satisfies Argument;

/** After the global flags, by name. */
export const commands = {
  run: {
    summary: 'create a container, start it and wait for its process to end',
    description:
      'The exit status is that of the process, or 128 + N if signal N ended it. ' +
      'A bundle directory may stand in place of the id; the id then is made from its name. So may an image: ' +
      'oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE. It is unpacked where it is not yet, and a command ' +
      'behind "--" replaces its own.',
    arguments: [containerId, { name: 'command', rest: true }],
    flags: [
      ...createFlags,
      { name: 'id', kind: 'string', value: 'ID', doc: "the container's id, for an image or a bundle directory" },
      ...imageFlags,
      { name: 'no-subreaper', kind: 'bool', doc: 'do not adopt orphaned processes of the container' },
      { name: 'detach', short: 'd', kind: 'bool', doc: 'return once the process has started' },
      { name: 'keep', kind: 'bool', doc: 'keep the state of the container after its process has ended' },
    ],
  },
  create: {
    summary: 'create a container and stop short of its process',
    description: 'All is set up and checked when this returns; `tsrun start` then starts the process.',
    arguments: [containerId],
    flags: [
      ...createFlags,
      { name: 'no-subreaper', kind: 'bool', doc: 'accepted and ignored: create waits for nothing', hidden: true },
    ],
  },
  start: {
    summary: 'start the process of a created container',
    arguments: [containerId],
    flags: [],
  },
  state: {
    summary: 'show the state of a container as JSON',
    arguments: [containerId],
    flags: [],
  },
  kill: {
    summary: 'send a signal to the first process of a container',
    description: 'The signal is a name, with or without SIG, or a number.',
    arguments: [containerId, { name: 'signal', optional: true, default: 'SIGTERM' }],
    flags: [{ name: 'all', short: 'a', kind: 'bool', doc: 'send it to all processes of the container' }],
  },
  delete: {
    summary: 'delete a stopped or created container and all that it holds',
    arguments: [containerId],
    flags: [
      {
        name: 'force',
        short: 'f',
        kind: 'bool',
        doc: 'kill it first if it runs; succeed if there is no such container',
      },
    ],
  },
  exec: {
    summary: 'run a process in a container that is created or runs',
    description:
      'The exit status is that of the process, 128 + N if signal N ended it, or 255 if it could not be run. ' +
      "What no flag says is as in the container's own process; flags stand before the id.",
    arguments: [containerId, { name: 'command', rest: true }],
    stopsAtArgument: true,
    flags: [
      {
        name: 'process',
        short: 'p',
        kind: 'string',
        value: 'FILE',
        doc: 'take the process from FILE: JSON as in process of config.json',
      },
      { name: 'tty', short: 't', kind: 'bool', doc: 'give the process a terminal' },
      {
        name: 'console-socket',
        kind: 'string',
        value: 'SOCKET',
        doc: 'send the master end of the terminal to this unix socket',
      },
      { name: 'pid-file', kind: 'string', value: 'FILE', doc: 'write the process id to FILE' },
      { name: 'pidfd-socket', kind: 'string', value: 'SOCKET', doc: 'send a pidfd of the process to this unix socket' },
      { name: 'detach', short: 'd', kind: 'bool', doc: 'return once the process has started' },
      { name: 'cwd', kind: 'string', value: 'DIR', doc: 'the working directory in the container' },
      { name: 'env', short: 'e', kind: 'strings', value: 'NAME=VALUE', doc: 'add to the environment' },
      { name: 'user', short: 'u', kind: 'string', value: 'UID[:GID]', doc: 'the user, by numbers' },
      { name: 'additional-gids', short: 'g', kind: 'strings', value: 'GID', doc: 'add a supplementary group' },
      {
        name: 'cap',
        short: 'c',
        kind: 'strings',
        value: 'CAPABILITY',
        doc: 'add a capability to the bounding, effective and permitted sets',
      },
      { name: 'no-new-privs', kind: 'bool', doc: 'let no program gain privileges' },
      { name: 'apparmor', kind: 'string', value: 'PROFILE', doc: 'the AppArmor profile' },
      { name: 'process-label', kind: 'string', value: 'LABEL', doc: 'the SELinux label' },
      {
        name: 'preserve-fds',
        kind: 'int',
        value: 'N',
        min: 0,
        default: 0,
        doc: 'pass N more file descriptors, after stdio',
      },
      {
        name: 'cgroup',
        kind: 'strings',
        value: '[CONTROLLER:]PATH',
        doc: "be born in this cgroup below the container's, which must be there",
      },
      { name: 'ignore-paused', kind: 'bool', doc: 'also in a paused container: the process waits for resume' },
      { name: 'no-subreaper', kind: 'bool', doc: 'accepted and ignored: exec adopts no processes', hidden: true },
    ],
  },
  pause: { summary: 'stop all processes of a container, until resume', arguments: [containerId], flags: [] },
  resume: { summary: 'let all processes of a paused container go on', arguments: [containerId], flags: [] },
  update: {
    summary: 'change the limits of a container',
    description:
      'With --resources, the other flags mean nothing. Sizes may have a unit, as in 64m; -1 takes a limit away.',
    arguments: [containerId],
    flags: [
      {
        name: 'resources',
        short: 'r',
        kind: 'string',
        value: 'FILE',
        doc: 'read the new limits from FILE, or from stdin if it is "-": JSON as in linux.resources of config.json',
      },
      { name: 'memory', kind: 'string', value: 'BYTES', doc: 'the memory limit' },
      { name: 'memory-reservation', kind: 'string', value: 'BYTES', doc: 'memory that is reclaimed last' },
      { name: 'memory-swap', kind: 'string', value: 'BYTES', doc: 'the limit of memory and swap together' },
      { name: 'kernel-memory', kind: 'string', value: 'BYTES', doc: 'ignored: only cgroup v1 has it', hidden: true },
      {
        name: 'kernel-memory-tcp',
        kind: 'string',
        value: 'BYTES',
        doc: 'ignored: only cgroup v1 has it',
        hidden: true,
      },
      { name: 'cpu-share', aliases: ['cpu-shares'], kind: 'string', value: 'N', doc: 'CPU shares, 1024 is usual' },
      { name: 'cpu-quota', kind: 'string', value: 'US', doc: 'CPU time in a period, in µs' },
      { name: 'cpu-period', kind: 'string', value: 'US', doc: 'the period of the quota, in µs' },
      { name: 'cpu-burst', kind: 'string', value: 'US', doc: 'unused quota that may add up, in µs' },
      { name: 'cpu-idle', kind: 'string', value: '0|1', doc: '1: run only when nothing else wants the CPU' },
      { name: 'cpu-rt-period', kind: 'string', value: 'US', doc: 'refused: only cgroup v1 has it', hidden: true },
      { name: 'cpu-rt-runtime', kind: 'string', value: 'US', doc: 'refused: only cgroup v1 has it', hidden: true },
      { name: 'cpuset-cpus', kind: 'string', value: 'LIST', doc: 'CPUs to run on, such as 0-3,5' },
      { name: 'cpuset-mems', kind: 'string', value: 'LIST', doc: 'memory nodes to use' },
      { name: 'pids-limit', kind: 'string', value: 'N', doc: 'the limit of processes and threads' },
      { name: 'blkio-weight', kind: 'string', value: 'N', doc: 'share of disk time, 10 to 1000' },
      { name: 'l3-cache-schema', kind: 'string', value: 'LINE', doc: 'the part of the L3 cache, as in resctrl' },
      { name: 'mem-bw-schema', kind: 'string', value: 'LINE', doc: 'the memory bandwidth, as in resctrl' },
    ],
  },
  ps: {
    summary: 'show the processes of a container',
    description: 'As the host sees them. What follows the id are options of ps(1), "-ef" if there are none.',
    arguments: [containerId, { name: 'ps-options', rest: true }],
    stopsAtArgument: true,
    flags: [
      {
        name: 'format',
        short: 'f',
        kind: 'string',
        value: 'FORMAT',
        values: ['table', 'json'],
        default: 'table',
        doc: 'a table, or the pids as JSON',
      },
    ],
  },
  events: {
    summary: 'show what a container uses and when memory runs out, a JSON object a line',
    description: 'Until the container ends.',
    arguments: [containerId],
    flags: [
      { name: 'interval', kind: 'string', value: 'TIME', default: '5s', doc: 'time between two lines of numbers' },
      { name: 'stats', kind: 'bool', doc: 'show the numbers once and return' },
    ],
  },
  stats: {
    summary: 'show what all containers use, again and again',
    description:
      'Of the named containers, or of all that have processes. CPU is per cent of one CPU since the last look.',
    arguments: [{ name: 'container-ids', rest: true }],
    flags: [
      { name: 'interval', short: 'i', kind: 'string', value: 'TIME', default: '1s', doc: 'time between two looks' },
      { name: 'no-stream', kind: 'bool', doc: 'show it once and return' },
      { name: 'json', kind: 'bool', doc: 'as JSON, an array a line, with all numbers of the cgroup' },
      { name: 'prometheus', kind: 'bool', doc: 'once, in the text format of Prometheus' },
    ],
  },
  list: {
    summary: 'list the containers below --root',
    arguments: [],
    flags: [
      {
        name: 'format',
        short: 'f',
        kind: 'string',
        value: 'FORMAT',
        values: ['table', 'json'],
        default: 'table',
        doc: 'how the list is written',
      },
      { name: 'quiet', short: 'q', kind: 'bool', doc: 'show ids only' },
    ],
  },
  spec: {
    summary: 'write a config.json to start from',
    description: 'A config.json that is already there is left alone.',
    arguments: [],
    flags: [bundleFlag, { name: 'rootless', kind: 'bool', doc: 'for a container that is run without root' }],
  },
  explain: {
    summary: 'show every step that running a bundle would take, and why',
    description: 'Each step names the field of config.json and the section of the specification behind it.',
    arguments: [{ name: 'bundle', optional: true }],
    flags: [bundleFlag, { name: 'json', kind: 'bool', doc: 'as JSON' }],
  },
  features: {
    summary: 'show what this program implements, as JSON',
    description: 'The document is that of features.md in the runtime specification; it says nothing of this host.',
    arguments: [],
    flags: [],
  },
  seccomp: {
    summary: 'show the seccomp filter of a bundle, or what a system call gets from it and why',
    description:
      'Without --call the filter is printed, an instruction a line. With it, the arguments behind the bundle are those of ' +
      'the system call: `tsrun seccomp bundle/ --call clone 0x10000000`.',
    arguments: [{ name: 'bundle' }, { name: 'argument', rest: true }],
    flags: [
      { name: 'call', kind: 'string', value: 'NAME', doc: 'the system call to ask about, by name or number' },
      {
        name: 'arch',
        kind: 'string',
        value: 'ARCH',
        doc: 'the architecture to compile for and to call from: x86_64, x86, x32, aarch64 or arm (default: of the host)',
      },
      { name: 'strict', kind: 'bool', doc: 'refuse names of system calls that no architecture has' },
      { name: 'json', kind: 'bool', doc: 'as JSON' },
    ],
  },
  unpack: {
    summary: 'make a bundle of an image',
    description:
      'The image is oci:DIR[:TAG|@DIGEST], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]. Its layers go to the ' +
      'store, where all bundles share them; the bundle directory must be new or empty.',
    arguments: [imageArgument, { name: 'bundle' }],
    flags: imageFlags,
  },
  commit: {
    summary: 'add what a container of an image wrote to a new image',
    description: 'As a layer on those of its image, in a layout: oci:DIR:TAG. A running container is paused meanwhile.',
    arguments: [containerId, imageArgument],
    flags: [],
  },
  images: {
    summary: 'list the images in the store',
    arguments: [],
    flags: [{ name: 'json', kind: 'bool', doc: 'as JSON' }],
  },
  image: {
    summary: 'show or remove images in the store',
    description:
      '`image inspect IMAGE` shows one as JSON, `image rm IMAGE...` removes some, `image prune` removes all that no container ' +
      'and no bundle uses. IMAGE is a reference that it was had by, or the beginning of its digest.',
    arguments: [
      { name: 'action', values: ['inspect', 'rm', 'prune'] },
      { name: 'images', rest: true },
    ],
    flags: [],
  },
  completion: {
    summary: 'write a completion script for a shell: bash, zsh or fish',
    description: 'For bash, say `source <(tsrun completion bash)`.',
    arguments: [{ name: 'shell', values: ['bash', 'zsh', 'fish'] }],
    flags: [],
  },
  man: {
    summary: 'write the manual page, in the macros of man(7)',
    arguments: [],
    flags: [],
  },
  help: {
    aliases: ['h'],
    summary: 'show help, of one command if it is named',
    arguments: [{ name: 'command', optional: true }],
    flags: [],
  },
  version: {
    summary: 'show the version, like --version',
    arguments: [],
    flags: [],
    hidden: true,
  },
} as const satisfies Record<string, Command>;

export type Commands = typeof commands;
export type CommandName = keyof Commands;

/** The command that a word on the command line means, if any. */
export function findCommand(word: string): CommandName | undefined {
  if (Object.hasOwn(commands, word)) {
    return word as CommandName;
  }
  const all: Record<string, Command> = commands;
  for (const name in all) {
    if (all[name]?.aliases?.includes(word)) {
      return name as CommandName;
    }
  }
  return undefined;
}
