/* The fd-based mount interface, as other steps use it. */
#pragma once
#include "steps/context.h"

/* A detached clone of the mount below a descriptor; a negative errno (noted) on failure. open_tree(2) */
int clone_mount(struct context *context, int directory, const char *path, uint32_t flags);

/* Attaches a detached mount on top of what the target descriptor stands for. move_mount(2) */
int attach(struct context *context, int mount, int target, const char *path);

struct mount_change {
  uint64_t set, clear, propagation;
  uint32_t recursive;
};
/* mount_setattr(2) on a descriptor that is the root of a mount. */
int change_mount(struct context *context, int mount, const char *path, struct mount_change change);

/* fsopen(2), fsconfig(2) and fsmount(2) in one; what the file system says when it refuses becomes the message. */
int new_mount(struct context *context, const char *fstype, const char *source, struct strings options,
              uint32_t attributes);
