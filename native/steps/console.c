/* process.terminal: a pseudoterminal of the container's own devpts. No name is trusted: the master is checked to be
   the ptmx of a devpts, and its peer comes from the master itself (CVE-2025-52565). */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/mount.h"
#include "steps/path.h"
#include "steps/send.h"
#include <asm/ioctls.h>
#include <asm/termios.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/stat.h>

#define PTMX_INODE 2

static int open_master(struct context *context) {
  struct open_how how = {
      .flags = O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
  };
  long fd = SYSCALL4(openat2, context->slots[SLOT_ROOT], "dev/pts/ptmx", &how, sizeof how);
  if (fd < 0) return failed(context, "openat2", "/dev/pts/ptmx", fd);
  struct statx stat;
  int error = stat_fd(context, (int)fd, &stat);
  int right = error == 0 && filesystem_of((int)fd) == DEVPTS_SUPER_MAGIC && stat.stx_ino == PTMX_INODE &&
              stat.stx_rdev_major == 5 && stat.stx_rdev_minor == 2;
  if (!right) {
    close_fd((int)fd);
    return error < 0 ? error : failed(context, "statfs", "/dev/pts/ptmx", -ENODEV);
  }
  return (int)fd;
}

static int open_peer(struct context *context, int master, const struct step_open_console *step) {
  int unlocked = 0;
  long answer = SYSCALL3(ioctl, master, TIOCSPTLCK, &unlocked);
  if (answer < 0) return failed(context, "ioctl(TIOCSPTLCK)", "/dev/pts/ptmx", answer);
  long peer = SYSCALL3(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) return failed(context, "ioctl(TIOCGPTPEER)", "/dev/pts/ptmx", peer);
  struct winsize size = {.ws_row = (unsigned short)step->rows, .ws_col = (unsigned short)step->columns};
  if (step->rows > 0 && step->columns > 0) SYSCALL3(ioctl, master, TIOCSWINSZ, &size);
  answer = SYSCALL3(fchown, peer, step->uid, -1);
  if (answer < 0) {
    close_fd((int)peer);
    return failed(context, "fchown", "/dev/pts", answer);
  }
  return (int)peer;
}

int step_open_console(struct context *context, const struct step_open_console *step) {
  int master = open_master(context);
  if (master < 0) return master;
  int peer = open_peer(context, master, step);
  int error = peer < 0 ? peer : send_descriptor(context, SLOT_CONSOLE, master);
  close_fd(master);
  if (error < 0)
    close_fd(peer);
  else
    fill_slot(context, SLOT_PEER, peer);
  return error;
}

int step_mount_console(struct context *context, const struct step_mount_console *step) {
  const char *name;
  int parent = parent_in_root(context, step->path, &name);
  if (parent < 0) return parent;
  int error = 0;
  long made = SYSCALL4(openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (made < 0 && made != -EEXIST) error = failed(context, "openat", step->path, made);
  if (made >= 0) close_fd((int)made);
  long target = error < 0 ? error : SYSCALL4(openat, parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (error == 0 && target < 0) error = failed(context, "openat", step->path, target);
  struct statx stat;
  if (error == 0) error = stat_fd(context, (int)target, &stat);
  if (error == 0 && (stat.stx_mode & 0170000) == 0120000)
    error = failed(context, "openat", step->path, -ELOOP);
  int mount = error < 0 ? error : clone_mount(context, context->slots[SLOT_PEER], "", AT_EMPTY_PATH);
  if (mount >= 0)
    error = attach(context, mount, (int)target, step->path);
  else
    error = mount;
  close_fd(mount);
  close_fd((int)target);
  close_fd(parent);
  return error;
}

int step_use_console(struct context *context, const struct step_use_console *step) {
  (void)step;
  int peer = context->slots[SLOT_PEER];
  long answer = SYSCALL3(ioctl, peer, TIOCSCTTY, 0);
  if (answer < 0) return failed(context, "ioctl(TIOCSCTTY)", "", answer);
  for (int fd = 0; fd < 3; fd++) {
    answer = SYSCALL3(dup3, peer, fd, 0);
    if (answer < 0) return failed(context, "dup3", "", answer);
  }
  fill_slot(context, SLOT_PEER, -1);
  return 0;
}
