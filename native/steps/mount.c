#include "steps/mount.h"
#include "base/syscall.h"
#include "base/text.h"
#include "steps/path.h"
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/stat.h>

int clone_mount(struct context *context, int directory, const char *path, uint32_t flags) {
  long fd = SYSCALL3(open_tree, directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
  return fd < 0 ? failed(context, "open_tree", path, fd) : (int)fd;
}

int attach(struct context *context, int mount, int target, const char *path) {
  long error = SYSCALL5(move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  return error < 0 ? failed(context, "move_mount", path, error) : 0;
}

int change_mount(struct context *context, int mount, const char *path, struct mount_change change) {
  struct mount_attr attr = {
      .attr_set = change.set, .attr_clr = change.clear, .propagation = change.propagation};
  uint32_t flags = AT_EMPTY_PATH | (change.recursive ? AT_RECURSIVE : 0);
  long error = SYSCALL5(mount_setattr, mount, "", flags, &attr, sizeof attr);
  return error < 0 ? failed(context, "mount_setattr", path, error) : 0;
}

/* What the file system context has to say; lines look like "e tmpfs: Bad value for 'size'". */
static void note_log(struct context *context, int fs) {
  struct text message = text_in(context->message, sizeof context->message);
  char line[512];
  for (;;) {
    long length = SYSCALL3(read, fs, line, sizeof line);
    if (length <= 0) return;
    const char *start = line;
    if (length > 2 && line[1] == ' ') {
      start += 2;
      length -= 2;
    }
    while (length > 0 && start[length - 1] == '\n') length--;
    if (message.used > 0) text_add(&message, "; ");
    text_add_bytes(&message, start, (size_t)length);
  }
}

static long set_option(int fs, const char *option) {
  char key[256];
  size_t length = 0;
  while (option[length] != 0 && option[length] != '=') length++;
  if (option[length] == 0) return SYSCALL5(fsconfig, fs, FSCONFIG_SET_FLAG, option, 0, 0);
  if (length >= sizeof key) return -ENAMETOOLONG;
  memcpy(key, option, length);
  key[length] = 0;
  return SYSCALL5(fsconfig, fs, FSCONFIG_SET_STRING, key, option + length + 1, 0);
}

static long set_options(int fs, struct strings options, const char **object) {
  long error = 0;
  for (uint32_t i = 0; i < options.count && error >= 0; i++) {
    *object = options.list[i];
    error = set_option(fs, *object);
  }
  return error;
}

int new_mount(struct context *context, const char *fstype, const char *source, struct strings options,
              uint32_t attributes) {
  long fs = SYSCALL2(fsopen, fstype, FSOPEN_CLOEXEC);
  if (fs < 0) return failed(context, "fsopen", fstype, fs);
  const char *call = "fsconfig", *object = source;
  long error = *source == 0 ? 0 : SYSCALL5(fsconfig, fs, FSCONFIG_SET_STRING, "source", source, 0);
  if (error >= 0) error = set_options((int)fs, options, &object);
  if (error >= 0) {
    object = fstype;
    error = SYSCALL5(fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
  }
  if (error >= 0) {
    call = "fsmount";
    error = SYSCALL3(fsmount, fs, FSMOUNT_CLOEXEC, attributes);
  }
  if (error < 0) {
    failed(context, call, object, error);
    note_log(context, (int)fs);
  }
  close_fd((int)fs);
  return (int)error;
}

int step_mount(struct context *context, const struct step_mount *step) {
  int mount = new_mount(context, step->fstype, step->source, step->options, step->attributes);
  if (mount == -EPERM && *step->instead != 0) {
    context->message[0] = 0;
    mount = clone_mount(context, AT_FDCWD, step->instead, AT_RECURSIVE);
    struct mount_change change = {.set = step->attributes | step->also, .recursive = 1};
    if (mount >= 0 && change_mount(context, mount, step->instead, change) < 0) {
      close_fd(mount);
      mount = -EPERM;
    }
  }
  if (mount < 0) return mount;
  fill_slot(context, SLOT_MOUNT, mount);
  return 0;
}

int step_bind(struct context *context, const struct step_bind *step) {
  int mount = clone_mount(context, AT_FDCWD, step->source, step->recursive ? AT_RECURSIVE : 0);
  if (mount < 0) return mount;
  fill_slot(context, SLOT_MOUNT, mount);
  return 0;
}

int step_set_mount(struct context *context, const struct step_set_mount *step) {
  struct mount_change change = {step->set, step->clear, step->propagation, step->recursive};
  return change_mount(context, slot_of(context, step->slot), "", change);
}

static int is_directory(struct context *context, int fd) {
  struct statx stat;
  return stat_fd(context, fd, &stat) == 0 && (stat.stx_mode & 0170000) == 0040000;
}

int step_attach_mount(struct context *context, const struct step_attach_mount *step) {
  int mount = context->slots[SLOT_MOUNT];
  struct statx source;
  int error = stat_fd(context, mount, &source);
  if (error < 0) return error;
  int file = (source.stx_mode & 0170000) != 0040000;
  enum path_kind kind = step->ordinary ? PATH_ORDINARY_DIRECTORY : file ? PATH_ANY : PATH_DIRECTORY;
  int target = make_in_root(context, step->target, kind, file, file ? 0644 : 0755);
  if (target < 0) return target;
  /* A mount onto a file of procfs, or of anything else in its place, could fake what the kernel says about the container
     (CVE-2019-16884). */
  if (step->proc == PROC_OUTSIDE && filesystem_of(target) == PROC_SUPER_MAGIC)
    error = failed(context, "statfs", step->target, -EPERM);
  if (step->proc == PROC_ITSELF && filesystem_of(mount) != PROC_SUPER_MAGIC)
    error = failed(context, "statfs", step->target, -EPERM);
  if (error == 0) error = attach(context, mount, target, step->target);
  /* What mount(2) says of it, and what engines look for. */
  if (error == -EINVAL && file && is_directory(context, target))
    error = failed(context, "move_mount", step->target, -ENOTDIR);
  close_fd(target);
  if (error == 0 && step->keep < SLOT_COUNT && step->keep != SLOT_MOUNT) {
    long kept = SYSCALL3(fcntl, mount, F_DUPFD_CLOEXEC, 3);
    if (kept < 0) return failed(context, "fcntl", step->target, kept);
    fill_slot(context, step->keep, (int)kept);
  }
  return error;
}

int step_find_mount(struct context *context, const struct step_find_mount *step) {
  int found = open_in_root(context, step->target, PATH_ANY);
  if (found < 0) return found;
  fill_slot(context, SLOT_MOUNT, found);
  return 0;
}

int step_reconfigure(struct context *context, const struct step_reconfigure *step) {
  long fs = SYSCALL3(fspick, context->slots[SLOT_MOUNT], "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
  if (fs < 0) return failed(context, "fspick", "", fs);
  const char *object = "";
  long error = set_options((int)fs, step->options, &object);
  if (error >= 0) error = SYSCALL5(fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0);
  if (error < 0) {
    failed(context, "fsconfig", object, error);
    note_log(context, (int)fs);
  }
  close_fd((int)fs);
  return (int)error;
}

int step_remount(struct context *context, const struct step_remount *step) {
  char path[40];
  struct text text = text_in(path, sizeof path);
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, context->slots[SLOT_MOUNT]);
  long error = SYSCALL5(mount, 0, path, 0, 0x20 /* MS_REMOUNT */ | step->flags, 0);
  return error < 0 ? failed(context, "mount", path, error) : 0;
}

int step_keep_mount(struct context *context, const struct step_keep_mount *step) {
  if (step->index >= KEPT_MOST) return failed(context, "keep", "", -EMFILE);
  context->kept[step->index] = context->slots[SLOT_MOUNT];
  context->slots[SLOT_MOUNT] = -1;
  return 0;
}

int step_take_mount(struct context *context, const struct step_take_mount *step) {
  if (step->index >= KEPT_MOST) return failed(context, "keep", "", -EMFILE);
  fill_slot(context, SLOT_MOUNT, context->kept[step->index]);
  context->kept[step->index] = -1;
  return 0;
}

int step_label_mount(struct context *context, const struct step_label_mount *step) {
  char path[40];
  struct text text = text_in(path, sizeof path);
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, context->slots[SLOT_MOUNT]);
  long error = SYSCALL5(setxattr, path, "security.selinux", step->label, strlen(step->label) + 1, 0);
  return error < 0 ? failed(context, "setxattr(security.selinux)", step->label, error) : 0;
}
