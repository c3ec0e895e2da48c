/* Device nodes and links below the container's /dev. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/mount.h"
#include "steps/path.h"
#include <linux/fcntl.h>
#include <linux/stat.h>

#define TYPE_MASK 0170000u
#define TYPE_FIFO 0010000u

static uint64_t device_number(uint32_t major, uint32_t minor) {
  return (minor & 0xff) | (uint64_t)(major & 0xfff) << 8 | (uint64_t)(minor & ~0xffu) << 12 |
         (uint64_t)(major & ~0xfffu) << 32;
}

static int is_device(const struct statx *stat, const struct step_make_device *step) {
  if ((stat->stx_mode & TYPE_MASK) != (step->mode & TYPE_MASK)) return 0;
  return (step->mode & TYPE_MASK) == TYPE_FIFO ||
         (stat->stx_rdev_major == step->major && stat->stx_rdev_minor == step->minor);
}

/* In a user namespace mknod(2) gives no usable device: the host's node of the same path is bound, after a look at it. */
static int bind_device(struct context *context, const struct step_make_device *step) {
  long host = SYSCALL4(openat, AT_FDCWD, step->path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (host < 0) return failed(context, "openat", step->path, host);
  struct statx stat;
  int error = stat_fd(context, (int)host, &stat);
  if (error == 0 && !is_device(&stat, step)) error = failed(context, "statx", step->path, -ENODEV);
  int mount = error < 0 ? error : clone_mount(context, (int)host, "", AT_EMPTY_PATH);
  close_fd((int)host);
  if (mount < 0) return mount;
  int target = make_in_root(context, step->path, PATH_ANY, 1, 0644);
  error = target < 0 ? target : attach(context, mount, target, step->path);
  close_fd(target);
  close_fd(mount);
  return error;
}

/* A node that stands there already must be the one that is asked for (config-linux.md#devices). */
static int check_existing(struct context *context, int parent, const char *name,
                          const struct step_make_device *step) {
  long fd = SYSCALL4(openat, parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", step->path, fd);
  struct statx stat;
  int error = stat_fd(context, (int)fd, &stat);
  if (error == 0 && !is_device(&stat, step)) error = failed(context, "mknodat", step->path, -EEXIST);
  close_fd((int)fd);
  return error;
}

int step_make_device(struct context *context, const struct step_make_device *step) {
  if (step->bind) return bind_device(context, step);
  const char *name;
  int parent = parent_in_root(context, step->path, &name);
  if (parent < 0) return parent;
  long answer = SYSCALL4(mknodat, parent, name, step->mode, device_number(step->major, step->minor));
  int error = 0;
  if (answer == -EEXIST) {
    error = check_existing(context, parent, name, step);
  } else if (answer < 0) {
    error = failed(context, "mknodat", step->path, answer);
  } else if (step->uid != 0 || step->gid != 0) {
    answer = SYSCALL5(fchownat, parent, name, step->uid, step->gid, AT_SYMLINK_NOFOLLOW);
    if (answer < 0) error = failed(context, "fchownat", step->path, answer);
  }
  close_fd(parent);
  return error == -EPERM ? bind_device(context, step) : error;
}

int step_make_link(struct context *context, const struct step_make_link *step) {
  const char *name;
  int parent = parent_in_root(context, step->path, &name);
  if (parent < 0) return parent;
  long answer = SYSCALL3(symlinkat, step->text, parent, name);
  if (answer == -EEXIST && step->replace) {
    answer = SYSCALL3(unlinkat, parent, name, 0);
    if (answer == 0) answer = SYSCALL3(symlinkat, step->text, parent, name);
  } else if (answer == -EEXIST) {
    answer = 0;
  }
  close_fd(parent);
  return answer < 0 ? failed(context, "symlinkat", step->path, answer) : 0;
}
