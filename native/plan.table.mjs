// The plan's wire format: one entry a step. scripts/generate.mjs makes the C structs, decoders and dispatchers
// (native/gen) and the TypeScript step types and layouts (src/plan/steps.gen.ts) from it.
//
// A program is three streams that are read in step: words (u32), a pool of NUL-terminated strings, a blob of bytes.
//   u32, i32   one word                      u64     two words, low first
//   str        the next string of the pool   strs    a word with the count, then that many strings
//   u32s       a word with the count, then that many words
//   bytes      a word with the length, then that many bytes of the blob
// Each step is: a word with its code, a word with its length in words (its fields alone), its fields in this order.
// `on` says who runs the step: the host side (in the engine's process), init, or both.
// Change anything here and raise `version`: a program of another version is refused.

export const version = 2;

/** Places for file descriptors that steps share. */
export const slots = [
  'cgroup',
  'gate',
  'console',
  'root',
  'peer',
  'null',
  'tmpfs',
  'proc',
  'mount',
  'dev',
  'offsets',
  'idmap',
  'hook_out',
  'hook_err',
  'network',
  'listener',
  'process',
];

/** What a mount point may have to do with procfs. */
export const procRules = ['outside', 'file', 'itself'];

/** Points at which init stops until the host side lets it go on. */
export const syncs = ['user_namespace', 'forked', 'network', 'hooks', 'ready', 'listener'];

export const steps = {
  // --- host side -------------------------------------------------------------------------------------------------
  make_dir: {
    on: 'host',
    doc: 'Makes a directory; one that exists is kept. Result: 1 if it was made here. mkdir(2)',
    fields: { path: 'str', mode: 'u32' },
  },
  write_file: {
    on: 'host',
    doc: 'Writes a value, in one write(2), to a file that exists. With optional 1 a missing one is left, with 2 any refusal; with another path, that file is written instead.',
    fields: { path: 'str', value: 'str', optional: 'u32', other_path: 'str', other_value: 'str' },
  },
  check_usage: {
    on: 'host',
    doc: 'Fails with EBUSY unless the number in a file is lower than the limit; a file that cannot be read is passed over.',
    fields: { path: 'str', limit: 'u64' },
  },
  change_owner: {
    on: 'host',
    doc: 'Gives a file or directory to a user; with optional, a missing one is left. fchownat(2)',
    fields: { path: 'str', uid: 'u32', optional: 'u32' },
  },
  make_resctrl_group: {
    on: 'host',
    doc: 'Makes a group of resctrl; one that exists is kept. Result: 1 if it was made here. resctrl.rst',
    fields: { path: 'str' },
  },
  join_resctrl_group: {
    on: 'host',
    doc: 'Puts the container process into a group of resctrl. resctrl.rst',
    fields: { path: 'str' },
  },
  open_cgroup: {
    on: 'host',
    doc: 'Opens the cgroup directory in which init is to be born and, unless it may be occupied, checks that it holds no process and is not frozen. cgroups(7)',
    fields: { path: 'str', occupied: 'u32' },
  },
  attach_device_filter: {
    on: 'host',
    doc: 'Loads a BPF_PROG_TYPE_CGROUP_DEVICE program and attaches it to the cgroup, in place of any other. bpf(2)',
    fields: { program: 'bytes' },
  },
  open_gate: {
    on: 'host',
    doc: 'Makes the listening socket, mode 0600, at which a created container waits for start. unix(7)',
    fields: { path: 'str' },
  },
  launch: {
    on: 'host',
    doc: 'Starts init from a sealed memfd, born in the cgroup and in new namespaces. Init gets the pidfd of a process to join, -1 for none. Result: its pid. clone3(2)',
    fields: { namespaces: 'u32', in_cgroup: 'u32', preserve_fds: 'u32', process: 'i32' },
  },
  await_init: {
    on: 'host',
    doc: 'Reads what init reports until it stands at the sync point.',
    fields: { sync: 'u32' },
  },
  release_init: {
    on: 'host',
    doc: 'Lets init go on from the sync point.',
    fields: { sync: 'u32' },
  },
  write_id_map: {
    on: 'host',
    doc: 'Writes uid_map or gid_map of init. user_namespaces(7)',
    fields: { file: 'str', map: 'str' },
  },
  send_listener: {
    on: 'host',
    doc: 'Sends the listener of the seccomp filter, with a state whose two pids stand between its parts, over a new connection. SCM_RIGHTS in unix(7)',
    fields: { path: 'str', head: 'str', middle: 'str', tail: 'str' },
  },
  set_oom_score_adj: {
    on: 'host',
    doc: 'Sets how eagerly the kernel kills the container process when memory runs out. proc(5)',
    fields: { value: 'i32' },
  },
  move_net_device: {
    on: 'host',
    doc: "Moves a network device of the runtime's namespace into that of init, under its new name, with its permanent global addresses, and brings it up. rtnetlink(7)",
    fields: { name: 'str', new_name: 'str' },
  },
  set_scheduler: {
    on: 'host',
    doc: 'Sets scheduling policy and parameters of the container process. sched_setattr(2)',
    fields: {
      policy: 'u32',
      flags: 'u32',
      nice: 'i32',
      priority: 'u32',
      runtime: 'u64',
      deadline: 'u64',
      period: 'u64',
    },
  },
  set_io_priority: {
    on: 'host',
    doc: 'Sets class and level of I/O scheduling of the container process. ioprio_set(2)',
    fields: { value: 'u32' },
  },
  set_affinity: {
    on: 'host',
    doc: 'Sets the CPUs of the container process, or with own those of the runtime; an empty mask is all. With optional a refusal is left. sched_setaffinity(2)',
    fields: { cpus: 'u32s', own: 'u32', optional: 'u32' },
  },
  // --- undoing ---------------------------------------------------------------------------------------------------
  kill_cgroup: {
    on: 'host',
    doc: 'Kills every process of a cgroup and waits until it is empty. cgroup.kill in cgroup-v2.rst',
    fields: { path: 'str' },
  },
  signal_cgroup: {
    on: 'host',
    doc: 'Signals every process of a cgroup and of those below it; none where it is gone. Result: how many. pidfd_send_signal(2)',
    fields: { path: 'str', signal: 'i32' },
  },
  remove_dir: {
    on: 'host',
    doc: 'Removes an empty directory; one that is gone, or in use by others, is left. rmdir(2)',
    fields: { path: 'str', below: 'u32' },
  },
  remove_file: {
    on: 'host',
    doc: 'Removes a file; one that is gone is no failure. unlink(2)',
    fields: { path: 'str' },
  },
  // --- both ------------------------------------------------------------------------------------------------------
  set_rlimit: {
    on: 'both',
    doc: 'Sets a resource limit of the container process. prlimit(2)',
    fields: { resource: 'u32', soft: 'u64', hard: 'u64' },
  },
  run_hook: {
    on: 'both',
    doc: "Runs a hook, in a directory where one is given, with the state on its standard input; the pid (0: of what launch started, or init's own) stands between head and tail. What it prints is appended to out and err; where they are empty, to the files that open_hook_output opened, or else it is collected.",
    fields: {
      path: 'str',
      args: 'strs',
      env: 'strs',
      dir: 'str',
      timeout_ms: 'u32',
      pid: 'u32',
      state_head: 'str',
      state_tail: 'str',
      out: 'str',
      err: 'str',
    },
  },
  // --- init ------------------------------------------------------------------------------------------------------
  open_hook_output: {
    on: 'init',
    doc: "Opens the host's files to which the hooks that init runs print, while the host can still be seen. open(2)",
    fields: { out: 'str', err: 'str' },
  },
  open_tree: {
    on: 'init',
    doc: 'Clones the root file system, as a detached mount, while the host can still be seen. open_tree(2)',
    fields: { path: 'str' },
  },
  join_namespace: {
    on: 'init',
    doc: 'Joins the namespace at a path, after checking its type. setns(2)',
    fields: { path: 'str', type: 'u32' },
  },
  join_process: {
    on: 'init',
    doc: 'Joins namespaces of the process whose pidfd launch handed on, all at once. setns(2)',
    fields: { namespaces: 'u32' },
  },
  unshare: {
    on: 'init',
    doc: 'Moves init into new namespaces. unshare(2)',
    fields: { namespaces: 'u32' },
  },
  sync: {
    on: 'init',
    doc: 'Tells the host side that init stands here and, if asked to, waits to be released.',
    fields: { sync: 'u32', wait: 'u32' },
  },
  open_time_offsets: {
    on: 'init',
    doc: "Opens init's own timens_offsets while it has the host's rights, which the later write is judged by. time_namespaces(7)",
    fields: {},
  },
  enter_time_namespace: {
    on: 'init',
    doc: 'Writes the clock offsets of the new time namespace, if there are any, and enters it. time_namespaces(7), setns(2)',
    fields: { offsets: 'str' },
  },
  check_id_map: {
    on: 'init',
    doc: 'Checks that the joined user namespace has these mappings. user_namespaces(7)',
    fields: { file: 'str', map: 'str' },
  },
  make_dumpable: {
    on: 'init',
    doc: "Gives init's files in /proc to the caller, until become_root takes them back. PR_SET_DUMPABLE in prctl(2)",
    fields: {},
  },
  become_root: {
    on: 'init',
    doc: 'Takes uid 0 and gid 0 of the user namespace, and drops the groups of the caller unless they are kept. setresuid(2)',
    fields: { keep_groups: 'u32' },
  },
  fork: {
    on: 'init',
    doc: "Makes the container process, as a child of init's own parent, inside the joined or new pid namespace. clone(2)",
    fields: {},
  },
  new_session: { on: 'init', doc: "Leaves the caller's session and terminal. setsid(2)", fields: {} },
  join_keyring: {
    on: 'init',
    doc: "Joins a session keyring of its own, so that the caller's keys stay outside. keyctl(2)",
    fields: { name: 'str' },
  },
  open_network: {
    on: 'init',
    doc: 'Opens a routing socket of its network namespace for the host side, which never enters one. rtnetlink(7)',
    fields: {},
  },
  bring_up_loopback: { on: 'init', doc: 'Brings up lo in the new network namespace. netdevice(7)', fields: {} },
  leave_chroot: {
    on: 'init',
    doc: 'Makes the root directory, where it is only a chroot(2), the root of the mount namespace; path is a directory below it. pivot_root(2)',
    fields: { path: 'str' },
  },
  set_propagation: {
    on: 'init',
    doc: 'Sets the propagation of the mount at a path. mount_setattr(2)',
    fields: { path: 'str', propagation: 'u32', recursive: 'u32' },
  },
  private_parent: {
    on: 'init',
    doc: 'Makes the mount that holds a path private: pivot_root(2) refuses a new root on a shared parent.',
    fields: { path: 'str' },
  },
  open_root: {
    on: 'init',
    doc: 'Opens the root directory, in which the paths of later steps are looked up. openat(2)',
    fields: {},
  },
  take_root: {
    on: 'init',
    doc: 'Makes the detached mount the root file system: what is mounted, such as layers, in place of a directory.',
    fields: {},
  },
  attach_root: {
    on: 'init',
    doc: 'Mounts the root file system over its own path, as pivot_root(2) wants a mount point.',
    fields: { path: 'str' },
  },
  mount: {
    on: 'init',
    doc: "Makes a file system, as a detached mount; with instead, clones the host's where that is not permitted, with attributes and also. fsopen(2), fsconfig(2), fsmount(2)",
    fields: { source: 'str', fstype: 'str', options: 'strs', attributes: 'u32', instead: 'str', also: 'u32' },
  },
  legacy_mount: {
    on: 'init',
    doc: 'Makes a file system with one long text of options, as a detached mount. mount(2), open_tree(2)',
    fields: { source: 'str', fstype: 'str', flags: 'u32', data: 'str', attributes: 'u32' },
  },
  copy_up: {
    on: 'init',
    doc: 'Copies into the detached mount what lies at a place inside the root; with attributes, also those of the directory itself.',
    fields: { target: 'str', attributes: 'u32' },
  },
  label_mount: {
    on: 'init',
    doc: 'Gives the root of the detached mount a SELinux context. setxattr(2)',
    fields: { label: 'str' },
  },
  make_id_map: {
    on: 'init',
    doc: 'Opens a user namespace that stands for id mappings: the one at a path, or a new one. user_namespaces(7)',
    fields: { path: 'str', uid_map: 'str', gid_map: 'str' },
  },
  map_ids: {
    on: 'init',
    doc: 'Maps the ids of the detached mount, or its tree, by the user namespace. mount_setattr(2)',
    fields: { recursive: 'u32' },
  },
  keep_mount: {
    on: 'init',
    doc: 'Puts the detached mount aside under a number.',
    fields: { index: 'u32' },
  },
  take_mount: {
    on: 'init',
    doc: 'Takes the detached mount of a number up again.',
    fields: { index: 'u32' },
  },
  bind: {
    on: 'init',
    doc: 'Clones a file or directory of the host, as a detached mount. open_tree(2)',
    fields: { source: 'str', recursive: 'u32' },
  },
  set_mount: {
    on: 'init',
    doc: 'Changes attributes or propagation of the mount in a slot. mount_setattr(2)',
    fields: { slot: 'u32', set: 'u32', clear: 'u32', propagation: 'u32', recursive: 'u32' },
  },
  attach_mount: {
    on: 'init',
    doc: 'Attaches the detached mount inside the root; a missing mount point is made. openat2(2), move_mount(2)',
    fields: { target: 'str', ordinary: 'u32', proc: 'u32', keep: 'u32' },
  },
  find_mount: {
    on: 'init',
    doc: 'Finds the mount that stands at a place inside the root, to change it. openat2(2)',
    fields: { target: 'str' },
  },
  reconfigure: {
    on: 'init',
    doc: 'Changes options of the file system of the mount in the slot. fspick(2), fsconfig(2)',
    fields: { options: 'strs' },
  },
  remount: {
    on: 'init',
    doc: 'Sets superblock flags that fsconfig(2) has no name for. mount(2)',
    fields: { flags: 'u32' },
  },
  make_path: {
    on: 'init',
    doc: 'Makes a directory and its parents inside the root. mkdirat(2)',
    fields: { path: 'str', mode: 'u32' },
  },
  make_device: {
    on: 'init',
    doc: "Makes a device node inside the root, or binds the host's where mknod(2) is not permitted.",
    fields: { path: 'str', mode: 'u32', major: 'u32', minor: 'u32', uid: 'u32', gid: 'u32', bind: 'u32' },
  },
  make_link: {
    on: 'init',
    doc: 'Makes a symbolic link inside the root; with replace, in place of what is there. symlinkat(2)',
    fields: { path: 'str', text: 'str', replace: 'u32' },
  },
  open_console: {
    on: 'init',
    doc: "Allocates a pseudoterminal of the container's devpts and sends its master to the host side. pty(7)",
    fields: { columns: 'u32', rows: 'u32', uid: 'u32' },
  },
  mount_console: {
    on: 'init',
    doc: 'Mounts the pseudoterminal over /dev/console, from its descriptor.',
    fields: { path: 'str' },
  },
  readonly_path: {
    on: 'init',
    doc: 'Makes a path inside the root read-only by a mount of itself; a path that is not there is left.',
    fields: { path: 'str' },
  },
  mask_path: {
    on: 'init',
    doc: 'Hides a path inside the root: a file below /dev/null, a directory below an empty read-only tmpfs.',
    fields: { path: 'str' },
  },
  pivot_root: {
    on: 'init',
    doc: 'Makes the root the root of the mount namespace and drops the old one. pivot_root(2)',
    fields: {},
  },
  detach_mount: {
    on: 'init',
    doc: 'Unmounts a full procfs or sysfs of the host before the root is moved over it. umount2(2)',
    fields: { path: 'str' },
  },
  move_root: {
    on: 'init',
    doc: 'Moves the root over / and enters it, where pivot_root cannot work. move_mount(2), chroot(2)',
    fields: {},
  },
  change_root: {
    on: 'init',
    doc: 'Enters the root without a mount namespace of its own. chroot(2)',
    fields: { path: 'str' },
  },
  set_hostname: { on: 'init', doc: 'Sets the host name of the UTS namespace. sethostname(2)', fields: { name: 'str' } },
  set_domainname: {
    on: 'init',
    doc: 'Sets the NIS domain name of the UTS namespace. setdomainname(2)',
    fields: { name: 'str' },
  },
  open_proc: {
    on: 'init',
    doc: 'Opens a procfs of its own that no path of the container can cover. fsopen(2)',
    fields: {},
  },
  write_sysctl: {
    on: 'init',
    doc: 'Writes a kernel parameter through the own procfs. proc(5)',
    fields: { path: 'str', value: 'str' },
  },
  write_label: {
    on: 'init',
    doc: 'Asks a security module for a label of the program, through the own procfs. proc_pid_attr(5)',
    fields: { path: 'str', label: 'str' },
  },
  set_personality: {
    on: 'init',
    doc: 'Sets the execution domain, which the program inherits. personality(2)',
    fields: { persona: 'u32' },
  },
  set_memory_policy: {
    on: 'init',
    doc: 'Sets on which NUMA nodes memory is allocated, which the program inherits. set_mempolicy(2)',
    fields: { mode: 'u32', flags: 'u32', nodes: 'u32s' },
  },
  close_descriptors: {
    on: 'init',
    doc: 'Closes every descriptor that neither the container nor init needs any more. close_range(2)',
    fields: { preserve_fds: 'u32' },
  },
  use_console: {
    on: 'init',
    doc: 'Makes the pseudoterminal standard input, output and error, and controlling terminal. tty_ioctl(4)',
    fields: {},
  },
  own_stdio: {
    on: 'init',
    doc: "Gives standard input, output and error to the container's user. fchown(2)",
    fields: { uid: 'u32' },
  },
  no_new_privileges: { on: 'init', doc: 'From here on execve(2) grants no privileges. prctl(2)', fields: {} },
  change_dir: {
    on: 'init',
    doc: "Enters the working directory; may be left for later where only the container's user has access. chdir(2)",
    fields: { path: 'str', last: 'u32' },
  },
  drop_bounding: {
    on: 'init',
    doc: 'Drops capabilities from the bounding set, all but those of the mask. capabilities(7)',
    fields: { keep: 'u64' },
  },
  set_ids: {
    on: 'init',
    doc: 'Takes supplementary groups, gid, uid and umask, keeping capabilities. setgroups(2), setresuid(2)',
    fields: { uid: 'u32', gid: 'u32', groups: 'u32s', umask: 'u32', keep_groups: 'u32' },
  },
  set_capabilities: {
    on: 'init',
    doc: 'Sets effective, permitted, inheritable and ambient capabilities. capset(2)',
    fields: { effective: 'u64', permitted: 'u64', inheritable: 'u64', ambient: 'u64' },
  },
  find_executable: {
    on: 'init',
    doc: "Finds the program along the container's PATH. execve(2)",
    fields: { name: 'str', path: 'str' },
  },
  load_seccomp: {
    on: 'init',
    doc: 'Loads a filter of system calls; with listen, hands its listener to the host side in the next message. seccomp(2)',
    fields: { program: 'bytes', flags: 'u32', listen: 'u32' },
  },
  await_start: {
    on: 'init',
    doc: "Waits at the gate until start connects, or in the foreground for the host side's word.",
    fields: {},
  },
  prepare_exec: {
    on: 'init',
    doc: 'What exec does before execve(2): HOME, descriptors, signals. For a filter that is loaded between the two.',
    fields: { find_home: 'u32', uid: 'u32' },
  },
  exec: {
    on: 'init',
    doc: "Becomes the container's program. The last of env is HOME where find_home. execve(2)",
    fields: { args: 'strs', env: 'strs', find_home: 'u32', uid: 'u32' },
  },
};
