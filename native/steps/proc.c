/* Kernel parameters, written through a procfs that nothing of the container can cover (CVE-2025-52881). */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/mount.h"
#include "steps/path.h"
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>

int step_open_proc(struct context *context, const struct step_open_proc *step) {
  (void)step;
  char *none[] = {0};
  int proc = new_mount(context, "proc", "proc", (struct strings){0, none}, 0);
  /* Inside another container a new procfs may not be permitted: then the /proc that is there serves, if it is one. */
  if (proc == -EPERM || proc == -EACCES) {
    long fd = SYSCALL4(openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) return failed(context, "openat", "/proc", fd);
    if (filesystem_of((int)fd) != PROC_SUPER_MAGIC) {
      close_fd((int)fd);
      return failed(context, "statfs", "/proc", -ENODEV);
    }
    proc = (int)fd;
  }
  if (proc < 0) return proc;
  fill_slot(context, SLOT_PROC, proc);
  return 0;
}

/* Opens a file of the own procfs for writing, and writes a text to it at once. */
static int write_proc(struct context *context, const char *path, uint64_t resolve, const char *value) {
  struct open_how how = {.flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW, .resolve = resolve};
  long fd = SYSCALL4(openat2, context->slots[SLOT_PROC], path, &how, sizeof how);
  if (fd < 0) return failed(context, "openat2", path, fd);
  long answer = SYSCALL3(write, fd, value, strlen(value));
  close_fd((int)fd);
  return answer < 0 ? failed(context, "write", path, answer) : 0;
}

#define WITHIN (RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)

int step_write_sysctl(struct context *context, const struct step_write_sysctl *step) {
  return write_proc(context, step->path, WITHIN | RESOLVE_NO_SYMLINKS, step->value);
}

int step_write_label(struct context *context, const struct step_write_label *step) {
  /* thread-self is a link. */
  return write_proc(context, step->path, WITHIN, step->label);
}
