/* How the kernel schedules the container process, set from outside. */
#include "base/syscall.h"
#include "base/text.h"
#include "host/host.h"

/* struct sched_attr of linux/sched/types.h, which libc headers define once more. */
struct scheduling {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t least, most;
};

int step_set_scheduler(struct context *context, const struct step_set_scheduler *step) {
  struct scheduling attributes = {
      .size = sizeof attributes,
      .policy = step->policy,
      .flags = step->flags,
      .nice = step->nice,
      .priority = step->priority,
      .runtime = step->runtime,
      .deadline = step->deadline,
      .period = step->period,
  };
  long error = SYSCALL3(sched_setattr, context->pid, &attributes, 0);
  return error < 0 ? failed(context, "sched_setattr", "", error) : 0;
}

int step_set_io_priority(struct context *context, const struct step_set_io_priority *step) {
  long error = SYSCALL3(ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, context->pid, step->value);
  return error < 0 ? failed(context, "ioprio_set", "", error) : 0;
}

int step_set_affinity(struct context *context, const struct step_set_affinity *step) {
  uint32_t all[256];
  const void *mask = step->cpus.list;
  size_t size = step->cpus.count * sizeof *step->cpus.list;
  if (size == 0) {
    memset(all, 0xff, sizeof all);
    mask = all;
    size = sizeof all;
  }
  long error = SYSCALL3(sched_setaffinity, step->own ? 0 : context->pid, size, mask);
  return error < 0 && !step->optional ? failed(context, "sched_setaffinity", "", error) : 0;
}
