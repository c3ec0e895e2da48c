/* The host side: runs its program inside the engine's process, and starts and hears init. */
#pragma once
#include "steps/context.h"
#include <stddef.h>
#include <stdint.h>

/* The streams of a program, as TypeScript encodes them (src/execute/encode.ts). */
struct streams {
  const uint32_t *words;
  size_t word_count;
  const char *pool;
  size_t pool_size;
  const uint8_t *blob;
  size_t blob_size;
};

struct host {
  struct context context;
  struct streams init; /* what launch sends */
  int traced;
  int told;  /* the log says what failed */
  char *log; /* reports, in the order in which they came */
  size_t log_used, log_size;
};

/* The host that runs `context`. */
static inline struct host *host_of(struct context *context) {
  return (struct host *)(void *)context;
}

/* Adds a report to the log; -ENOMEM where memory is out. */
int log_report(struct host *host, struct report head, const char *detail);

/* Runs the host program to its end or to its first failure, after which init is killed. The log says what happened. */
int run_program(struct host *host, struct streams program);

/* Kills and reaps what launch started, if it did. */
void kill_init(struct context *context);

/* An unnamed, sealed copy of tsrun-init (memfd_create(2)); made once per process. */
int init_image(struct context *context);
