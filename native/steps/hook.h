/* Hooks, on either side. */
#pragma once
#include "steps/context.h"

/* Runs the hook in a child of this process. `pid` is what its state shows. 0; -ETIMEDOUT; -ECANCELED when it ended badly
   (the result is its wait status, the message the end of what it wrote to standard error); or a negative errno. */
int run_hook(struct context *context, const struct step_run_hook *step, int pid);

/* Opens a file to which hooks print, made if missing: a descriptor, -1 for an empty path, or another negative errno (noted;
   EPERM is told as EACCES). */
int open_hook_file(struct context *context, const char *path);
