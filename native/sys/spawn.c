/* Starting other programs of the host. */
#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t sys_pipe(struct sys_out *out) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return sys_fail("pipe2", "");
  double numbers[] = {ends[0], ends[1]};
  return sys_give_numbers(out, numbers, 2);
}

/* The strings of a pool as a list that ends with NULL; NULL for want of memory. */
static char **list_of(struct sys_in pool) {
  const char *text = pool.data;
  size_t count = 0;
  for (size_t at = 0; at < pool.size; at++) count += text[at] == 0;
  char **list = malloc((count + 1) * sizeof *list);
  if (list == NULL) return NULL;
  for (size_t i = 0, at = 0; i < count; i++, at += strlen(text + at) + 1) list[i] = (char *)text + at;
  list[count] = NULL;
  return list;
}

enum { STDIO_MOST = 8 };

int64_t sys_spawn(const char *path, struct sys_in args, struct sys_in env, struct sys_in stdio) {
  const uint32_t *fds = stdio.data;
  int count = (int)(stdio.size / sizeof *fds), copies[STDIO_MOST];
  if (count < 3 || count > STDIO_MOST) return sys_fail_with("posix_spawn", path, EINVAL);
  char **arg_list = list_of(args), **env_list = list_of(env);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = arg_list == NULL || env_list == NULL ? ENOMEM : posix_spawn_file_actions_init(&actions);
  pid_t pid = 0;
  if (error == 0) {
    error = posix_spawnattr_init(&attributes);
    /* Signals that tsrun ignores or holds back mean nothing to the program. */
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    if (error == 0) posix_spawnattr_setsigdefault(&attributes, &all);
    if (error == 0) posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    /* Copies above all targets: one that is also a target would be overwritten before its turn. */
    for (int i = 0; i < count; i++) {
      copies[i] = error == 0 ? fcntl((int)fds[i], F_DUPFD_CLOEXEC, STDIO_MOST) : -1;
      if (error == 0 && copies[i] < 0) error = errno;
      if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, copies[i], i);
    }
    if (error == 0) error = posix_spawn(&pid, path, &actions, &attributes, arg_list, env_list);
    for (int i = 0; i < count; i++)
      if (copies[i] >= 0) close(copies[i]);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  free(arg_list);
  free(env_list);
  return error != 0 ? sys_fail_with("posix_spawn", path, error) : pid;
}

int64_t sys_placeholder(void) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) return sys_fail("fork", "");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) _exit(1);
  /* A copy of a lock or of an end of a pipe would keep others waiting. */
  syscall(SYS_close_range, 0u, ~0u, 0u);
  for (;;) pause();
}
