/* mount(2), for options that are longer than the 255 bytes that fsconfig(2) takes. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/mount.h"
#include <linux/fcntl.h>
#include <linux/mount.h>

#define MNT_DETACH 2

static const char *path_of(struct text *text, int fd) {
  text_add(text, "/proc/self/fd/");
  text_add_number(text, fd);
  return text->start;
}

/* Mounts on a directory of `stage`, and clones what is there then. */
static int mount_on(struct context *context, const struct step_legacy_mount *step, int stage) {
  long error = SYSCALL3(mkdirat, stage, "m", 0700);
  if (error < 0) return failed(context, "mkdirat", "", error);
  long target = SYSCALL4(openat, stage, "m", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (target < 0) return failed(context, "openat", "", target);
  char path[40];
  struct text text = text_in(path, sizeof path);
  error = SYSCALL5(mount, step->source, path_of(&text, (int)target), step->fstype, step->flags, step->data);
  close_fd((int)target);
  if (error < 0) return failed(context, "mount", step->fstype, error);
  return clone_mount(context, stage, "m", 0);
}

/* mount(2) cannot make a detached mount. It mounts on a tmpfs that covers the root for this moment and that no path but
   its descriptor's leads to; the clone is what remains. */
int step_legacy_mount(struct context *context, const struct step_legacy_mount *step) {
  char mode[] = "mode=0700";
  char *list[] = {mode, 0};
  int stage = new_mount(context, "tmpfs", "tmpfs", (struct strings){1, list}, 0);
  if (stage < 0) return stage;
  int mount = attach(context, stage, context->slots[SLOT_ROOT], "");
  if (mount == 0) {
    mount = mount_on(context, step, stage);
    char path[40];
    struct text text = text_in(path, sizeof path);
    long error = SYSCALL2(umount2, path_of(&text, stage), MNT_DETACH);
    if (mount >= 0 && error < 0) {
      close_fd(mount);
      mount = failed(context, "umount2", "", error);
    }
  }
  close_fd(stage);
  if (mount < 0) return mount;
  fill_slot(context, SLOT_MOUNT, mount);
  return step->attributes == 0
             ? 0
             : change_mount(context, mount, step->fstype, (struct mount_change){.set = step->attributes});
}
