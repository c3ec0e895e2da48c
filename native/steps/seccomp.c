/* linux.seccomp: the filter that TypeScript compiled. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include "steps/send.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

int step_load_seccomp(struct context *context, const struct step_load_seccomp *step) {
  /* The blob of a plan is packed: what stands before the program may have any length. */
  static struct sock_filter aligned[BPF_MAXINSNS];
  if (step->program.size > sizeof aligned || step->program.size % sizeof *aligned != 0)
    return failed(context, "seccomp", "", -EINVAL);
  memcpy(aligned, step->program.data, step->program.size);
  struct sock_fprog program = {.len = (unsigned short)(step->program.size / sizeof *aligned),
                               .filter = aligned};
  /* From here on a call may wait for the agent, which has nothing to answer with before the host side has sent it the
     listener: what waits to be reported goes first, and sendmsg(2) is the only call between here and there. */
  if (step->listen) flush_reports();
  long answer = SYSCALL3(seccomp, SECCOMP_SET_MODE_FILTER, step->flags, &program);
  if (answer < 0) return failed(context, "seccomp", "", answer);
  if (!step->listen) return 0;
  int error = send_descriptor(context, SLOT_LISTENER, (int)answer);
  close_fd((int)answer);
  return error;
}
