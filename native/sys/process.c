#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char **process_args;
static int process_arg_count;

void sys_set_args(int argc, char **argv) {
  process_args = argv;
  process_arg_count = argc;
}

static int64_t give_list(struct sys_out *out, char **list, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; i++) size += strlen(list[i]) + 1;
  char *data = malloc(size + 1), *at = data;
  if (data == NULL) return sys_fail_with("malloc", "", ENOMEM);
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(list[i]) + 1;
    memcpy(at, list[i], length);
    at += length;
  }
  *out = (struct sys_out){data, size};
  return 0;
}

int64_t sys_args(struct sys_out *out) {
  return give_list(out, process_args, (size_t)process_arg_count);
}

int64_t sys_environment(struct sys_out *out) {
  size_t count = 0;
  while (environ != NULL && environ[count] != NULL) count++;
  return give_list(out, environ, count);
}

int64_t sys_current_dir(struct sys_out *out) {
  char path[PATH_MAX];
  if (getcwd(path, sizeof path) == NULL) return sys_fail("getcwd", ".");
  return sys_give(out, path, strlen(path));
}

int64_t sys_user_id(void) {
  return geteuid();
}
int64_t sys_group_id(void) {
  return getegid();
}
int64_t sys_process_id(void) {
  return getpid();
}

int64_t sys_kernel(struct sys_out *out) {
  struct utsname name;
  if (uname(&name) < 0) return sys_fail("uname", "");
  char *list[] = {name.sysname, name.release, name.machine};
  return give_list(out, list, 3);
}

int64_t sys_clock(struct sys_out *out) {
  struct timespec real, boot;
  clock_gettime(CLOCK_REALTIME, &real);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  double numbers[] = {(double)real.tv_sec, (double)real.tv_nsec, (double)boot.tv_sec, (double)boot.tv_nsec};
  return sys_give_numbers(out, numbers, 4);
}

int64_t sys_capabilities(struct sys_out *out) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0) return sys_fail("capget", "");
  double permitted = data[0].permitted + data[1].permitted * 4294967296.0, bounding = 0, highest = -1,
         bit = 1;
  for (int capability = 0; capability < 52; capability++, bit *= 2) {
    int inside = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (inside < 0) break;
    highest = capability;
    if (inside > 0) bounding += bit;
  }
  double numbers[] = {permitted, bounding, highest};
  return sys_give_numbers(out, numbers, 3);
}

int64_t sys_set_subreaper(void) {
  return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? sys_fail("prctl", "") : 0;
}

int64_t sys_exit(int32_t code) {
  _exit(code);
}

int64_t sys_pidfd_open(int32_t pid) {
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? sys_fail("pidfd_open", "") : fd;
}

int64_t sys_pidfd_signal(int32_t fd, int32_t number) {
  return syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) < 0 ? sys_fail("pidfd_send_signal", "") : 0;
}

int64_t sys_wait(int32_t pid, uint32_t options, struct sys_out *out) {
  int status = 0;
  pid_t ended;
  do ended = waitpid(pid, &status, (int)options);
  while (ended < 0 && errno == EINTR);
  if (ended < 0) return sys_fail("wait4", "");
  double numbers[] = {ended, status};
  return sys_give_numbers(out, numbers, 2);
}

int64_t sys_next_child(void) {
  siginfo_t info = {0};
  int answer;
  do answer = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
  while (answer < 0 && errno == EINTR);
  return answer < 0 ? sys_fail("waitid", "") : info.si_pid;
}

static int signal_pipe[2] = {-1, -1};

static void note_signal(int number) {
  int before = errno;
  unsigned char byte = (unsigned char)number;
  /* A full pipe loses a signal, as pending signals of one number are lost too. */
  if (write(signal_pipe[1], &byte, 1) < 0) errno = before;
  errno = before;
}

int64_t sys_catch_signals(void) {
  if (signal_pipe[0] >= 0) return signal_pipe[0];
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0) return sys_fail("pipe2", "");
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
  sigfillset(&action.sa_mask);
  for (int number = 1; number <= SIGRTMAX; number++) {
    /* Faults of this process's own code stay fatal; the rest of the refusals are SIGKILL, SIGSTOP and the C library's. */
    if (number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL) continue;
    /* SIGPIPE is about this process's own output: it stays ignored. */
    if (number == SIGPIPE) continue;
    sigaction(number, &action, NULL);
  }
  return signal_pipe[0];
}

void sys_forget_signals(void) {
  if (signal_pipe[0] < 0) return;
  for (int number = 1; number <= SIGRTMAX; number++)
    if (number != SIGPIPE) signal(number, SIG_DFL);
  close(signal_pipe[0]);
  close(signal_pipe[1]);
  signal_pipe[0] = signal_pipe[1] = -1;
}

int64_t sys_poll(struct sys_in fds, int32_t timeout, struct sys_out *out) {
  const uint32_t *pairs = fds.data;
  size_t count = fds.size / 8;
  struct pollfd list[64];
  if (count > 64) return sys_fail_with("poll", "", EINVAL);
  for (size_t i = 0; i < count; i++)
    list[i] = (struct pollfd){.fd = (int)pairs[2 * i], .events = (short)pairs[2 * i + 1]};
  int ready = poll(list, count, timeout);
  if (ready < 0 && errno != EINTR) return sys_fail("poll", "");
  double numbers[64];
  for (size_t i = 0; i < count; i++) numbers[i] = list[i].revents;
  return sys_give_numbers(out, numbers, ready > 0 ? count : 0);
}
