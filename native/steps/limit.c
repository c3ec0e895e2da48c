/* Resource limits, of the container process from outside or of init by itself. */
#include "base/syscall.h"
#include "steps/context.h"

int step_set_rlimit(struct context *context, const struct step_set_rlimit *step) {
  uint64_t limit[2] = {step->soft, step->hard};
  /* Inside init `pid` is 0, which stands for the caller. */
  long error = SYSCALL4(prlimit64, context->pid, step->resource, limit, 0);
  return error < 0 ? failed(context, "prlimit64", "", error) : 0;
}
