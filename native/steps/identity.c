/* Who the container's process is: user, groups, capabilities, working directory. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include "steps/path.h"
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <linux/stat.h>

static int control(struct context *context, const char *name, int option, unsigned long a, unsigned long b) {
  long error = SYSCALL5(prctl, option, a, b, 0, 0);
  return error < 0 ? failed(context, name, "", error) : 0;
}

int step_no_new_privileges(struct context *context, const struct step_no_new_privileges *step) {
  (void)step;
  return control(context, "prctl(PR_SET_NO_NEW_PRIVS)", PR_SET_NO_NEW_PRIVS, 1, 0);
}

int step_drop_bounding(struct context *context, const struct step_drop_bounding *step) {
  for (unsigned long capability = 0; capability < 64; capability++) {
    if (step->keep >> capability & 1) continue;
    long error = SYSCALL5(prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (error == -EINVAL) return 0; /* the kernel knows no more of them */
    if (error < 0) return failed(context, "prctl(PR_CAPBSET_DROP)", "", error);
  }
  return 0;
}

int step_set_ids(struct context *context, const struct step_set_ids *step) {
  int error = control(context, "prctl(PR_SET_KEEPCAPS)", PR_SET_KEEPCAPS, 1, 0);
  if (error < 0) return error;
  if (!step->keep_groups) {
    long answer = SYSCALL2(setgroups, step->groups.count, step->groups.list);
    if (answer < 0) return failed(context, "setgroups", "", answer);
  }
  long answer = SYSCALL3(setresgid, step->gid, step->gid, step->gid);
  if (answer < 0) return failed(context, "setresgid", "", answer);
  answer = SYSCALL3(setresuid, step->uid, step->uid, step->uid);
  if (answer < 0) return failed(context, "setresuid", "", answer);
  SYSCALL1(umask, step->umask);
  context->umask = -1;
  /* With fs.suid_dumpable=1 a change of ids makes the process dumpable again (CVE-2016-9962). */
  error = control(context, "prctl(PR_SET_DUMPABLE)", PR_SET_DUMPABLE, 0, 0);
  return error < 0 ? error : control(context, "prctl(PR_SET_KEEPCAPS)", PR_SET_KEEPCAPS, 0, 0);
}

int step_set_capabilities(struct context *context, const struct step_set_capabilities *step) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {(uint32_t)step->effective, (uint32_t)step->permitted, (uint32_t)step->inheritable},
      {(uint32_t)(step->effective >> 32), (uint32_t)(step->permitted >> 32),
       (uint32_t)(step->inheritable >> 32)},
  };
  long answer = SYSCALL2(capset, &header, data);
  if (answer < 0) return failed(context, "capset", "", answer);
  int error =
      control(context, "prctl(PR_CAP_AMBIENT_CLEAR_ALL)", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);
  for (unsigned long capability = 0; capability < 64 && error == 0; capability++)
    if (step->ambient >> capability & 1)
      error =
          control(context, "prctl(PR_CAP_AMBIENT_RAISE)", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability);
  return error;
}

int step_change_dir(struct context *context, const struct step_change_dir *step) {
  long answer = SYSCALL1(chdir, step->path);
  if (answer == -EACCES && !step->last) return 0;
  if (answer < 0) return failed(context, "chdir", step->path, answer);
  /* A working directory outside the root shows as "(unreachable)/…": it was reached through a leaked descriptor
     (CVE-2024-21626). */
  char here[4096];
  answer = SYSCALL2(getcwd, here, sizeof here);
  if (answer < 0) return failed(context, "getcwd", step->path, answer);
  return here[0] == '/' ? 0 : failed(context, "getcwd", step->path, -EACCES);
}

int step_own_stdio(struct context *context, const struct step_own_stdio *step) {
  for (int fd = 0; fd < 3; fd++) {
    struct statx stat;
    if (SYSCALL5(statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat) < 0)
      continue; /* a closed one stays closed */
    int null = (stat.stx_mode & 0170000) == 0020000 && stat.stx_rdev_major == 1 && stat.stx_rdev_minor == 3;
    if (null || stat.stx_uid == step->uid) continue;
    long error = SYSCALL3(fchown, fd, step->uid, -1);
    /* A file system, or a user namespace, that knows no such owner keeps its own. */
    if (error < 0 && error != -EINVAL && error != -EPERM && error != -EROFS)
      return failed(context, "fchown", "", error);
  }
  return 0;
}
