/* What init can set for itself only, and its program inherits: execution domain and memory policy. */
#include "base/syscall.h"
#include "steps/context.h"

int step_set_personality(struct context *context, const struct step_set_personality *step) {
  long error = SYSCALL1(personality, step->persona);
  return error < 0 ? failed(context, "personality", "", error) : 0;
}

int step_set_memory_policy(struct context *context, const struct step_set_memory_policy *step) {
  /* The kernel takes one bit less than it is told (mm/mempolicy.c, get_nodes). */
  unsigned long bits = step->nodes.count == 0 ? 0 : step->nodes.count * 32ul + 1;
  long error = SYSCALL3(set_mempolicy, step->mode | step->flags, bits == 0 ? NULL : step->nodes.list, bits);
  return error < 0 ? failed(context, "set_mempolicy", "", error) : 0;
}
