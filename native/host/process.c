/* What the host side sets on the container process from outside. */
#include "base/syscall.h"
#include "base/text.h"
#include "host/host.h"
#include <linux/fcntl.h>

static int write_proc(struct context *context, const char *file, const char *value) {
  char path[64];
  struct text text = text_in(path, sizeof path);
  text_add(&text, "/proc/");
  text_add_number(&text, context->pid);
  text_add(&text, "/");
  text_add(&text, file);
  long fd = SYSCALL4(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", path, fd);
  long done = SYSCALL3(write, fd, value, strlen(value));
  close_fd((int)fd);
  return done < 0 ? failed(context, "write", path, done) : 0;
}

int step_write_id_map(struct context *context, const struct step_write_id_map *step) {
  return write_proc(context, step->file, step->map);
}

int step_set_oom_score_adj(struct context *context, const struct step_set_oom_score_adj *step) {
  char value[16];
  struct text text = text_in(value, sizeof value);
  text_add_number(&text, step->value);
  return write_proc(context, "oom_score_adj", value);
}
