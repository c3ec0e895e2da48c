/* The door's way into the executor. */
#include "gen/sys.gen.h"
#include "host/host.h"
#include <errno.h>
#include <stdlib.h>

static struct streams streams_of(struct sys_in words, struct sys_in pool, struct sys_in blob) {
  return (struct streams){words.data, words.size / 4, pool.data, pool.size, blob.data, blob.size};
}

/* Descriptors that outlive the program are handed to TypeScript; the others are closed. */
static int hand_over(struct host *host) {
  struct context *context = &host->context;
  int error = log_report(host, (struct report){.kind = REPORT_PID, .result = context->pid}, "");
  int kept[] = {[KEPT_PIDFD] = context->pidfd,
                [KEPT_CONTROL] = context->control,
                [KEPT_CONSOLE] = context->slots[SLOT_CONSOLE]};
  for (uint32_t which = 0; which < 3 && error == 0; which++)
    if (kept[which] >= 0)
      error = log_report(host, (struct report){.kind = REPORT_FD, .step = which, .result = kept[which]}, "");
  context->slots[SLOT_CONSOLE] = -1;
  return error;
}

int64_t sys_execute(struct sys_in words, struct sys_in pool, struct sys_in blob, struct sys_in init_words,
                    struct sys_in init_pool, struct sys_in init_blob, uint32_t traced, struct sys_out *out) {
  struct host *host = calloc(1, sizeof *host);
  if (host == NULL) return sys_fail_with("malloc", "", ENOMEM);
  for (int slot = 0; slot < SLOT_COUNT; slot++) host->context.slots[slot] = -1;
  host->context.control = host->context.pidfd = host->context.umask = -1;
  host->traced = traced != 0;
  host->init = streams_of(init_words, init_pool, init_blob);
  int error = run_program(host, streams_of(words, pool, blob));
  if (error == 0 && host->context.pid > 0) {
    error = hand_over(host);
    if (error < 0) kill_init(&host->context);
  }
  for (int slot = 0; slot < SLOT_COUNT; slot++) close_fd(host->context.slots[slot]);
  /* Without memory even the failure may be missing in the log, which then would read as success. */
  int lost = error < 0 && !host->told;
  *out = (struct sys_out){host->log, host->log_used};
  free(host);
  if (lost) return sys_fail_with("malloc", "", ENOMEM);
  return out->data == NULL ? sys_give(out, "", 0) : 0;
}
