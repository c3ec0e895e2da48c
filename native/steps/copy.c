/* tmpcopyup: what lies below a mount point, copied into the tmpfs that will cover it. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/path.h"
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/time.h>

#define TYPE_MASK 0170000u
#define TYPE_DIRECTORY 0040000u
#define TYPE_FILE 0100000u
#define TYPE_LINK 0120000u
#define DEPTH_MOST 256 /* each level holds two descriptors and a buffer on the stack */
#define SEEK_DATA 3
#define SEEK_HOLE 4

struct entry { /* struct linux_dirent64 */
  uint64_t inode;
  int64_t next;
  uint16_t length;
  uint8_t type;
  char name[];
};

static int copy_xattrs(struct context *context, int from, int to) {
  static char names[65536], value[65536]; /* XATTR_LIST_MAX, XATTR_SIZE_MAX */
  long length = SYSCALL3(flistxattr, from, names, sizeof names);
  if (length == -EOPNOTSUPP) return 0;
  if (length < 0) return failed(context, "flistxattr", "", length);
  for (const char *name = names; name < names + length; name += strlen(name) + 1) {
    long size = SYSCALL4(fgetxattr, from, name, value, sizeof value);
    if (size == -ENODATA) continue;
    long error = size < 0 ? size : SYSCALL5(fsetxattr, to, name, value, size, 0);
    /* tmpfs does not know all that other file systems have, such as user.* before Linux 6.6. */
    if (error < 0 && error != -EOPNOTSUPP) return failed(context, "fsetxattr", name, error);
  }
  return 0;
}

/* Owner, then mode, since chown(2) takes setuid away, then attributes, of which capabilities are one, then times. */
static int copy_attributes(struct context *context, const struct statx *stat, int from, int to) {
  long error = SYSCALL5(fchownat, to, "", stat->stx_uid, stat->stx_gid, AT_EMPTY_PATH);
  /* EINVAL: an owner who is nobody in this user namespace. */
  if (error < 0 && error != -EINVAL) return failed(context, "fchownat", "", error);
  error = SYSCALL2(fchmod, to, stat->stx_mode & 07777);
  if (error < 0) return failed(context, "fchmod", "", error);
  int copied = copy_xattrs(context, from, to);
  if (copied < 0) return copied;
  struct __kernel_timespec times[2] = {{stat->stx_atime.tv_sec, stat->stx_atime.tv_nsec},
                                       {stat->stx_mtime.tv_sec, stat->stx_mtime.tv_nsec}};
  error = SYSCALL4(utimensat, to, 0, times, 0);
  return error < 0 ? failed(context, "utimensat", "", error) : 0;
}

/* Holes stay holes: a large sparse file must not fill the memory. */
static long copy_content(int from, int to, int64_t size) {
  long error = SYSCALL2(ftruncate, to, size);
  for (int64_t at = 0; error >= 0 && at < size;) {
    at = SYSCALL3(lseek, from, at, SEEK_DATA);
    if (at == -ENXIO) return 0;
    int64_t end = at < 0 ? at : SYSCALL3(lseek, from, at, SEEK_HOLE);
    if (end < 0) return (long)end;
    error = SYSCALL3(lseek, to, at, 0);
    while (error >= 0 && at < end) {
      error = SYSCALL4(sendfile, to, from, &at, end - at);
      if (error == 0) return 0; /* it became shorter meanwhile */
    }
  }
  return error;
}

/* Opened without following links, and seen to be what was found: whoever swaps it meanwhile stops the copy. */
static int open_same(struct context *context, int directory, const char *name, struct statx *stat) {
  uint32_t type = stat->stx_mode & TYPE_MASK;
  long fd = SYSCALL4(openat, directory, name,
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
                         (type == TYPE_DIRECTORY ? O_DIRECTORY : 0),
                     0);
  if (fd < 0) return failed(context, "openat", name, fd);
  int error = stat_fd(context, (int)fd, stat);
  if (error == 0 && (stat->stx_mode & TYPE_MASK) != type) error = failed(context, "openat", name, -EAGAIN);
  if (error == 0) return (int)fd;
  close_fd((int)fd);
  return error;
}

static int copy_entries(struct context *context, int from, int to, int depth);

static int copy_opened(struct context *context, int from, int to, const char *name, struct statx *stat,
                       int depth) {
  int directory = (stat->stx_mode & TYPE_MASK) == TYPE_DIRECTORY;
  int source = open_same(context, from, name, stat);
  if (source < 0) return source;
  long error = directory ? SYSCALL3(mkdirat, to, name, 0700) : 0;
  long copy = error < 0 ? error
                        : SYSCALL4(openat, to, name,
                                   O_NOFOLLOW | O_CLOEXEC |
                                       (directory ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_CREAT | O_EXCL),
                                   0600);
  int result = copy < 0 ? failed(context, "openat", name, copy) : 0;
  if (result == 0 && directory) {
    result = copy_entries(context, source, (int)copy, depth + 1);
  } else if (result == 0) {
    error = copy_content(source, (int)copy, (int64_t)stat->stx_size);
    if (error < 0) result = failed(context, "sendfile", name, error);
  }
  if (result == 0) result = copy_attributes(context, stat, source, (int)copy);
  close_fd((int)copy);
  close_fd(source);
  return result;
}

static int copy_link(struct context *context, int from, int to, const char *name) {
  char target[4096];
  long length = SYSCALL4(readlinkat, from, name, target, sizeof target - 1);
  if (length < 0) return failed(context, "readlinkat", name, length);
  target[length] = 0;
  long error = SYSCALL3(symlinkat, target, to, name);
  return error < 0 ? failed(context, "symlinkat", name, error) : 0;
}

static int copy_node(struct context *context, const struct statx *stat, int to, const char *name) {
  uint64_t device = (stat->stx_rdev_minor & 0xff) | (uint64_t)(stat->stx_rdev_major & 0xfff) << 8 |
                    (uint64_t)(stat->stx_rdev_minor & ~0xffu) << 12;
  long error = SYSCALL4(mknodat, to, name, stat->stx_mode, device);
  return error < 0 ? failed(context, "mknodat", name, error) : 0;
}

static int copy_entry(struct context *context, int from, int to, const char *name, int depth) {
  struct statx stat;
  long error = SYSCALL5(statx, from, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &stat);
  if (error == -ENOENT) return 0; /* removed meanwhile */
  if (error < 0) return failed(context, "statx", name, error);
  uint32_t type = stat.stx_mode & TYPE_MASK;
  if (type == TYPE_DIRECTORY || type == TYPE_FILE) return copy_opened(context, from, to, name, &stat, depth);
  int result = type == TYPE_LINK ? copy_link(context, from, to, name) : copy_node(context, &stat, to, name);
  if (result < 0) return result;
  error = SYSCALL5(fchownat, to, name, stat.stx_uid, stat.stx_gid, AT_SYMLINK_NOFOLLOW);
  return error < 0 && error != -EINVAL ? failed(context, "fchownat", name, error) : 0;
}

static int copy_entries(struct context *context, int from, int to, int depth) {
  if (depth > DEPTH_MOST) return failed(context, "openat", "", -ELOOP);
  _Alignas(struct entry) char buffer[2048];
  for (;;) {
    long length = SYSCALL3(getdents64, from, buffer, sizeof buffer);
    if (length < 0) return failed(context, "getdents64", "", length);
    if (length == 0) return 0;
    for (long at = 0; at < length;) {
      const struct entry *entry = (const struct entry *)(const void *)(buffer + at);
      at += entry->length;
      if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
      int error = copy_entry(context, from, to, entry->name, depth);
      if (error < 0) return error;
    }
  }
}

int step_copy_up(struct context *context, const struct step_copy_up *step) {
  int below = open_in_root(context, step->target, PATH_DIRECTORY);
  /* With nothing below it, the file system keeps the mode that it was made with. */
  if (below == -ENOENT) return 0;
  if (below < 0) return below;
  struct statx stat;
  int error = stat_fd(context, below, &stat);
  int from = error < 0 ? error : open_same(context, below, ".", &stat);
  int to = from < 0 ? from
                    : open_same(context, context->slots[SLOT_MOUNT], ".",
                                &(struct statx){.stx_mode = TYPE_DIRECTORY});
  error = to < 0 ? to : copy_entries(context, from, to, 0);
  if (error == 0 && step->attributes) error = copy_attributes(context, &stat, from, to);
  close_fd(to);
  close_fd(from);
  close_fd(below);
  return error;
}
