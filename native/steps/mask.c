/* Paths that the container may not read, or not change. */
#include "base/syscall.h"
#include "steps/mount.h"
#include "steps/path.h"
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>

/* The null device: the host's, or, where the host has none, the container's. It is taken before the root changes, and
   checked by what it is, not by its name (CVE-2025-31133). */
static int null_device(struct context *context) {
  if (context->slots[SLOT_NULL] >= 0) return context->slots[SLOT_NULL];
  long fd = SYSCALL4(openat, AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd == -ENOENT) fd = open_in_root(context, "/dev/null", PATH_ANY);
  if (fd < 0) return failed(context, "openat", "/dev/null", fd);
  struct statx stat;
  int error = stat_fd(context, (int)fd, &stat);
  if (error == 0 &&
      ((stat.stx_mode & 0170000) != 0020000 || stat.stx_rdev_major != 1 || stat.stx_rdev_minor != 3))
    error = failed(context, "statx", "/dev/null", -ENODEV);
  if (error < 0) {
    close_fd((int)fd);
    return error;
  }
  context->slots[SLOT_NULL] = (int)fd;
  return (int)fd;
}

/* All masked directories show one empty tmpfs; a second instance would cost a superblock each. */
static int empty_directory(struct context *context, int *first) {
  *first = context->slots[SLOT_TMPFS] < 0;
  if (!*first) return clone_mount(context, context->slots[SLOT_TMPFS], "", AT_EMPTY_PATH);
  char blocks[] = "nr_blocks=1", inodes[] = "nr_inodes=1", mode[] = "mode=0555", readonly[] = "ro";
  char *list[] = {blocks, inodes, mode, readonly, 0};
  return new_mount(context, "tmpfs", "tmpfs", (struct strings){4, list},
                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* Opens a path that may be missing: 1 where there is nothing to do. */
static int open_existing(struct context *context, const char *path, int *fd) {
  *fd = open_in_root(context, path, PATH_ANY);
  if (*fd == -ENOENT || *fd == -ENOTDIR) return 1;
  return *fd < 0 ? *fd : 0;
}

int step_mask_path(struct context *context, const struct step_mask_path *step) {
  int target, first = 0;
  int error = open_existing(context, step->path, &target);
  if (error != 0) return error < 0 ? error : 0;
  struct statx stat;
  error = stat_fd(context, target, &stat);
  int mount = error;
  if (error == 0 && (stat.stx_mode & 0170000) == 0040000) {
    mount = empty_directory(context, &first);
  } else if (error == 0) {
    mount = null_device(context);
    if (mount >= 0) mount = clone_mount(context, mount, "", AT_EMPTY_PATH);
  }
  error = mount < 0 ? mount : attach(context, mount, target, step->path);
  close_fd(target);
  if (error == 0 && first)
    context->slots[SLOT_TMPFS] = mount;
  else
    close_fd(mount);
  return error;
}

int step_readonly_path(struct context *context, const struct step_readonly_path *step) {
  int target;
  int error = open_existing(context, step->path, &target);
  if (error != 0) return error < 0 ? error : 0;
  int mount = clone_mount(context, target, "", AT_EMPTY_PATH | AT_RECURSIVE);
  error = mount;
  if (mount >= 0)
    error = change_mount(context, mount, step->path, (struct mount_change){.set = MOUNT_ATTR_RDONLY});
  if (error == 0) error = attach(context, mount, target, step->path);
  close_fd(mount);
  close_fd(target);
  return error;
}
