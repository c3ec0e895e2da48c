/* Mounts of the host: what a container's root file system is made of before there is a container. */
#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int64_t sys_fs_open(const char *fstype) {
  long fd = syscall(SYS_fsopen, fstype, FSOPEN_CLOEXEC);
  return fd < 0 ? sys_fail("fsopen", fstype) : fd;
}

int64_t sys_fs_config(int32_t fd, uint32_t command, const char *key, const char *value) {
  long answer = syscall(SYS_fsconfig, fd, command, *key == 0 ? NULL : key, *value == 0 ? NULL : value, 0);
  return answer < 0 ? sys_fail("fsconfig", key) : 0;
}

int64_t sys_fs_mount(int32_t fd, uint32_t attributes) {
  long mount_fd = syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes);
  return mount_fd < 0 ? sys_fail("fsmount", "") : mount_fd;
}

int64_t sys_open_tree(const char *path, uint32_t flags) {
  long fd = syscall(SYS_open_tree, AT_FDCWD, path, flags | OPEN_TREE_CLOEXEC);
  return fd < 0 ? sys_fail("open_tree", path) : fd;
}

int64_t sys_mount_setattr(int32_t fd, uint32_t recursive, uint32_t set, uint32_t clear, uint32_t propagation,
                          int32_t user_namespace) {
  struct mount_attr attr = {.attr_set = set,
                            .attr_clr = clear,
                            .propagation = propagation,
                            .userns_fd = user_namespace < 0 ? 0 : (uint64_t)user_namespace};
  long answer =
      syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr);
  return answer < 0 ? sys_fail("mount_setattr", "") : 0;
}

int64_t sys_move_mount(int32_t fd, int32_t target) {
  long answer =
      syscall(SYS_move_mount, fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  return answer < 0 ? sys_fail("move_mount", "") : 0;
}

int64_t sys_mount(const char *source, const char *target, const char *fstype, uint32_t flags,
                  const char *data) {
  return mount(source, target, fstype, flags, data) < 0 ? sys_fail("mount", fstype) : 0;
}

int64_t sys_unmount(const char *path, uint32_t flags) {
  return umount2(path, (int)flags) < 0 ? sys_fail("umount2", path) : 0;
}

int64_t sys_open_in_root(int32_t root, const char *path, uint32_t flags) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
  return fd < 0 ? sys_fail("openat2", path) : fd;
}

static int write_map(pid_t pid, const char *file, const char *map) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t done = write(fd, map, strlen(map));
  int error = errno;
  close(fd);
  errno = error;
  return done < 0 ? -1 : 0;
}

int64_t sys_user_namespace(const char *uid_map, const char *gid_map) {
  /* A user namespace is made by a process that is in it, and lives on in a descriptor. */
  pid_t parent = getpid();
  pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child < 0) return sys_fail("clone(CLONE_NEWUSER)", "");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (getppid() == parent || getppid() == 0) pause();
    _exit(0);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", (int)child);
  int64_t result = 0;
  if (write_map(child, "uid_map", uid_map) < 0)
    result = sys_fail("write", "uid_map");
  else if (write_map(child, "gid_map", gid_map) < 0)
    result = sys_fail("write", "gid_map");
  else if ((result = open(path, O_RDONLY | O_CLOEXEC)) < 0)
    result = sys_fail("open", path);
  kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  return result;
}

int64_t sys_loop_device(const char *path, uint32_t read_only, uint32_t direct, struct sys_out *out) {
  int file = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (file < 0) return sys_fail("open", path);
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  int64_t result = control < 0 ? sys_fail("open", "/dev/loop-control") : 0;
  struct loop_config config = {.fd = (uint32_t)file,
                               .info = {.lo_flags = LO_FLAGS_AUTOCLEAR |
                                                    (read_only ? LO_FLAGS_READ_ONLY : 0) |
                                                    (direct ? LO_FLAGS_DIRECT_IO : 0)}};
  /* Between the question for a free device and its use another process may take it. */
  for (int tries = 0; result == 0; tries++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
      result = sys_fail("ioctl(LOOP_CTL_GET_FREE)", "/dev/loop-control");
      break;
    }
    char device[32];
    snprintf(device, sizeof device, "/dev/loop%d", number);
    int fd = open(device, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0) {
      result = sys_fail("open", device);
    } else if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
      double numbers[] = {number, fd};
      result = sys_give_numbers(out, numbers, 2);
      if (result < 0) close(fd);
      break;
    } else {
      if (errno != EBUSY || tries == 50) result = sys_fail("ioctl(LOOP_CONFIGURE)", device);
      close(fd);
    }
  }
  if (control >= 0) close(control);
  close(file);
  return result;
}
