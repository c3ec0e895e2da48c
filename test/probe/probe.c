/* A static program with small verbs that runs inside containers and prints what the kernel answers.
   Verbs ask by system call where one exists: a container without /proc, or with a faked one, must not fool a test. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000
#endif

struct name {
  unsigned long value;
  const char *name;
};

static int answer(const char *what, long result) {
  printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
  return 0;
}

static int show_caps(char **args) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  unsigned long long bounding = 0, ambient = 0;

  (void)args;
  if (syscall(SYS_capget, &header, data) < 0) return answer("capget", -1);
  for (int cap = 0; cap < 64; cap++) {
    if (prctl(PR_CAPBSET_READ, cap) == 1) bounding |= 1ULL << cap;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1) ambient |= 1ULL << cap;
  }
  printf("inheritable %llx\n", (unsigned long long)data[1].inheritable << 32 | data[0].inheritable);
  printf("permitted %llx\n", (unsigned long long)data[1].permitted << 32 | data[0].permitted);
  printf("effective %llx\n", (unsigned long long)data[1].effective << 32 | data[0].effective);
  printf("bounding %llx\nambient %llx\n", bounding, ambient);
  return 0;
}

static int show_fds(char **args) {
  (void)args;
  for (int fd = 0; fd < 4096; fd++)
    if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
  putchar('\n');
  return 0;
}

static int show_rlimits(char **args) {
  static const struct name limits[] = {
      {RLIMIT_AS, "AS"},           {RLIMIT_CORE, "CORE"},         {RLIMIT_CPU, "CPU"},
      {RLIMIT_DATA, "DATA"},       {RLIMIT_FSIZE, "FSIZE"},       {RLIMIT_LOCKS, "LOCKS"},
      {RLIMIT_MEMLOCK, "MEMLOCK"}, {RLIMIT_MSGQUEUE, "MSGQUEUE"}, {RLIMIT_NICE, "NICE"},
      {RLIMIT_NOFILE, "NOFILE"},   {RLIMIT_NPROC, "NPROC"},       {RLIMIT_RSS, "RSS"},
      {RLIMIT_RTPRIO, "RTPRIO"},   {RLIMIT_RTTIME, "RTTIME"},     {RLIMIT_SIGPENDING, "SIGPENDING"},
      {RLIMIT_STACK, "STACK"},
  };
  struct rlimit limit;

  (void)args;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    if (getrlimit((int)limits[i].value, &limit) == 0)
      printf("%s %lld %lld\n", limits[i].name, (long long)limit.rlim_cur, (long long)limit.rlim_max);
  return 0;
}

static int show_mount(char **args) {
  static const struct name flags[] = {
      {ST_RDONLY, "ro"},         {ST_NOSUID, "nosuid"},
      {ST_NODEV, "nodev"},       {ST_NOEXEC, "noexec"},
      {ST_SYNCHRONOUS, "sync"},  {ST_MANDLOCK, "mand"},
      {ST_NOATIME, "noatime"},   {ST_NODIRATIME, "nodiratime"},
      {ST_RELATIME, "relatime"}, {ST_NOSYMFOLLOW, "nosymfollow"},
  };
  struct statfs fs;

  for (; *args; args++) {
    if (statfs(*args, &fs) < 0) return answer(*args, -1);
    printf("%s %lx", *args, (unsigned long)fs.f_type);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
      if ((unsigned long)fs.f_flags & flags[i].value) printf(" %s", flags[i].name);
    putchar('\n');
  }
  return 0;
}

static int show_stat(char **args) {
  for (; *args; args++) {
    struct stat st;
    char type;

    if (lstat(*args, &st) < 0) {
      answer(*args, -1);
      continue;
    }
    type = S_ISREG(st.st_mode)    ? 'f'
           : S_ISDIR(st.st_mode)  ? 'd'
           : S_ISLNK(st.st_mode)  ? 'l'
           : S_ISCHR(st.st_mode)  ? 'c'
           : S_ISBLK(st.st_mode)  ? 'b'
           : S_ISFIFO(st.st_mode) ? 'p'
                                  : '?';
    printf("%s %c %o %u:%u", *args, type, st.st_mode & 07777, st.st_uid, st.st_gid);
    if (type == 'c' || type == 'b') printf(" %u:%u", major(st.st_rdev), minor(st.st_rdev));
    putchar('\n');
  }
  return 0;
}

static int show_ids(char **args) {
  uid_t uid[3];
  gid_t gid[3], groups[256];
  int count = getgroups(256, groups);

  (void)args;
  getresuid(&uid[0], &uid[1], &uid[2]);
  getresgid(&gid[0], &gid[1], &gid[2]);
  printf("uid %u %u %u\ngid %u %u %u\ngroups", uid[0], uid[1], uid[2], gid[0], gid[1], gid[2]);
  for (int i = 0; i < count; i++) printf(" %u", groups[i]);
  putchar('\n');
  return 0;
}

static int show_process(char **args) {
  struct utsname names;
  mode_t mask = umask(0);
  char label[4096] = "";
  long keyring = syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, label, sizeof label - 1);

  (void)args;
  uname(&names);
  printf("pid %d\nppid %d\nsid %d\npgrp %d\numask %o\n", getpid(), getppid(), getsid(0), getpgrp(), mask);
  printf("nnp %d\nsecurebits %x\ntty %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
         (unsigned)prctl(PR_GET_SECUREBITS), isatty(0));
  printf("hostname %s\ndomainname %s\n", names.nodename, names.domainname);
  printf("keyring %s\n", keyring < 0 ? strerrorname_np(errno) : strrchr(label, ';') + 1);
  return 0;
}

static int show_scheduling(char **args) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most;
  } attributes = {0};
  unsigned long nodes[16] = {0};
  int mode = -1;
  cpu_set_t cpus;
  long io = syscall(SYS_ioprio_get, 1, 0);

  (void)args;
  syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
  printf("policy %u\nflags %llx\nnice %d\npriority %u\n", attributes.policy,
         (unsigned long long)attributes.flags, attributes.nice, attributes.priority);
  printf("deadline %llu %llu %llu\n", (unsigned long long)attributes.runtime,
         (unsigned long long)attributes.deadline, (unsigned long long)attributes.period);
  printf("ioprio %ld %ld\n", io >> 13, io & 7);
  printf("personality %x\n", (unsigned)personality(0xffffffff));
  if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, 0, 0) < 0)
    answer("mempolicy", -1);
  else
    printf("mempolicy %x %lx\n", mode, nodes[0]);
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  printf("cpus %d\n", CPU_COUNT(&cpus));
  return 0;
}

static int show_signals(char **args) {
  sigset_t blocked;
  struct sigaction action;

  (void)args;
  sigprocmask(SIG_BLOCK, NULL, &blocked);
  printf("ignored");
  for (int number = 1; number < NSIG; number++)
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) printf(" %d", number);
  printf("\nblocked");
  for (int number = 1; number < NSIG; number++)
    if (sigismember(&blocked, number) == 1) printf(" %d", number);
  putchar('\n');
  return 0;
}

static int show_loopback(char **args) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  (void)args;
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0) return answer("lo", -1);
  printf("lo %s\n", request.ifr_flags & IFF_UP ? "up" : "down");
  return 0;
}

static int try_open(char **args) {
  int how = strcmp(args[1], "w") == 0 ? O_WRONLY : strcmp(args[1], "rw") == 0 ? O_RDWR : O_RDONLY;

  return answer(args[0], open(args[0], how | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

static int try_write(char **args) {
  int fd = open(args[0], O_WRONLY | O_CLOEXEC);

  return answer(args[0], fd < 0 ? fd : write(fd, args[1], strlen(args[1])));
}

static int try_create(char **args) {
  return answer(args[0], open(args[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
}

/* The node is opened too: a device program answers at mknod and at open, each with its own access bit. */
static int try_device(char **args) {
  unsigned major_number, minor_number;
  int how = strcmp(args[2], "w") == 0 ? O_WRONLY : O_RDONLY;
  mode_t type = args[0][0] == 'b' ? S_IFBLK : S_IFCHR;

  sscanf(args[1], "%u:%u", &major_number, &minor_number);
  answer("mknod", mknod("/probe-device", type | 0600, makedev(major_number, minor_number)));
  answer("open", open("/probe-device", how | O_CLOEXEC | O_NONBLOCK));
  unlink("/probe-device");
  return 0;
}

static int try_mount(char **args) {
  return answer("mount", mount("none", args[0], args[1], 0, NULL));
}

static int try_remount_rw(char **args) {
  return answer("remount", mount(NULL, args[0], NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int try_chown(char **args) {
  return answer(args[0], lchown(args[0], (uid_t)atoi(args[1]), (gid_t)atoi(args[1])));
}

/* Pid 1 of a pid namespace gets only the signals that it handles or blocks, so this blocks them all and says which came. */
static int catch_signals(char **args) {
  int until = atoi(args[0]), number;
  sigset_t all;

  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  puts("ready");
  fflush(stdout);
  do {
    number = sigwaitinfo(&all, NULL);
    printf("got %d\n", number);
    fflush(stdout);
  } while (number != until);
  return 0;
}

static int raise_signal(char **args) {
  signal(atoi(args[0]), SIG_DFL);
  kill(getpid(), atoi(args[0]));
  pause();
  return 0;
}

static int sleep_forever(char **args) {
  (void)args;
  puts("ready");
  fflush(stdout);
  while (pause() < 0) continue;
  return 0;
}

/* Leaves a daemon behind that is in nobody's session and nobody's child, then exits. */
static int fork_away(char **args) {
  (void)args;
  if (fork() == 0) {
    setsid();
    if (fork() == 0)
      for (;;) pause();
    _exit(0);
  }
  puts("ready");
  return 0;
}

/* The attacker of the symlink-exchange races: swaps two names until it is killed. */
static int swap_forever(char **args) {
  puts("ready");
  fflush(stdout);
  while (syscall(SYS_renameat2, AT_FDCWD, args[0], AT_FDCWD, args[1], 2 /* RENAME_EXCHANGE */) == 0) continue;
  return answer("renameat2", -1);
}

/* Opens N descriptors that survive exec, then becomes the command: a careless caller of a runtime. */
static int leak_fds(char **args) {
  for (int left = atoi(args[0]); left > 0; left--)
    if (open(args[1], O_RDONLY | O_DIRECTORY) < 0) return 1;
  execvp(args[2], args + 2);
  return 127;
}

/* Ignores and blocks signals, then becomes the command: dispositions and masks survive exec. */
static int with_bad_signals(char **args) {
  sigset_t set;

  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  execvp(args[0], args);
  return 127;
}

static int list_fd_targets(char **args) {
  char path[64], target[4096];

  (void)args;
  for (int fd = 0; fd < 4096; fd++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length >= 0) printf("%d %.*s\n", fd, (int)length, target);
  }
  return 0;
}

/* setns(2) into the own mount namespace leads to its root, wherever chroot(2) may have put the process. */
static int show_clocks(char **args) {
  struct timespec monotonic, boottime;
  (void)args;
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_BOOTTIME, &boottime);
  printf("monotonic %ld\nboottime %ld\n", (long)monotonic.tv_sec, (long)boottime.tv_sec);
  return 0;
}

static int show_namespace_root(char **args) {
  struct stat before, after;

  (void)args;
  int fd = open("/proc/self/ns/mnt", O_RDONLY);
  if (stat("/", &before) < 0 || fd < 0 || setns(fd, CLONE_NEWNS) < 0 || stat("/", &after) < 0) {
    perror("setns");
    return 1;
  }
  puts(before.st_ino == after.st_ino && before.st_dev == after.st_dev ? "same" : "different");
  return 0;
}

/* A name that is no text: proc_pid_stat(5) shows it as it is. */
static int sleep_unreadable(char **args) {
  (void)args;
  prctl(PR_SET_NAME, "\xff) Z \xfe");
  return sleep_forever(args);
}

static void *sleep_in_thread(void *args) {
  sleep_forever(args);
  return NULL;
}

/* Only the first thread ends: the process lives on and looks like a zombie. */
static int sleep_without_leader(char **args) {
  pthread_t thread;

  if (pthread_create(&thread, NULL, sleep_in_thread, args) != 0) return 1;
  syscall(SYS_exit, 0);
  return 1;
}

/* One system call by number, with numbers as arguments: what a filter makes of it, and nothing that libc adds. */
static int make_call(char **args) {
  long numbers[7] = {0};

  for (int i = 0; i < 7 && args[i]; i++) numbers[i] = (long)strtoull(args[i], NULL, 0);
  return answer("call",
                syscall(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]));
}

static void tell_trap(int number, siginfo_t *info, void *context) {
  (void)context;
  printf("signal %d call %d\n", number, info->si_syscall);
  fflush(stdout);
  _exit(0);
}

static int make_call_trapped(char **args) {
  struct sigaction action = {.sa_sigaction = tell_trap, .sa_flags = SA_SIGINFO};

  sigaction(SIGSYS, &action, NULL);
  return make_call(args);
}

static void read_small(char *text, size_t size, pid_t pid, const char *file) {
  char path[64];

  text[0] = 0;
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return;
  ssize_t length = read(fd, text, size - 1);
  text[length < 0 ? 0 : length] = 0;
  close(fd);
}

static void look_into(pid_t pid) {
  char status[4096], path[64], target[4096];

  read_small(status, sizeof status, pid, "status");
  const char *caps = strstr(status, "CapPrm:");
  if (caps != NULL) printf("caps %.16s\n", caps + 8);
  for (int fd = 0; fd < 64; fd++) {
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length >= 0) printf("fd %.*s\n", (int)length, target);
  }
  fflush(stdout);
}

/* What others inside see of a process that is not yet their own program: looks into it, or stops it. */
static int spy_on_init(char **args) {
  char comm[64];
  pid_t self = getpid();
  DIR *proc = opendir("/proc");

  if (proc == NULL) return 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    rewinddir(proc);
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
      pid_t pid = atoi(entry->d_name);
      if (pid <= 0 || pid == self) continue;
      read_small(comm, sizeof comm, pid, "comm");
      if (strstr(comm, "tsrun") == NULL) continue;
      if (strcmp(args[0], "stop") == 0) {
        kill(pid, SIGSTOP);
        puts("stopped");
        fflush(stdout);
      } else {
        look_into(pid);
      }
    }
  }
}

static int notify(char **args) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

  if (path == NULL) return puts("none"), 0;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (sendto(fd, args[0], strlen(args[0]), 0, (struct sockaddr *)&address, sizeof address) < 0) {
    perror("sendto");
    return 1;
  }
  return 0;
}

static int exit_with(char **args) {
  return atoi(args[0]);
}

static const struct {
  const char *name;
  int least_args;
  int (*run)(char **args);
} verbs[] = {
    {"caps", 0, show_caps},
    {"fds", 0, show_fds},
    {"fd-targets", 0, list_fd_targets},
    {"rlimits", 0, show_rlimits},
    {"mount-flags", 1, show_mount},
    {"stat", 1, show_stat},
    {"ids", 0, show_ids},
    {"process", 0, show_process},
    {"scheduling", 0, show_scheduling},
    {"signals", 0, show_signals},
    {"loopback", 0, show_loopback},
    {"open", 2, try_open},
    {"write", 2, try_write},
    {"create", 1, try_create},
    {"device", 3, try_device},
    {"mount", 2, try_mount},
    {"remount-rw", 1, try_remount_rw},
    {"chown", 2, try_chown},
    {"catch", 1, catch_signals},
    {"raise", 1, raise_signal},
    {"sleep", 0, sleep_forever},
    {"sleep-unreadable", 0, sleep_unreadable},
    {"sleep-leaderless", 0, sleep_without_leader},
    {"fork-away", 0, fork_away},
    {"swap", 2, swap_forever},
    {"leak-fds", 3, leak_fds},
    {"bad-signals", 1, with_bad_signals},
    {"call", 1, make_call},
    {"call-trapped", 1, make_call_trapped},
    {"exit", 1, exit_with},
    {"spy", 1, spy_on_init},
    {"notify", 1, notify},
    {"nsroot", 0, show_namespace_root},
    {"clocks", 0, show_clocks},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].least_args) return verbs[i].run(argv + 2);
  fprintf(stderr, "usage: probe VERB [ARGUMENT...], where VERB is one of:");
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) fprintf(stderr, " %s", verbs[i].name);
  fputc('\n', stderr);
  return 2;
}
