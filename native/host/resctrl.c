/* Groups of the resctrl file system: classes of service, and monitoring groups below them. */
#include "base/syscall.h"
#include "base/text.h"
#include "host/host.h"
#include <linux/fcntl.h>

int step_make_resctrl_group(struct context *context, const struct step_make_resctrl_group *step) {
  long error = SYSCALL3(mkdirat, AT_FDCWD, step->path, 0755);
  if (error == 0) context->result = 1;
  return error < 0 && error != -EEXIST ? failed(context, "mkdir", step->path, error) : 0;
}

int step_join_resctrl_group(struct context *context, const struct step_join_resctrl_group *step) {
  char path[4200], pid[16];
  struct text text = text_in(path, sizeof path);
  text_add(&text, step->path);
  text_add(&text, "/tasks");
  if (text.cut) return failed(context, "openat", step->path, -ENAMETOOLONG);
  text = text_in(pid, sizeof pid);
  text_add_number(&text, context->pid);
  long fd = SYSCALL4(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", path, fd);
  long done = SYSCALL3(write, fd, pid, strlen(pid));
  close_fd((int)fd);
  return done < 0 ? failed(context, "write", path, done) : 0;
}
