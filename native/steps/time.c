/* The time namespace: its offsets can be written only until the first process enters it. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include <linux/fcntl.h>
#include <linux/sched.h>

int step_open_time_offsets(struct context *context, const struct step_open_time_offsets *step) {
  (void)step;
  const char *path = "/proc/self/timens_offsets";
  long fd = SYSCALL4(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", path, fd);
  fill_slot(context, SLOT_OFFSETS, (int)fd);
  return 0;
}

/* unshare(2) makes a time namespace for children only; setns(2) into it spares the fork. */
int step_enter_time_namespace(struct context *context, const struct step_enter_time_namespace *step) {
  if (*step->offsets != 0) {
    long done = SYSCALL3(write, context->slots[SLOT_OFFSETS], step->offsets, strlen(step->offsets));
    fill_slot(context, SLOT_OFFSETS, -1);
    if (done < 0) return failed(context, "write", "/proc/self/timens_offsets", done);
  }
  const char *path = "/proc/self/ns/time_for_children";
  long fd = SYSCALL4(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", path, fd);
  long error = SYSCALL2(setns, fd, CLONE_NEWTIME);
  close_fd((int)fd);
  return error < 0 ? failed(context, "setns", path, error) : 0;
}
