/* The root file system: from a directory of the host to the container's /. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/mount.h"
#include "steps/path.h"
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>

#define MNT_DETACH 2
#define PROPAGATION_SLAVE (1u << 19)
#define PROPAGATION_PRIVATE (1u << 18)

static int open_dir(struct context *context, const char *path) {
  long fd = SYSCALL4(openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  return fd < 0 ? failed(context, "openat", path, fd) : (int)fd;
}

int step_set_propagation(struct context *context, const struct step_set_propagation *step) {
  int fd = open_dir(context, step->path);
  if (fd < 0) return fd;
  struct mount_change change = {.propagation = step->propagation, .recursive = step->recursive};
  int error = change_mount(context, fd, step->path, change);
  close_fd(fd);
  return error;
}

int step_private_parent(struct context *context, const struct step_private_parent *step) {
  int fd = open_dir(context, step->path);
  if (fd < 0) return fd;
  for (;;) {
    struct statx stat;
    int error = stat_fd(context, fd, &stat);
    if (error == 0 && (stat.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
      struct mount_change change = {.propagation = PROPAGATION_PRIVATE};
      error = change_mount(context, fd, step->path, change);
      close_fd(fd);
      return error;
    }
    long up = error < 0 ? error : SYSCALL4(openat, fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    close_fd(fd);
    if (up < 0) return failed(context, "openat", "..", up);
    fd = (int)up;
  }
}

int step_open_tree(struct context *context, const struct step_open_tree *step) {
  int tree = clone_mount(context, AT_FDCWD, step->path, AT_RECURSIVE);
  if (tree < 0) return tree;
  fill_slot(context, SLOT_ROOT, tree);
  return 0;
}

int step_open_root(struct context *context, const struct step_open_root *step) {
  (void)step;
  int root = open_dir(context, "/");
  if (root < 0) return root;
  fill_slot(context, SLOT_ROOT, root);
  return 0;
}

int step_take_root(struct context *context, const struct step_take_root *step) {
  (void)step;
  fill_slot(context, SLOT_ROOT, context->slots[SLOT_MOUNT]);
  context->slots[SLOT_MOUNT] = -1;
  return 0;
}

int step_attach_root(struct context *context, const struct step_attach_root *step) {
  int target = open_dir(context, step->path);
  if (target < 0) return target;
  int error = attach(context, context->slots[SLOT_ROOT], target, step->path);
  close_fd(target);
  return error;
}

static int enter(struct context *context, int directory) {
  long error = SYSCALL1(fchdir, directory);
  return error < 0 ? failed(context, "fchdir", "", error) : 0;
}

/* pivot_root(".", ".") stacks the old root on the new one, so no directory of the container has to hold it. */
static int pivot_to(struct context *context, int root) {
  int old = open_dir(context, "/");
  if (old < 0) return old;
  int result = enter(context, root);
  if (result == 0) {
    long error = SYSCALL2(pivot_root, ".", ".");
    if (error < 0) result = failed(context, "pivot_root", ".", error);
  }
  if (result == 0) result = enter(context, old);
  /* As a slave, the old tree's unmounting does not travel back to the host. */
  struct mount_change slave = {.propagation = PROPAGATION_SLAVE, .recursive = 1};
  if (result == 0) result = change_mount(context, old, "/", slave);
  if (result == 0) {
    long error = SYSCALL2(umount2, ".", MNT_DETACH);
    if (error < 0) result = failed(context, "umount2", ".", error);
  }
  if (result == 0) {
    long error = SYSCALL1(chdir, "/");
    if (error < 0) result = failed(context, "chdir", "/", error);
  }
  close_fd(old);
  return result;
}

int step_pivot_root(struct context *context, const struct step_pivot_root *step) {
  (void)step;
  return pivot_to(context, context->slots[SLOT_ROOT]);
}

/* From a directory that lies outside of the root, ".." leads on to the root of the mount namespace. */
static int climb_to_top(struct context *context) {
  struct statx here, above;
  for (;;) {
    long error = SYSCALL5(statx, AT_FDCWD, ".", 0, STATX_BASIC_STATS | STATX_MNT_ID, &here);
    if (error == 0) error = SYSCALL1(chdir, "..");
    if (error == 0) error = SYSCALL5(statx, AT_FDCWD, ".", 0, STATX_BASIC_STATS | STATX_MNT_ID, &above);
    if (error < 0) return failed(context, "chdir", "..", error);
    if (here.stx_ino == above.stx_ino && here.stx_mnt_id == above.stx_mnt_id) return 0;
  }
}

/* A chroot(2) can neither be pivoted nor be made private, for it is no mount; and setns(2) into its mount namespace would
   lead out of it. So the top of the namespace is sought, which root may do, and the chroot becomes its root for good. */
int step_leave_chroot(struct context *context, const struct step_leave_chroot *step) {
  int base = open_dir(context, "/");
  if (base < 0) return base;
  int result = enter(context, base), tree = -1, top = -1;
  if (result == 0) {
    long error = SYSCALL1(chroot, step->path);
    if (error < 0) result = failed(context, "chroot", step->path, error);
  }
  if (result == 0) result = climb_to_top(context);
  if (result == 0) {
    long error = SYSCALL1(chroot, ".");
    if (error < 0) result = failed(context, "chroot", ".", error);
  }
  if (result == 0) result = top = open_dir(context, "/");
  struct mount_change slave = {.propagation = PROPAGATION_SLAVE, .recursive = 1};
  if (result >= 0) result = change_mount(context, top, "/", slave);
  if (result == 0) result = tree = clone_mount(context, base, "", AT_EMPTY_PATH | AT_RECURSIVE);
  if (result >= 0) result = attach(context, tree, base, "/");
  if (result == 0) result = pivot_to(context, tree);
  close_fd(top);
  close_fd(tree);
  close_fd(base);
  return result;
}

int step_detach_mount(struct context *context, const struct step_detach_mount *step) {
  int fd = open_dir(context, step->path);
  if (fd < 0) return fd;
  int error =
      change_mount(context, fd, step->path, (struct mount_change){.propagation = PROPAGATION_PRIVATE});
  close_fd(fd);
  if (error < 0) return error;
  long answer = SYSCALL2(umount2, step->path, MNT_DETACH);
  /* A mount that a more privileged namespace locked cannot go: it is covered instead. */
  if (answer == -EINVAL || answer == -EPERM) {
    answer = SYSCALL5(mount, "tmpfs", step->path, "tmpfs", 0, 0);
    return answer < 0 ? failed(context, "mount", step->path, answer) : 0;
  }
  return answer < 0 ? failed(context, "umount2", step->path, answer) : 0;
}

static int change_root_here(struct context *context) {
  long error = SYSCALL1(chroot, ".");
  if (error < 0) return failed(context, "chroot", ".", error);
  error = SYSCALL1(chdir, "/");
  return error < 0 ? failed(context, "chdir", "/", error) : 0;
}

int step_move_root(struct context *context, const struct step_move_root *step) {
  (void)step;
  int error = enter(context, context->slots[SLOT_ROOT]);
  if (error < 0) return error;
  long answer = SYSCALL5(move_mount, context->slots[SLOT_ROOT], "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
  if (answer < 0) return failed(context, "move_mount", "/", answer);
  return change_root_here(context);
}

int step_change_root(struct context *context, const struct step_change_root *step) {
  int root = open_dir(context, step->path);
  if (root < 0) return root;
  fill_slot(context, SLOT_ROOT, root);
  int error = enter(context, context->slots[SLOT_ROOT]);
  return error < 0 ? error : change_root_here(context);
}

int step_make_path(struct context *context, const struct step_make_path *step) {
  int fd = make_in_root(context, step->path, PATH_DIRECTORY, 0, step->mode);
  if (fd < 0) return fd;
  close_fd(fd);
  return 0;
}
