/* A directory tree whose content is hostile: each path is resolved below the tree's root and through no symbolic link,
   to a descriptor of its parent, and everything after works on that. */
#define _GNU_SOURCE
#include "sys/archive.h"
#include "gen/sys.gen.h"
#include "sys/latin.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TREES 512
#define COPY_BUFFER ((size_t)128 << 10)

struct tree {
  int root;
  int parent; /* of the last path: the next one is most often its neighbour */
  char parent_path[PATH_MAX];
};

/* A path taken apart: the directory that holds it, and its name there; of the root itself ".". */
struct place {
  int parent;
  const char *name;
  char bytes[PATH_MAX];
};

static struct tree *trees[TREES];

static int open_below(int root, const char *path, uint64_t flags, uint64_t mode) {
  struct open_how how = {.flags = flags | O_CLOEXEC,
                         .mode = mode,
                         .resolve =
                             RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
  return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static struct tree *find_tree(int32_t handle) {
  if (handle >= 0 && handle < TREES && trees[handle] != NULL) return trees[handle];
  sys_fail_with("tree", "", EBADF);
  return NULL;
}

int64_t sys_tree_open(const char *path) {
  int32_t handle = 0;
  while (handle < TREES && trees[handle] != NULL) handle++;
  if (handle == TREES) return sys_fail_with("open", path, EMFILE);
  struct tree *tree = malloc(sizeof *tree);
  if (tree == NULL) return sys_fail_with("malloc", path, ENOMEM);
  tree->root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  tree->parent = -1;
  if (tree->root < 0) {
    free(tree);
    return sys_fail("open", path);
  }
  trees[handle] = tree;
  return handle;
}

int64_t sys_tree_close(int32_t handle) {
  struct tree *tree = find_tree(handle);
  if (tree == NULL) return -EBADF;
  if (tree->parent >= 0) close(tree->parent);
  close(tree->root);
  free(tree);
  trees[handle] = NULL;
  return 0;
}

/* Finds the directory that holds a path. */
static int64_t find_place(int32_t handle, const char *path, struct place *place) {
  struct tree *tree = find_tree(handle);
  if (tree == NULL) return -EBADF;
  if (latin_bytes(path, place->bytes, sizeof place->bytes) < 0)
    return sys_fail_with("path", path, ENAMETOOLONG);
  char *slash = strrchr(place->bytes, '/');
  if (slash == NULL) {
    place->parent = tree->root;
    place->name = place->bytes[0] == 0 ? "." : place->bytes;
    return 0;
  }
  *slash = 0;
  place->name = slash + 1;
  if (tree->parent < 0 || strcmp(tree->parent_path, place->bytes) != 0) {
    int parent = open_below(tree->root, place->bytes, O_PATH | O_DIRECTORY, 0);
    if (parent < 0) return sys_fail("openat2", path);
    if (tree->parent >= 0) close(tree->parent);
    tree->parent = parent;
    strcpy(tree->parent_path, place->bytes);
  }
  place->parent = tree->parent;
  return 0;
}

static void name_by_descriptor(const struct place *place, char *name, size_t room) {
  snprintf(name, room, "/proc/self/fd/%d/%s", place->parent, place->name);
}

static int write_all(int fd, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -1;
    bytes += written;
    size -= (size_t)written;
  }
  return 0;
}

static int64_t copy_payload(struct archive *archive, int fd, uint64_t size, const char *path) {
  while (size > 0) {
    const uint8_t *bytes;
    int64_t got = archive_take(archive, size < COPY_BUFFER ? (size_t)size : COPY_BUFFER, &bytes);
    if (got < 0) return got;
    if (got == 0) return sys_fail_with("tar", "", ENODATA);
    if (write_all(fd, bytes, (size_t)got) < 0) return sys_fail("write", path);
    size -= (uint64_t)got;
  }
  return 0;
}

static struct timespec *times_of(struct timespec times[2], int64_t seconds, uint32_t nanoseconds) {
  times[0] = times[1] = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
  return times;
}

/* The owner before the mode: chown(2) takes the setuid bit away. */
static int64_t finish_file(int fd, const char *path, uint32_t mode, uint32_t uid, uint32_t gid,
                           int64_t seconds, uint32_t nanoseconds) {
  struct timespec times[2];
  if (fchown(fd, uid, gid) < 0) return sys_fail("fchown", path);
  if (fchmod(fd, mode & 07777) < 0) return sys_fail("fchmod", path);
  return futimens(fd, times_of(times, seconds, nanoseconds)) < 0 ? sys_fail("utimensat", path) : 0;
}

static int open_new(const struct place *place) {
  return openat(place->parent, place->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int64_t sys_tree_file(int32_t tree, const char *path, int32_t from, int64_t size, uint32_t mode, uint32_t uid,
                      uint32_t gid, int64_t seconds, uint32_t nanoseconds) {
  struct archive *archive = find_archive(from);
  if (archive == NULL) return -EBADF;
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  int fd = open_new(&place);
  if (fd < 0) return sys_fail("openat", path);
  result = copy_payload(archive, fd, (uint64_t)size, path);
  if (result == 0) result = archive_pad(archive, (uint32_t)(-(uint64_t)size % 512));
  if (result == 0) result = finish_file(fd, path, mode, uid, gid, seconds, nanoseconds);
  close(fd);
  return result;
}

int64_t sys_tree_sparse_file(int32_t tree, const char *path, int32_t from, struct sys_in map, int64_t size,
                             uint32_t padding, uint32_t mode, uint32_t uid, uint32_t gid, int64_t seconds,
                             uint32_t nanoseconds) {
  struct archive *archive = find_archive(from);
  if (archive == NULL) return -EBADF;
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  int fd = open_new(&place);
  if (fd < 0) return sys_fail("openat", path);
  const uint32_t *words = map.data;
  for (size_t i = 0; i + 4 <= map.size / 4 && result == 0; i += 4) {
    uint64_t offset = words[i] | (uint64_t)words[i + 1] << 32,
             length = words[i + 2] | (uint64_t)words[i + 3] << 32;
    if (lseek(fd, (off_t)offset, SEEK_SET) < 0) result = sys_fail("lseek", path);
    if (result == 0) result = copy_payload(archive, fd, length, path);
  }
  if (result == 0) result = archive_pad(archive, padding);
  if (result == 0 && ftruncate(fd, size) < 0) result = sys_fail("ftruncate", path);
  if (result == 0) result = finish_file(fd, path, mode, uid, gid, seconds, nanoseconds);
  close(fd);
  return result;
}

int64_t sys_tree_dir(int32_t tree, const char *path, uint32_t mode) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  return mkdirat(place.parent, place.name, mode) < 0 ? sys_fail("mkdirat", path) : 0;
}

int64_t sys_tree_symlink(int32_t tree, const char *path, const char *target) {
  struct place place;
  char bytes[PATH_MAX];
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  if (latin_bytes(target, bytes, sizeof bytes) < 0) return sys_fail_with("symlinkat", path, ENAMETOOLONG);
  return symlinkat(bytes, place.parent, place.name) < 0 ? sys_fail("symlinkat", path) : 0;
}

int64_t sys_tree_link(int32_t tree, const char *path, const char *target) {
  struct place place, old;
  int64_t result = find_place(tree, target, &old);
  if (result < 0) return result;
  /* The next path may push this parent out. */
  int parent = fcntl(old.parent, F_DUPFD_CLOEXEC, 3);
  if (parent < 0) return sys_fail("fcntl", target);
  result = find_place(tree, path, &place);
  if (result == 0 && linkat(parent, old.name, place.parent, place.name, 0) < 0)
    result = sys_fail("linkat", path);
  close(parent);
  return result;
}

int64_t sys_tree_node(int32_t tree, const char *path, uint32_t mode, uint32_t major_number,
                      uint32_t minor_number) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  /* The file type as it is given; rights come with the attributes. */
  dev_t device = makedev(major_number, minor_number);
  return mknodat(place.parent, place.name, mode & S_IFMT, device) < 0 ? sys_fail("mknodat", path) : 0;
}

int64_t sys_tree_owner(int32_t tree, const char *path, uint32_t mode, uint32_t uid, uint32_t gid) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  if (fchownat(place.parent, place.name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
    return sys_fail("fchownat", path);
  if ((mode & S_IFMT) == S_IFLNK) return 0;
  /* fchmodat(2) has no way not to follow a link; nobody else writes here, and a link was told apart above. */
  return fchmodat(place.parent, place.name, mode & 07777, 0) < 0 ? sys_fail("fchmodat", path) : 0;
}

int64_t sys_tree_times(int32_t tree, const char *path, int64_t seconds, uint32_t nanoseconds) {
  struct place place;
  struct timespec times[2];
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  times_of(times, seconds, nanoseconds);
  return utimensat(place.parent, place.name, times, AT_SYMLINK_NOFOLLOW) < 0 ? sys_fail("utimensat", path)
                                                                             : 0;
}

int64_t sys_tree_set_xattr(int32_t tree, const char *path, const char *name, struct sys_in value) {
  struct place place;
  char by_descriptor[PATH_MAX + 40];
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  char attribute[XATTR_NAME_MAX + 1];
  if (latin_bytes(name, attribute, sizeof attribute) < 0) return sys_fail_with("setxattr", path, ERANGE);
  char *bytes = malloc(value.size + 1);
  if (bytes == NULL) return sys_fail_with("malloc", path, ENOMEM);
  int used = latin_value(value, bytes);
  if (used < 0) result = sys_fail_with("setxattr", path, EILSEQ);
  name_by_descriptor(&place, by_descriptor, sizeof by_descriptor);
  if (result >= 0 && lsetxattr(by_descriptor, attribute, bytes, (size_t)used, 0) < 0)
    result = sys_fail("setxattr", path);
  free(bytes);
  return result;
}

int64_t sys_tree_look(int32_t tree, const char *path, struct sys_out *out) {
  struct place place;
  struct stat info;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  if (fstatat(place.parent, place.name, &info, AT_SYMLINK_NOFOLLOW) < 0) return sys_fail("fstatat", path);
  double numbers[] = {info.st_mode,
                      info.st_uid,
                      info.st_gid,
                      (double)info.st_size,
                      major(info.st_rdev),
                      minor(info.st_rdev),
                      (double)info.st_mtim.tv_sec,
                      (double)info.st_mtim.tv_nsec,
                      (double)info.st_nlink,
                      (double)info.st_ino};
  return sys_give_numbers(out, numbers, sizeof numbers / sizeof *numbers);
}

int64_t sys_tree_read_link(int32_t tree, const char *path, struct sys_out *out) {
  struct place place;
  char target[PATH_MAX];
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  ssize_t size = readlinkat(place.parent, place.name, target, sizeof target);
  return size < 0 ? sys_fail("readlinkat", path) : latin_add(out, target, (size_t)size);
}

/* A regular file and nothing else: a fifo would let nobody go on. */
static int open_regular(const struct place *place) {
  struct stat info;
  int fd = openat(place->parent, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 || (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))) return fd;
  close(fd);
  errno = EINVAL;
  return -1;
}

int64_t sys_tree_read(int32_t tree, const char *path, uint32_t most, struct sys_out *out) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  int fd = open_regular(&place);
  if (fd < 0) return sys_fail("openat", path);
  uint8_t buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0 && result == 0)
    result = out->size + (size_t)got > most ? sys_fail_with("read", path, EFBIG)
                                            : latin_add(out, buffer, (size_t)got);
  if (got < 0) result = sys_fail("read", path);
  close(fd);
  return result < 0 || out->data != NULL ? result : sys_give(out, "", 0);
}

int64_t sys_tree_open_file(int32_t tree, const char *path) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  int fd = open_regular(&place);
  return fd < 0 ? sys_fail("openat", path) : fd;
}

int64_t sys_tree_list(int32_t tree, const char *path, struct sys_out *out) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result < 0) return result;
  int fd = openat(place.parent, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL) return sys_fail("openat", path);
  errno = 0;
  for (struct dirent *entry; result == 0 && (entry = readdir(directory)) != NULL; errno = 0) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    result = latin_add(out, entry->d_name, strlen(entry->d_name) + 1);
  }
  if (result == 0 && errno != 0) result = sys_fail("getdents64", path);
  closedir(directory);
  return result;
}

static int64_t open_for_xattr(int32_t tree, const char *path, char *name, size_t room) {
  struct place place;
  int64_t result = find_place(tree, path, &place);
  if (result == 0) name_by_descriptor(&place, name, room);
  return result;
}

int64_t sys_tree_xattrs(int32_t tree, const char *path, struct sys_out *out) {
  char name[PATH_MAX + 40];
  int64_t result = open_for_xattr(tree, path, name, sizeof name);
  if (result < 0) return result;
  char *list = malloc(XATTR_LIST_MAX);
  if (list == NULL) return sys_fail_with("malloc", path, ENOMEM);
  ssize_t size = llistxattr(name, list, XATTR_LIST_MAX);
  if (size < 0 && errno == ENOTSUP) size = 0;
  result = size < 0    ? sys_fail("listxattr", path)
           : size == 0 ? sys_give(out, "", 0)
                       : latin_add(out, list, (size_t)size);
  free(list);
  return result;
}

int64_t sys_tree_xattr(int32_t tree, const char *path, const char *text, struct sys_out *out) {
  char name[PATH_MAX + 40], attribute[XATTR_NAME_MAX + 1];
  if (latin_bytes(text, attribute, sizeof attribute) < 0) return sys_fail_with("getxattr", path, ERANGE);
  int64_t result = open_for_xattr(tree, path, name, sizeof name);
  if (result < 0) return result;
  char *value = malloc(XATTR_SIZE_MAX);
  if (value == NULL) return sys_fail_with("malloc", path, ENOMEM);
  ssize_t size = lgetxattr(name, attribute, value, XATTR_SIZE_MAX);
  result = size < 0    ? sys_fail("getxattr", path)
           : size == 0 ? sys_give(out, "", 0)
                       : latin_add(out, value, (size_t)size);
  free(value);
  return result;
}

static int64_t copy_bytes(int from, int to, const char *path) {
  for (;;) {
    ssize_t got = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
    if (got == 0) return 0;
    if (got > 0) continue;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
      return sys_fail("copy_file_range", path);
    break;
  }
  uint8_t buffer[16 << 10];
  for (;;) {
    ssize_t got = read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? sys_fail("read", path) : 0;
    if (write_all(to, buffer, (size_t)got) < 0) return sys_fail("write", path);
  }
}

int64_t sys_tree_copy_file(int32_t from, const char *source, int32_t to, const char *path) {
  struct place place;
  int64_t result = find_place(from, source, &place);
  if (result < 0) return result;
  int input = open_regular(&place);
  if (input < 0) return sys_fail("openat", source);
  result = find_place(to, path, &place);
  int output = result < 0 ? -1 : open_new(&place);
  if (result == 0 && output < 0) result = sys_fail("openat", path);
  if (result == 0) result = copy_bytes(input, output, path);
  if (output >= 0) close(output);
  close(input);
  return result;
}

/* How many levels are walked down before the rest is moved up: descriptors are few, and a container can nest deeply. */
#define DEEPEST 64

/* Removes what is in a directory, going on after signals. `top` takes what lies too deep, and is emptied again. */
static int64_t empty_directory(int directory, int top, int depth, unsigned *moved) {
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = copy < 0 ? NULL : fdopendir(copy);
  if (list == NULL) return sys_fail("open", "");
  int64_t result = 0;
  for (struct dirent *entry; result == 0 && (entry = readdir(list)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (unlinkat(directory, entry->d_name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) {
      result = sys_fail("unlink", entry->d_name);
      break;
    }
    if (unlinkat(directory, entry->d_name, AT_REMOVEDIR) == 0) continue;
    if (depth >= DEEPEST) {
      /* A name that is taken, by somebody who wants to be in the way, is passed over. */
      char name[40];
      int error;
      do snprintf(name, sizeof name, ".deep-%u", (*moved)++);
      while ((error = renameat2(directory, entry->d_name, top, name, RENAME_NOREPLACE)) < 0 &&
             errno == EEXIST);
      if (error < 0) result = sys_fail("rename", entry->d_name);
      continue;
    }
    int child = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0) {
      /* Without root, a directory may forbid its owner to read it. */
      if (errno == EACCES && fchmodat(directory, entry->d_name, 0700, 0) == 0)
        child = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (child < 0 && errno == ENOENT) continue;
      if (child < 0) {
        result = sys_fail("openat", entry->d_name);
        break;
      }
    }
    fchmod(child, 0700);
    result = empty_directory(child, top, depth + 1, moved);
    close(child);
    if (result == 0 && unlinkat(directory, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
      result = sys_fail("rmdir", entry->d_name);
  }
  closedir(list);
  return result;
}

int64_t sys_remove_tree(const char *path) {
  unsigned moved = 0;
  for (;;) {
    if (rmdir(path) == 0 || errno == ENOENT) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST) return sys_fail("rmdir", path);
    int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0 && errno == ENOENT) return 0;
    if (top < 0) return sys_fail("open", path);
    int64_t result = empty_directory(top, top, 0, &moved);
    close(top);
    if (result < 0) return result;
  }
}

int64_t sys_read_at(int32_t fd, int64_t offset, uint32_t size, struct sys_out *out) {
  uint8_t *bytes = malloc((size_t)size + 1);
  if (bytes == NULL) return sys_fail_with("malloc", "", ENOMEM);
  size_t had = 0;
  int64_t result = 0;
  while (had < size) {
    ssize_t got = pread(fd, bytes + had, size - had, (off_t)offset + (off_t)had);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) result = sys_fail("pread", "");
    if (got <= 0) break;
    had += (size_t)got;
  }
  if (result == 0) result = had == 0 ? sys_give(out, "", 0) : latin_add(out, bytes, had);
  free(bytes);
  return result;
}

int64_t sys_stat_descriptor(int32_t fd, struct sys_out *out) {
  struct stat info;
  if (fstat(fd, &info) < 0) return sys_fail("fstat", "");
  double numbers[] = {info.st_mode, (double)info.st_size};
  return sys_give_numbers(out, numbers, 2);
}

int64_t sys_sync_file_system(int32_t fd) {
  return syncfs(fd) < 0 ? sys_fail("syncfs", "") : 0;
}
