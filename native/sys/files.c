#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int64_t sys_open(const char *path, uint32_t flags, uint32_t mode) {
  int fd = open(path, (int)flags | O_CLOEXEC, mode);
  return fd < 0 ? sys_fail("open", path) : fd;
}

int64_t sys_close(int32_t fd) {
  /* Linux lets go of the descriptor whatever close(2) answers; only one that is not open is a mistake of ours. */
  return close(fd) < 0 && errno == EBADF ? sys_fail("close", "") : 0;
}

int64_t sys_read(int32_t fd, uint32_t most, struct sys_out *out) {
  out->data = malloc((size_t)most + 1);
  if (out->data == NULL) return sys_fail_with("malloc", "", ENOMEM);
  ssize_t length;
  do length = read(fd, out->data, most);
  while (length < 0 && errno == EINTR);
  if (length < 0) return sys_fail("read", "");
  out->size = (size_t)length;
  return 0;
}

int64_t sys_write(int32_t fd, struct sys_in bytes) {
  ssize_t length;
  do length = write(fd, bytes.data, bytes.size);
  while (length < 0 && errno == EINTR);
  return length < 0 ? sys_fail("write", "") : length;
}

static int64_t write_all_text(int fd, const char *text, const char *path) {
  for (size_t left = strlen(text); left > 0;) {
    ssize_t length = write(fd, text, left);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return sys_fail("write", path);
    text += length;
    left -= (size_t)length;
  }
  return 0;
}

int64_t sys_write_text(int32_t fd, const char *text) {
  return write_all_text(fd, text, "");
}

/* 1 for text in UTF-8 without NUL bytes: what a JavaScript string can carry without loss. */
static int is_text(const unsigned char *at, size_t size) {
  const unsigned char *end = at + size;
  while (at < end) {
    unsigned char first = *at++;
    int more = first < 0x80                    ? 0
               : first >= 0xc2 && first < 0xe0 ? 1
               : (first & 0xf0) == 0xe0        ? 2
               : first >= 0xf0 && first < 0xf5 ? 3
                                               : -1;
    if (first == 0 || more < 0 || end - at < more) return 0;
    if (more == 2 && ((first == 0xe0 && at[0] < 0xa0) || (first == 0xed && at[0] > 0x9f))) return 0;
    if (more == 3 && ((first == 0xf0 && at[0] < 0x90) || (first == 0xf4 && at[0] > 0x8f))) return 0;
    for (; more > 0; more--, at++)
      if ((*at & 0xc0) != 0x80) return 0;
  }
  return 1;
}

/* Everything up to the end of a file, a pipe or a socket. `path` is for messages. */
static int64_t read_whole(int fd, const char *path, uint32_t most, struct sys_out *out) {
  size_t room = 4096, length = 0;
  char *data = malloc(room + 1);
  int64_t result = data == NULL ? sys_fail_with("malloc", path, ENOMEM) : 0;
  while (result == 0) {
    ssize_t got = read(fd, data + length, room - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) result = sys_fail("read", path);
    if (got <= 0) break;
    length += (size_t)got;
    if (length > most) {
      result = sys_fail_with("read", path, EFBIG);
    } else if (length == room) {
      char *larger = realloc(data, room * 4 + 1);
      if (larger == NULL) {
        result = sys_fail_with("malloc", path, ENOMEM);
      } else {
        data = larger;
        room *= 4;
      }
    }
  }
  if (result < 0) {
    free(data);
    return result;
  }
  data[length] = 0;
  *out = (struct sys_out){data, length};
  return 0;
}

int64_t sys_read_text(int32_t fd, uint32_t most, struct sys_out *out) {
  return read_whole(fd, "", most, out);
}

int64_t sys_read_file(const char *path, uint32_t most, struct sys_out *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return sys_fail("open", path);
  int64_t result = read_whole(fd, path, most, out);
  close(fd);
  if (result == 0 && !is_text(out->data, out->size)) {
    free(out->data);
    out->data = NULL;
    return sys_fail_with("read", path, EILSEQ);
  }
  return result;
}

static int64_t write_new(const char *path, const char *text, uint32_t mode, int how) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | how, mode);
  if (fd < 0) return sys_fail("open", path);
  int64_t result = write_all_text(fd, text, path);
  if (close(fd) < 0 && result == 0) result = sys_fail("close", path);
  if (result < 0) unlink(path);
  return result;
}

int64_t sys_create_file(const char *path, const char *text, uint32_t mode) {
  return write_new(path, text, mode, O_EXCL);
}

int64_t sys_write_file(const char *path, const char *text, uint32_t mode) {
  char beside[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t cut = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  int length = snprintf(beside, sizeof beside, "%.*s.%s.%d", (int)cut, path, path + cut, (int)getpid());
  if (length < 0 || (size_t)length >= sizeof beside) return sys_fail_with("open", path, ENAMETOOLONG);
  int64_t result = write_new(beside, text, mode, O_EXCL);
  if (result == -EEXIST) {
    /* Left over from a process of this number that was killed in between, or put there by somebody else for us to write
       through: in /tmp anybody can. */
    unlink(beside);
    result = write_new(beside, text, mode, O_EXCL);
  }
  if (result == 0 && rename(beside, path) < 0) {
    result = sys_fail("rename", path);
    unlink(beside);
  }
  return result;
}

int64_t sys_append_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return sys_fail("open", path);
  int64_t result = write_all_text(fd, text, path);
  close(fd);
  return result;
}

int64_t sys_make_dir(const char *path, uint32_t mode) {
  return mkdir(path, mode) < 0 ? sys_fail("mkdir", path) : 0;
}
int64_t sys_remove_dir(const char *path) {
  return rmdir(path) < 0 ? sys_fail("rmdir", path) : 0;
}
int64_t sys_remove_file(const char *path) {
  return unlink(path) < 0 ? sys_fail("unlink", path) : 0;
}
int64_t sys_rename(const char *from, const char *to) {
  return rename(from, to) < 0 ? sys_fail("rename", from) : 0;
}

int64_t sys_read_dir(const char *path, struct sys_out *out) {
  DIR *directory = opendir(path);
  if (directory == NULL) return sys_fail("open", path);
  size_t room = 0;
  int64_t result = 0;
  errno = 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL; errno = 0) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    size_t size = strlen(entry->d_name) + 1;
    if (out->size + size > room) {
      room = (room + size) * 2;
      char *larger = realloc(out->data, room);
      if (larger == NULL) {
        result = sys_fail_with("malloc", path, ENOMEM);
        break;
      }
      out->data = larger;
    }
    memcpy((char *)out->data + out->size, entry->d_name, size);
    out->size += size;
  }
  if (result == 0 && errno != 0) result = sys_fail("getdents64", path);
  closedir(directory);
  return result;
}

int64_t sys_real_path(const char *path, struct sys_out *out) {
  char *real = realpath(path, NULL);
  if (real == NULL) return sys_fail("realpath", path);
  *out = (struct sys_out){real, strlen(real)};
  return 0;
}

int64_t sys_stat(const char *path, struct sys_out *out) {
  struct stat info;
  if (stat(path, &info) < 0) return sys_fail("stat", path);
  double numbers[] = {info.st_mode, info.st_uid, (double)info.st_ino, major(info.st_rdev),
                      minor(info.st_rdev)};
  return sys_give_numbers(out, numbers, 5);
}

int64_t sys_is_mount_root(const char *path) {
  struct statx info;
  if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &info) < 0) return sys_fail("statx", path);
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int64_t sys_is_at(int32_t fd, const char *path) {
  struct stat open_file, named;
  if (fstat(fd, &open_file) < 0) return sys_fail("fstat", path);
  if (stat(path, &named) < 0) return errno == ENOENT ? 0 : sys_fail("stat", path);
  return open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

int64_t sys_change_owner(int32_t fd, uint32_t uid, uint32_t gid) {
  return fchown(fd, uid, gid) < 0 ? sys_fail("fchown", "") : 0;
}

int64_t sys_lock(int32_t fd, uint32_t operation) {
  while (flock(fd, (int)operation) < 0)
    if (errno != EINTR) return sys_fail("flock", "");
  return 0;
}

int64_t sys_is_open(int32_t fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

int64_t sys_set_non_blocking(int32_t fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? sys_fail("fcntl", "") : 0;
}
