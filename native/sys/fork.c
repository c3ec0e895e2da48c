/* A process that goes on as a copy of itself, and what a daemon does with its own. */
#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif

#ifndef NAPI_VERSION
static void close_all_but(const uint32_t *keep, size_t count) {
  unsigned from = 3;
  for (;;) {
    unsigned next = ~0u;
    for (size_t i = 0; i < count; i++)
      if (keep[i] >= from && keep[i] < next) next = keep[i];
    if (next > from) syscall(SYS_close_range, from, next == ~0u ? next : next - 1, 0u);
    if (next == ~0u) return;
    from = next + 1;
  }
}
#endif

int64_t sys_fork(struct sys_in keep) {
#ifdef NAPI_VERSION
  /* Of Node's threads only one would be in the copy, and the others' locks with it. */
  return sys_fail_with("fork", "", ENOSYS);
#else
  /* Held meanwhile: a signal of the copy's must not come out of the original's pipe. */
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid == 0) {
    sys_forget_signals();
    close_all_but(keep.data, keep.size / sizeof(uint32_t));
  }
  int64_t result = pid < 0 ? sys_fail("fork", "") : pid;
  sigprocmask(SIG_SETMASK, &before, NULL);
  return result;
#endif
}

int64_t sys_duplicate(int32_t from, int32_t to) {
  int answer = from == to ? fcntl(to, F_SETFD, 0) : dup2(from, to);
  return answer < 0 ? sys_fail("dup2", "") : 0;
}

int64_t sys_copy_of(int32_t fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? sys_fail("fcntl(F_DUPFD_CLOEXEC)", "") : copy;
}

int64_t sys_change_dir(const char *path) {
  return chdir(path) < 0 ? sys_fail("chdir", path) : 0;
}

int64_t sys_lead_group(void) {
  return setpgid(0, 0) < 0 ? sys_fail("setpgid", "") : 0;
}

int64_t sys_parent_id(void) {
  return getppid();
}

int64_t sys_share_core(void) {
  enum { CREATE = 1, GROUP = 2 };
  return prctl(PR_SCHED_CORE, CREATE, 0, GROUP, 0) < 0 ? sys_fail("prctl(PR_SCHED_CORE)", "") : 0;
}
