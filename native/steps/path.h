/* Paths inside the root. Everything there is hostile: a path is resolved once, by openat2(2) with RESOLVE_IN_ROOT, to an
   O_PATH descriptor, and from then on only the descriptor is used. */
#pragma once
#include "steps/context.h"

enum path_kind {
  PATH_ANY,
  PATH_DIRECTORY,
  PATH_ORDINARY_DIRECTORY /* no symbolic link anywhere on the way */
};

/* An O_PATH descriptor of what the path leads to inside the root, or a negative errno (noted). */
int open_in_root(struct context *context, const char *path, enum path_kind kind);

/* The same, and what is missing is made: directories with `mode`, and at the end a directory or an empty file. A symbolic
   link that leads nowhere is not followed further: -ELOOP or -ENOTDIR. */
int make_in_root(struct context *context, const char *path, enum path_kind kind, int file, uint32_t mode);

/* Opens (and makes, 0755) the directory that holds the path's last component, which `name` is set to. */
int parent_in_root(struct context *context, const char *path, const char **name);

/* Type and permissions of what a descriptor stands for; -errno on failure. */
struct statx;
int stat_fd(struct context *context, int fd, struct statx *stat);

/* The magic number of the file system that holds it; a negative errno on failure. */
int64_t filesystem_of(int fd);
