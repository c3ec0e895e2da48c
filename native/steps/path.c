#include "steps/path.h"
#include "base/syscall.h"
#include "base/text.h"
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>

#define PATH_MOST 4096

static long resolve(int root, const char *path, uint64_t flags, enum path_kind kind) {
  struct open_how how = {
      .flags = flags | O_CLOEXEC | (kind == PATH_ANY ? 0 : O_DIRECTORY),
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
                 (kind == PATH_ORDINARY_DIRECTORY ? RESOLVE_NO_SYMLINKS : 0),
  };
  /* EAGAIN: a rename or mount elsewhere made the kernel unsure about a "..", openat2(2) says to try again. */
  for (int tries = 0;; tries++) {
    long fd = SYSCALL4(openat2, root, path, &how, sizeof how);
    if (fd != -EAGAIN || tries == 1000) return fd;
  }
}

int open_in_root(struct context *context, const char *path, enum path_kind kind) {
  long fd = resolve(context->slots[SLOT_ROOT], path, O_PATH, kind);
  return fd < 0 ? failed(context, "openat2", path, fd) : (int)fd;
}

static int is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Makes the missing components one by one below `fd`, which it takes over. Each is opened without following links: whoever
   swaps one in between makes the call fail and reaches nothing. */
static int make_below(struct context *context, int fd, char *rest, int file, uint32_t mode) {
  while (*rest != 0) {
    char *name = rest;
    while (*rest != 0 && *rest != '/') rest++;
    if (*rest == '/') *rest++ = 0;
    while (*rest == '/') rest++;
    if (*name == 0 || strcmp(name, ".") == 0) continue;
    int last = *rest == 0;
    long error = 0;
    if (is_dots(name)) {
      error = -ENOENT;
    } else if (last && file) {
      long made = SYSCALL4(openat, fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
      if (made >= 0) close_fd((int)made);
      error = made < 0 && made != -EEXIST ? made : 0;
    } else {
      error = SYSCALL3(mkdirat, fd, name, mode | 0111);
      if (error == -EEXIST) error = 0;
    }
    long next = error;
    if (error == 0) {
      int directory = last && file ? 0 : O_DIRECTORY;
      next = SYSCALL4(openat, fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | directory, 0);
    }
    close_fd(fd);
    if (next < 0)
      return failed(context, error < 0 ? (last && file ? "openat" : "mkdirat") : "openat", name, next);
    fd = (int)next;
  }
  return fd;
}

int make_in_root(struct context *context, const char *path, enum path_kind kind, int file, uint32_t mode) {
  long fd = resolve(context->slots[SLOT_ROOT], path, O_PATH, kind);
  if (fd != -ENOENT) return fd < 0 ? failed(context, "openat2", path, fd) : (int)fd;

  char copy[PATH_MOST];
  size_t length = strlen(path);
  if (length >= sizeof copy) return failed(context, "openat2", path, -ENAMETOOLONG);
  memcpy(copy, path, length + 1);
  while (length > 0 && copy[length - 1] == '/') copy[--length] = 0;

  /* The longest part that exists is found from the end; it is resolved in one go, links and all. */
  size_t cut = length;
  do {
    while (cut > 0 && copy[cut - 1] != '/') cut--;
    while (cut > 0 && copy[cut - 1] == '/') cut--;
    char kept = copy[cut];
    copy[cut] = 0;
    fd = resolve(context->slots[SLOT_ROOT], cut > 0 ? copy : "/", O_PATH,
                 kind == PATH_ORDINARY_DIRECTORY ? kind : PATH_DIRECTORY);
    copy[cut] = kept;
  } while (fd == -ENOENT && cut > 0);
  if (fd < 0) return failed(context, "openat2", path, fd);
  char *rest = copy + cut;
  while (*rest == '/') rest++;
  int made = make_below(context, (int)fd, rest, file, mode);
  if (made < 0) return failed(context, context->call, path, made);
  return made;
}

int parent_in_root(struct context *context, const char *path, const char **name) {
  char parent[PATH_MOST];
  size_t length = strlen(path);
  if (length >= sizeof parent) return failed(context, "openat2", path, -ENAMETOOLONG);
  size_t cut = length;
  while (cut > 0 && path[cut - 1] != '/') cut--;
  *name = path + cut;
  if (**name == 0 || is_dots(*name)) return failed(context, "openat2", path, -EINVAL);
  memcpy(parent, path, cut);
  parent[cut] = 0;
  return make_in_root(context, cut > 0 ? parent : "/", PATH_DIRECTORY, 0, 0755);
}

int stat_fd(struct context *context, int fd, struct statx *stat) {
  long error = SYSCALL5(statx, fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, stat);
  return error < 0 ? failed(context, "statx", "", error) : 0;
}

int64_t filesystem_of(int fd) {
  /* struct statfs begins with the type, a word, on both architectures; 256 bytes are more than it needs. */
  long space[32] = {0};
  long error = SYSCALL2(fstatfs, fd, space);
  return error < 0 ? error : space[0];
}
