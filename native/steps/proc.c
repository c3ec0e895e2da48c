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

int step_write_sysctl(struct context *context, const struct step_write_sysctl *step) {
  struct open_how how = {
      .flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  long fd = SYSCALL4(openat2, context->slots[SLOT_PROC], step->path, &how, sizeof how);
  if (fd < 0) return failed(context, "openat2", step->path, fd);
  long answer = SYSCALL3(write, fd, step->value, strlen(step->value));
  close_fd((int)fd);
  return answer < 0 ? failed(context, "write", step->path, answer) : 0;
}
