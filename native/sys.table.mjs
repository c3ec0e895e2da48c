// The one door from TypeScript to the kernel. scripts/generate.mjs makes the N-API glue, the QuickJS glue, the C
// prototypes (native/gen) and the TypeScript declarations (src/linux/sys.gen.ts) from it.
//
// Arguments: str (UTF-8, no NUL inside), str0 (UTF-8, NUL allowed), u32, i32, num (an integer up to 2^53), bytes (Uint8Array), words (Uint32Array).
// Results:   void, num, str, bytes, strs (string[]), nums (number[]).
// A failing call throws an Error with `syscall`, `errno` (a positive number) and `path` ('' where there is none).

export const sys = {
  // --- files -----------------------------------------------------------------------------------------------------
  open: {
    args: { path: 'str', flags: 'u32', mode: 'u32' },
    result: 'num',
    doc: 'open(2), always O_CLOEXEC. A descriptor.',
  },
  close: { args: { fd: 'i32' }, result: 'void', doc: 'close(2)' },
  read: { args: { fd: 'i32', most: 'u32' }, result: 'bytes', doc: 'read(2); empty at the end of the file.' },
  write: { args: { fd: 'i32', bytes: 'bytes' }, result: 'num', doc: 'write(2). Bytes written.' },
  writeText: {
    args: { fd: 'i32', text: 'str' },
    result: 'void',
    doc: 'Writes all of a text, whatever the number of write(2) calls.',
  },
  readFile: {
    args: { path: 'str', most: 'u32' },
    result: 'str',
    doc: 'A whole text file; EFBIG above `most` bytes, EILSEQ unless it is UTF-8.',
  },
  readText: {
    args: { fd: 'i32', most: 'u32' },
    result: 'str',
    doc: 'All that comes out of a descriptor, up to its end; EFBIG above `most` bytes. What is not UTF-8 is replaced.',
  },
  writeFile: {
    args: { path: 'str', text: 'str', mode: 'u32' },
    result: 'void',
    doc: 'Puts a file in place at once: written beside it, then rename(2).',
  },
  createFile: {
    args: { path: 'str', text: 'str', mode: 'u32' },
    result: 'void',
    doc: 'Writes a new file; EEXIST if there is one. O_EXCL in open(2)',
  },
  appendFile: {
    args: { path: 'str', text: 'str' },
    result: 'void',
    doc: 'Adds to a file in one write(2), made 0644 if missing.',
  },
  makeDir: { args: { path: 'str', mode: 'u32' }, result: 'void', doc: 'mkdir(2)' },
  removeDir: { args: { path: 'str' }, result: 'void', doc: 'rmdir(2)' },
  removeFile: { args: { path: 'str' }, result: 'void', doc: 'unlink(2)' },
  rename: { args: { from: 'str', to: 'str' }, result: 'void', doc: 'rename(2)' },
  readDir: {
    args: { path: 'str' },
    result: 'strs',
    doc: 'The names in a directory but . and .., unordered. getdents64(2)',
  },
  realPath: { args: { path: 'str' }, result: 'str', doc: 'The absolute path without symbolic links. realpath(3)' },
  stat: {
    args: { path: 'str' },
    result: 'nums',
    doc: '[mode, uid, inode, major, minor] of what a path leads to. stat(2)',
  },
  isMountRoot: {
    args: { path: 'str' },
    result: 'num',
    doc: '1 where a path is the root of a mount, else 0. STATX_ATTR_MOUNT_ROOT in statx(2)',
  },
  pipe: { args: {}, result: 'nums', doc: '[end to read, end to write]. pipe(2), O_CLOEXEC' },
  isAt: {
    args: { fd: 'i32', path: 'str' },
    result: 'num',
    doc: '1 where a path leads to the very file that is open, else 0; 0 too where it leads nowhere. fstat(2), stat(2)',
  },
  lock: {
    args: { fd: 'i32', operation: 'u32' },
    result: 'void',
    doc: 'flock(2), going on after signals; EAGAIN with LOCK_NB.',
  },
  isOpen: { args: { fd: 'i32' }, result: 'num', doc: '1 where the descriptor is open, else 0. F_GETFD in fcntl(2)' },
  duplicate: {
    args: { from: 'i32', to: 'i32' },
    result: 'void',
    doc: 'Makes a descriptor that programs inherit of another. dup2(2)',
  },
  copyOf: {
    args: { fd: 'i32' },
    result: 'num',
    doc: 'A second descriptor of the same file. F_DUPFD_CLOEXEC in fcntl(2)',
  },
  changeOwner: { args: { fd: 'i32', uid: 'u32', gid: 'u32' }, result: 'void', doc: 'fchown(2)' },
  openInRoot: {
    args: { root: 'i32', path: 'str', flags: 'u32' },
    result: 'num',
    doc: 'Opens a path below a directory, which no link leads out of, O_CLOEXEC. RESOLVE_IN_ROOT in openat2(2)',
  },
  // --- this process ----------------------------------------------------------------------------------------------
  args: { args: {}, result: 'strs', doc: 'The arguments of this process, program name first.' },
  environment: { args: {}, result: 'strs', doc: 'The environment as NAME=value.' },
  currentDir: { args: {}, result: 'str', doc: 'getcwd(3)' },
  userId: { args: {}, result: 'num', doc: 'The effective uid. geteuid(2)' },
  groupId: { args: {}, result: 'num', doc: 'The effective gid. getegid(2)' },
  processId: { args: {}, result: 'num', doc: 'getpid(2)' },
  kernel: { args: {}, result: 'strs', doc: '[sysname, release, machine]. uname(2)' },
  clock: {
    args: {},
    result: 'nums',
    doc: '[seconds, nanoseconds] since 1970, and [seconds, nanoseconds] since boot behind them. clock_gettime(2)',
  },
  capabilities: {
    args: {},
    result: 'nums',
    doc: '[permitted, bounding, highest]: two masks, and the highest capability the kernel knows. capget(2)',
  },
  setSubreaper: {
    args: {},
    result: 'void',
    doc: 'Orphaned descendants come to this process. PR_SET_CHILD_SUBREAPER in prctl(2)',
  },
  parentId: { args: {}, result: 'num', doc: 'getppid(2)' },
  changeDir: { args: { path: 'str' }, result: 'void', doc: 'chdir(2)' },
  leadGroup: {
    args: {},
    result: 'void',
    doc: 'Makes this process the first of a process group of its own. setpgid(2)',
  },
  shareCore: {
    args: {},
    result: 'void',
    doc: 'From now on this process group and what it starts shares a core with nobody else. PR_SCHED_CORE in prctl(2)',
  },
  fork: {
    args: { keep: 'words' },
    result: 'num',
    doc: 'A copy of this process: 0 in the copy, its pid in this one. The copy has descriptors 0 to 2 and those to keep, and no signal handlers. ENOSYS under Node, which has threads. fork(2)',
  },
  exit: { args: { code: 'i32' }, result: 'void', doc: 'Ends the process at once. _exit(2)' },
  // --- other processes -------------------------------------------------------------------------------------------
  pidfdOpen: { args: { pid: 'i32' }, result: 'num', doc: 'pidfd_open(2)' },
  pidfdSignal: { args: { fd: 'i32', signal: 'i32' }, result: 'void', doc: 'pidfd_send_signal(2)' },
  wait: {
    args: { pid: 'i32', options: 'u32' },
    result: 'nums',
    doc: '[pid, status] as wait4(2) gives them; pid 0 with WNOHANG and nothing to reap.',
  },
  nextChild: {
    args: {},
    result: 'num',
    doc: 'The pid of a child that has ended and is not yet reaped, 0 if there is none. WNOWAIT in waitid(2)',
  },
  spawn: {
    args: { path: 'str', args: 'str0', env: 'str0', stdio: 'words' },
    result: 'num',
    doc: 'Starts a program and gives its pid. args and env: each with a NUL behind it; stdio: the descriptors that become its 0, 1, 2 and so on, three to eight. posix_spawn(3)',
  },
  placeholder: {
    args: {},
    result: 'num',
    doc: 'Starts a process that does nothing until it is killed, or until this one ends, and gives its pid. fork(2)',
  },
  // --- waiting ---------------------------------------------------------------------------------------------------
  catchSignals: {
    args: {},
    result: 'num',
    doc: 'Every signal that can be caught comes out of the returned descriptor as one byte, its number. sigaction(2)',
  },
  poll: {
    args: { fds: 'words', timeout: 'i32' },
    result: 'nums',
    doc: 'poll(2): pairs of fd and events in, revents out; [] after the time or a signal.',
  },
  epollCreate: { args: {}, result: 'num', doc: 'epoll_create1(2)' },
  epollControl: {
    args: { epoll: 'i32', operation: 'u32', fd: 'i32', events: 'u32' },
    result: 'void',
    doc: 'epoll_ctl(2); what comes back with an event is the descriptor.',
  },
  epollWait: {
    args: { epoll: 'i32', timeout: 'i32' },
    result: 'nums',
    doc: 'Pairs of fd and events, at most 64; [] after the time (ms; -1 for ever) or a signal. epoll_wait(2)',
  },
  inotifyCreate: { args: {}, result: 'num', doc: 'A descriptor that does not block. inotify_init1(2)' },
  inotifyAdd: {
    args: { fd: 'i32', path: 'str', mask: 'u32' },
    result: 'num',
    doc: 'The number of the watch. inotify_add_watch(2)',
  },
  inotifyRemove: { args: { fd: 'i32', watch: 'i32' }, result: 'void', doc: 'inotify_rm_watch(2)' },
  // --- sockets and terminals -------------------------------------------------------------------------------------
  connect: { args: { path: 'str' }, result: 'num', doc: 'A stream socket connected to a path of any length. unix(7)' },
  datagram: {
    args: { path: 'str', bind: 'u32' },
    result: 'num',
    doc: 'A datagram socket, connected to a path of any length or to an abstract name behind @; with bind, a new one at the path that everybody may send to. unix(7)',
  },
  sendDescriptor: {
    args: { socket: 'i32', fd: 'i32', text: 'str' },
    result: 'void',
    doc: 'Sends text with a descriptor. SCM_RIGHTS in unix(7)',
  },
  listen: {
    args: { path: 'str' },
    result: 'num',
    doc: 'A stream socket, mode 0600, that listens at a path of at most 107 bytes and does not block. unix(7)',
  },
  accept: {
    args: { listener: 'i32' },
    result: 'num',
    doc: 'A connection that does not block; EAGAIN if nobody waits. accept4(2)',
  },
  dial: {
    args: { path: 'str' },
    result: 'num',
    doc: 'A stream socket that does not block, connected to a path of any length; EAGAIN if the other side is slow to accept. unix(7)',
  },
  socketPair: {
    args: {},
    result: 'nums',
    doc: 'Two sockets for messages, connected to each other. SOCK_SEQPACKET in unix(7)',
  },
  sendMessage: {
    args: { socket: 'i32', text: 'str', fds: 'words' },
    result: 'void',
    doc: 'One message with up to 16 descriptors. SCM_RIGHTS in unix(7)',
  },
  receiveMessage: {
    args: { socket: 'i32', most: 'u32' },
    result: 'bytes',
    doc: 'One message: how many descriptors came with it and each of them, in four bytes a number of the order of this machine, then the text. No text at the end. Never waits. recvmsg(2)',
  },
  isTerminal: { args: { fd: 'i32' }, result: 'num', doc: '1 for a terminal, else 0. isatty(3)' },
  rawTerminal: {
    args: { fd: 'i32' },
    result: 'bytes',
    doc: 'Sets a terminal to raw mode. Its former state. termios(3)',
  },
  restoreTerminal: { args: { fd: 'i32', state: 'bytes' }, result: 'void', doc: 'Sets back what rawTerminal gave.' },
  windowSize: { args: { fd: 'i32' }, result: 'nums', doc: '[rows, columns] of a terminal. TIOCGWINSZ in tty_ioctl(4)' },
  setWindowSize: {
    args: { fd: 'i32', rows: 'u32', columns: 'u32' },
    result: 'void',
    doc: 'TIOCSWINSZ in tty_ioctl(4)',
  },
  setNonBlocking: { args: { fd: 'i32' }, result: 'void', doc: 'O_NONBLOCK in fcntl(2)' },
  // --- mounts of the host ----------------------------------------------------------------------------------------
  fsOpen: { args: { fstype: 'str' }, result: 'num', doc: 'fsopen(2)' },
  fsConfig: {
    args: { fd: 'i32', command: 'u32', key: 'str', value: 'str' },
    result: 'void',
    doc: 'fsconfig(2); an empty key or value is none.',
  },
  fsMount: { args: { fd: 'i32', attributes: 'u32' }, result: 'num', doc: 'A detached mount. fsmount(2)' },
  openTree: { args: { path: 'str', flags: 'u32' }, result: 'num', doc: 'open_tree(2)' },
  mountSetattr: {
    args: { fd: 'i32', recursive: 'u32', set: 'u32', clear: 'u32', propagation: 'u32', userNamespace: 'i32' },
    result: 'void',
    doc: 'Changes a mount or its tree; userNamespace, or -1, is for MOUNT_ATTR_IDMAP. mount_setattr(2)',
  },
  moveMount: {
    args: { fd: 'i32', target: 'i32' },
    result: 'void',
    doc: 'Attaches a detached mount to what is open. move_mount(2)',
  },
  mount: {
    args: { source: 'str', target: 'str', fstype: 'str', flags: 'u32', data: 'str' },
    result: 'void',
    doc: 'mount(2), for options that fsconfig(2) has no room for.',
  },
  unmount: { args: { path: 'str', flags: 'u32' }, result: 'void', doc: 'umount2(2)' },
  loopDevice: {
    args: { path: 'str', readOnly: 'u32', direct: 'u32' },
    result: 'nums',
    doc: 'A block device of a file: [its number, a descriptor]. It lasts as long as it is open or mounted; direct bypasses the cache of the file. loop(4)',
  },
  userNamespace: {
    args: { uidMap: 'str', gidMap: 'str' },
    result: 'num',
    doc: 'A user namespace without a process, for mounts that map ids: lines as in uid_map. user_namespaces(7)',
  },
  // --- bytes -----------------------------------------------------------------------------------------------------
  sha256: { args: { text: 'str0' }, result: 'str', doc: 'The SHA-256 digest of a text in hexadecimal. FIPS 180-4' },
  // --- images ----------------------------------------------------------------------------------------------------
  // Names and contents need not be UTF-8: they cross as text in which each character is one byte.
  readAt: {
    args: { fd: 'i32', offset: 'num', size: 'u32' },
    result: 'str',
    doc: 'Bytes of a file, one a character; fewer only at its end. pread(2)',
  },
  syncFileSystem: {
    args: { fd: 'i32' },
    result: 'void',
    doc: 'Waits until all that was written to the file system of an open file is on its disk. syncfs(2)',
  },
  statDescriptor: { args: { fd: 'i32' }, result: 'nums', doc: '[mode, size] of an open file. fstat(2)' },
  archiveOpen: {
    args: { fd: 'i32', offset: 'num', size: 'num', compression: 'u32', limit: 'num' },
    result: 'num',
    doc: 'Begins to read a tar stream of `size` bytes in a file: 0 plain, 1 gzip (RFC 1952), 2 zstd (RFC 8878); EFBIG above `limit` bytes of content.',
  },
  archiveHeader: {
    args: { archive: 'i32' },
    result: 'str',
    doc: "The next header, 512 bytes, its checksum verified; '' at the end. EBADMSG: damaged; ENODATA: cut off. tar(5)",
  },
  archiveText: {
    args: { archive: 'i32', size: 'u32' },
    result: 'str',
    doc: 'The data of an entry, one byte a character, with its padding.',
  },
  archiveSkip: { args: { archive: 'i32', size: 'num' }, result: 'void', doc: 'Passes over the data of an entry.' },
  archiveAt: { args: { archive: 'i32' }, result: 'num', doc: 'How many bytes of the file have been read.' },
  archiveFinish: {
    args: { archive: 'i32' },
    result: 'strs',
    doc: 'Reads on to the end: the SHA-256 of the file as it lies there, and of its content.',
  },
  archiveClose: { args: { archive: 'i32' }, result: 'void', doc: 'Ends the reading, wherever it is.' },
  packOpen: {
    args: { fd: 'i32' },
    result: 'num',
    doc: 'Begins to write a tar stream, compressed with gzip (RFC 1952), to a file.',
  },
  packText: { args: { pack: 'i32', text: 'str0' }, result: 'void', doc: 'Adds bytes, one a character, up to a block.' },
  packFile: {
    args: { pack: 'i32', fd: 'i32', size: 'num' },
    result: 'void',
    doc: 'Adds the next bytes of a file, up to a block; ENODATA where there are fewer.',
  },
  packFinish: {
    args: { pack: 'i32' },
    result: 'strs',
    doc: 'Ends the stream: the SHA-256 of the file, and of its content.',
  },
  packClose: { args: { pack: 'i32' }, result: 'void', doc: 'Ends the writing, wherever it is.' },
  copyAt: {
    args: { from: 'i32', offset: 'num', size: 'num', to: 'i32' },
    result: 'void',
    doc: 'Copies a part of a file to where another one is. pread(2), write(2)',
  },
  treeOpen: {
    args: { path: 'str' },
    result: 'num',
    doc: 'A directory whose content is hostile. Paths below it are relative, the root is the empty path, and none may lead through a symbolic link. openat2(2)',
  },
  treeClose: { args: { tree: 'i32' }, result: 'void', doc: 'close(2)' },
  treeFile: {
    args: {
      tree: 'i32',
      path: 'str',
      archive: 'i32',
      size: 'num',
      mode: 'u32',
      uid: 'u32',
      gid: 'u32',
      seconds: 'num',
      nanoseconds: 'u32',
    },
    result: 'void',
    doc: 'Makes a file of the next `size` bytes of an archive, with its padding.',
  },
  treeSparseFile: {
    args: {
      tree: 'i32',
      path: 'str',
      archive: 'i32',
      map: 'words',
      size: 'num',
      padding: 'u32',
      mode: 'u32',
      uid: 'u32',
      gid: 'u32',
      seconds: 'num',
      nanoseconds: 'u32',
    },
    result: 'void',
    doc: 'Makes a file with holes: the map has offset and length of each piece, two words each, low first.',
  },
  treeDir: { args: { tree: 'i32', path: 'str', mode: 'u32' }, result: 'void', doc: 'mkdirat(2)' },
  treeSymlink: { args: { tree: 'i32', path: 'str', target: 'str' }, result: 'void', doc: 'symlinkat(2)' },
  treeLink: {
    args: { tree: 'i32', path: 'str', target: 'str' },
    result: 'void',
    doc: 'A second name for a file of the tree. linkat(2)',
  },
  treeNode: {
    args: { tree: 'i32', path: 'str', mode: 'u32', major: 'u32', minor: 'u32' },
    result: 'void',
    doc: 'A device or a fifo, by the type in mode. mknodat(2)',
  },
  treeOwner: {
    args: { tree: 'i32', path: 'str', mode: 'u32', uid: 'u32', gid: 'u32' },
    result: 'void',
    doc: 'Owner and rights; of a symbolic link, as the type in mode says, the owner alone. fchownat(2), fchmodat(2)',
  },
  treeTimes: {
    args: { tree: 'i32', path: 'str', seconds: 'num', nanoseconds: 'u32' },
    result: 'void',
    doc: 'Both times. utimensat(2)',
  },
  treeSetXattr: {
    args: { tree: 'i32', path: 'str', name: 'str', value: 'str0' },
    result: 'void',
    doc: 'An extended attribute, of a link its own. lsetxattr(2)',
  },
  treeXattrs: {
    args: { tree: 'i32', path: 'str' },
    result: 'strs',
    doc: 'The names of the extended attributes; none where the file system has none. llistxattr(2)',
  },
  treeXattr: { args: { tree: 'i32', path: 'str', name: 'str' }, result: 'str', doc: 'lgetxattr(2)' },
  treeLook: {
    args: { tree: 'i32', path: 'str' },
    result: 'nums',
    doc: '[mode, uid, gid, size, major, minor, seconds, nanoseconds, links, inode]. fstatat(2)',
  },
  treeReadLink: { args: { tree: 'i32', path: 'str' }, result: 'str', doc: 'readlinkat(2)' },
  treeRead: {
    args: { tree: 'i32', path: 'str', most: 'u32' },
    result: 'str',
    doc: 'A whole regular file; EFBIG above `most` bytes of text, EINVAL for anything but a regular file.',
  },
  treeOpenFile: { args: { tree: 'i32', path: 'str' }, result: 'num', doc: 'A regular file, to read. openat(2)' },
  treeList: { args: { tree: 'i32', path: 'str' }, result: 'strs', doc: 'The names in a directory. getdents64(2)' },
  treeCopyFile: {
    args: { from: 'i32', source: 'str', to: 'i32', path: 'str' },
    result: 'void',
    doc: 'Copies the content of a regular file to a new one. copy_file_range(2)',
  },
  removeTree: {
    args: { path: 'str' },
    result: 'void',
    doc: 'Removes a directory and all in it, however deep; none is no failure. unlinkat(2)',
  },
  // --- plans -----------------------------------------------------------------------------------------------------
  execute: {
    args: {
      words: 'words',
      pool: 'str0',
      blob: 'bytes',
      initWords: 'words',
      initPool: 'str0',
      initBlob: 'bytes',
      traced: 'u32',
    },
    result: 'bytes',
    doc: 'Runs a host program, and the init program in the process that its launch step starts. The report; see src/execute/report.ts.',
  },
};
