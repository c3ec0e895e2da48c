/* Namespaces, and what belongs to a new one: host name, keyring, loopback. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include "steps/send.h"
#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/stat.h>

/* setns(2) refuses the user namespace in which the caller is already. */
static int is_own_user_namespace(int fd) {
  struct statx own, other;
  return SYSCALL5(statx, AT_FDCWD, "/proc/self/ns/user", 0, STATX_INO, &own) == 0 &&
         SYSCALL5(statx, fd, "", AT_EMPTY_PATH, STATX_INO, &other) == 0 && own.stx_ino == other.stx_ino;
}

int step_join_namespace(struct context *context, const struct step_join_namespace *step) {
  long fd = SYSCALL4(openat, AT_FDCWD, step->path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", step->path, fd);
  /* A file that is no namespace at all fails with ENOTTY; one of another type is told by the type in the result. */
  long answer = SYSCALL3(ioctl, fd, NS_GET_NSTYPE, 0);
  const char *call = "ioctl(NS_GET_NSTYPE)";
  if (answer >= 0 && answer != (long)step->type) {
    context->result = (int32_t)answer;
    answer = -EINVAL;
  } else if (answer >= 0 && !(step->type == CLONE_NEWUSER && is_own_user_namespace((int)fd))) {
    call = "setns";
    answer = SYSCALL2(setns, fd, step->type);
  }
  close_fd((int)fd);
  return answer < 0 ? failed(context, call, step->path, answer) : 0;
}

int step_join_process(struct context *context, const struct step_join_process *step) {
  /* In one call: the kernel checks all of them before it enters any, and a user namespace gives the rights over the others. */
  long answer = SYSCALL2(setns, context->slots[SLOT_PROCESS], step->namespaces);
  fill_slot(context, SLOT_PROCESS, -1);
  return answer < 0 ? failed(context, "setns", "", answer) : 0;
}

int step_unshare(struct context *context, const struct step_unshare *step) {
  long error = SYSCALL1(unshare, step->namespaces);
  return error < 0 ? failed(context, "unshare", "", error) : 0;
}

int step_make_dumpable(struct context *context, const struct step_make_dumpable *step) {
  (void)step;
  long error = SYSCALL5(prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
  return error < 0 ? failed(context, "prctl(PR_SET_DUMPABLE)", "", error) : 0;
}

int step_become_root(struct context *context, const struct step_become_root *step) {
  long error = SYSCALL3(setresgid, 0, 0, 0);
  if (error < 0) return failed(context, "setresgid", "0", error);
  error = SYSCALL3(setresuid, 0, 0, 0);
  if (error < 0) return failed(context, "setresuid", "0", error);
  /* The host's groups mean nothing inside; a map without setgroups (rootless) keeps them, and that is no failure here. */
  if (!step->keep_groups) SYSCALL2(setgroups, 0, 0);
  /* With fs.suid_dumpable=1 a change of ids makes the process dumpable again (CVE-2016-9962). */
  error = SYSCALL5(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  return error < 0 ? failed(context, "prctl(PR_SET_DUMPABLE)", "", error) : 0;
}

int step_new_session(struct context *context, const struct step_new_session *step) {
  (void)step;
  long error = SYSCALL0(setsid);
  /* EPERM: init leads a session already. */
  return error < 0 && error != -EPERM ? failed(context, "setsid", "", error) : 0;
}

int step_join_keyring(struct context *context, const struct step_join_keyring *step) {
  long answer = SYSCALL2(keyctl, KEYCTL_JOIN_SESSION_KEYRING, step->name);
  /* Kernels without keys, and callers whose quota is used up, run containers all the same. */
  if (answer >= 0 || answer == -ENOSYS || answer == -EDQUOT || answer == -EPERM) return 0;
  return failed(context, "keyctl", step->name, answer);
}

int step_open_network(struct context *context, const struct step_open_network *step) {
  (void)step;
  long fd = SYSCALL3(socket, 16 /* AF_NETLINK */, 3 /* SOCK_RAW */ | O_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return failed(context, "socket(NETLINK_ROUTE)", "", fd);
  int error = send_descriptor(context, SLOT_NETWORK, (int)fd);
  close_fd((int)fd);
  return error;
}

int step_bring_up_loopback(struct context *context, const struct step_bring_up_loopback *step) {
  (void)step;
  long fd = SYSCALL3(socket, 2 /* AF_INET */, 2 /* SOCK_DGRAM */ | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "socket", "", fd);
  struct ifreq request = {.ifr_name = "lo"};
  const char *call = "ioctl(SIOCGIFFLAGS)";
  long answer = SYSCALL3(ioctl, fd, SIOCGIFFLAGS, &request);
  if (answer >= 0) {
    request.ifr_flags |= IFF_UP;
    call = "ioctl(SIOCSIFFLAGS)";
    answer = SYSCALL3(ioctl, fd, SIOCSIFFLAGS, &request);
  }
  close_fd((int)fd);
  return answer < 0 ? failed(context, call, "lo", answer) : 0;
}

int step_set_hostname(struct context *context, const struct step_set_hostname *step) {
  long error = SYSCALL2(sethostname, step->name, strlen(step->name));
  return error < 0 ? failed(context, "sethostname", step->name, error) : 0;
}

int step_set_domainname(struct context *context, const struct step_set_domainname *step) {
  long error = SYSCALL2(setdomainname, step->name, strlen(step->name));
  return error < 0 ? failed(context, "setdomainname", step->name, error) : 0;
}
