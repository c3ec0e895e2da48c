/* Hooks, on either side. */
#pragma once
#include "steps/context.h"

/* Runs the hook in a child of this process. `pid` is what its state shows. 0; -ETIMEDOUT; -ECANCELED when it ended badly
   (the result is its wait status, the message the end of what it wrote to standard error); or a negative errno. */
int run_hook(struct context *context, const struct step_run_hook *step, int pid);
