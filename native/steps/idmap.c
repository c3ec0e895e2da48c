/* Id mappings: of a joined user namespace, and of mounts. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/time.h>

/* The next number of a map at or behind `at`; the end of the text gives 0. */
static const char *next_number(const char *at, uint32_t *number) {
  *number = 0;
  while (*at == ' ' || *at == '\n') at++;
  return at + parse_number(at, 11, number);
}

static const char *next_mapping(const char *at, uint32_t mapping[3]) {
  for (int i = 0; i < 3; i++) at = next_number(at, &mapping[i]);
  return at;
}

/* Whether each mapping of `some` is one of `all`; a size of 0 is the end. The kernel keeps no order. */
static int includes(const char *all, const char *some) {
  for (;;) {
    uint32_t wanted[3], found[3];
    some = next_mapping(some, wanted);
    if (wanted[2] == 0) return 1;
    const char *at = all;
    do {
      at = next_mapping(at, found);
      if (found[2] == 0) return 0;
    } while (found[0] != wanted[0] || found[1] != wanted[1] || found[2] != wanted[2]);
  }
}

int step_check_id_map(struct context *context, const struct step_check_id_map *step) {
  static char map[16384]; /* 340 lines of at most 33 bytes, which the kernel pads */
  long fd = SYSCALL4(openat, AT_FDCWD, step->file, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", step->file, fd);
  size_t used = 0;
  long got;
  while ((got = SYSCALL3(read, fd, map + used, sizeof map - 1 - used)) > 0) used += (size_t)got;
  close_fd((int)fd);
  if (got < 0) return failed(context, "read", step->file, got);
  map[used] = 0;
  if (includes(map, step->map) && includes(step->map, map)) return 0;
  return failed(context, "read", step->file, -EINVAL);
}

static long write_map(int process, const char *file, const char *map) {
  long fd = SYSCALL4(openat, process, file, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  long done = SYSCALL3(write, fd, map, strlen(map));
  close_fd((int)fd);
  return done;
}

/* A user namespace exists only with a process: the child opens itself in the descriptor table that both share, tells the
   numbers and waits. The maps are written from here, for the child has no rights over the ids of this side. */
static int make_user_namespace(struct context *context, const struct step_make_id_map *step) {
  int pipe[2], opened[2] = {-1, -1}, pidfd = -1;
  long error = SYSCALL2(pipe2, pipe, O_CLOEXEC);
  if (error < 0) return failed(context, "pipe2", "", error);
  int parent = (int)SYSCALL0(getpid);
  struct clone_args args = {
      .flags = CLONE_NEWUSER | CLONE_FILES | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
  long child = SYSCALL2(clone3, &args, sizeof args);
  if (child == 0) {
    SYSCALL5(prctl, PR_SET_PDEATHSIG, 9, 0, 0, 0);
    opened[0] = (int)SYSCALL4(openat, AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    opened[1] = (int)SYSCALL4(openat, AT_FDCWD, "/proc/self/ns/user", O_RDONLY | O_CLOEXEC, 0);
    SYSCALL3(write, pipe[1], opened, sizeof opened);
    /* A parent that ended before the prctl(2) above would never end this process. */
    while (SYSCALL0(getppid) == parent) SYSCALL2(nanosleep, &(struct __kernel_timespec){.tv_sec = 60}, 0);
    SYSCALL1(exit_group, 0);
  }
  const char *call = "clone3";
  error = child;
  if (error >= 0) {
    call = "openat /proc/self/ns/user";
    /* Both ends of the pipe are this process's too: a child that died would leave it waiting. */
    struct pollfd either[2] = {{.fd = pipe[0], .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    SYSCALL5(ppoll, either, 2, 0, 0, 0);
    error = either[0].revents & POLLIN ? read_all(pipe[0], opened, sizeof opened) : -ECHILD;
    if (error >= 0) error = opened[0] < 0 ? opened[0] : opened[1] < 0 ? opened[1] : 0;
  }
  if (error >= 0) {
    call = "write uid_map";
    error = write_map(opened[0], "uid_map", step->uid_map);
  }
  if (error >= 0) {
    call = "write gid_map";
    error = write_map(opened[0], "gid_map", step->gid_map);
  }
  if (child > 0) {
    SYSCALL2(kill, child, 9);
    while (SYSCALL4(wait4, child, 0, 0, 0) == -EINTR) {
    }
  }
  close_fd(pidfd);
  close_fd(opened[0]);
  close_fd(pipe[0]);
  close_fd(pipe[1]);
  if (error >= 0) return opened[1];
  close_fd(opened[1]);
  return failed(context, call, "", error);
}

int step_make_id_map(struct context *context, const struct step_make_id_map *step) {
  long fd;
  if (*step->path != 0) {
    fd = SYSCALL4(openat, AT_FDCWD, step->path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return failed(context, "openat", step->path, fd);
  } else {
    fd = make_user_namespace(context, step);
    if (fd < 0) return (int)fd;
  }
  fill_slot(context, SLOT_IDMAP, (int)fd);
  return 0;
}

int step_map_ids(struct context *context, const struct step_map_ids *step) {
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)context->slots[SLOT_IDMAP]};
  uint32_t flags = AT_EMPTY_PATH | (step->recursive ? AT_RECURSIVE : 0);
  long error = SYSCALL5(mount_setattr, context->slots[SLOT_MOUNT], "", flags, &attr, sizeof attr);
  return error < 0 ? failed(context, "mount_setattr(MOUNT_ATTR_IDMAP)", "", error) : 0;
}
