/* What steps share while a program runs. */
#pragma once
#include "gen/steps.gen.h"
#include "plan/report.h"
#include <stdint.h>

#define KEPT_MOST 512 /* detached mounts that wait for their place */

struct context {
  int slots[SLOT_COUNT]; /* descriptors, -1 where empty */
  int control;           /* the socket between host side and init */
  int pid;               /* host side: init, and once it is made the container process */
  int pidfd;             /* of pid, or -1 */
  int32_t result;        /* of the step that runs; reported where it is not 0 */
  int32_t umask;         /* of a hook, or -1 where it is the process's own */
  int prepared;          /* nothing is left to do before execve(2) */
  uint32_t preserve_fds; /* descriptors from 3 on that belong to the container */
  /* Why the step failed: the system call, what it was about, and what the kernel or a hook said. */
  const char *call;
  char object[4200];
  char message[2048];
  char executable[4200]; /* what find_executable found */
  int kept[KEPT_MOST];   /* detached mounts, each from keep_mount to take_mount */
};

/* Notes which call failed and on what; returns `error` unchanged, so that a step can end with it. */
int failed(struct context *context, const char *call, const char *object, long error);

/* Puts a descriptor into a slot, closing what was there. */
void fill_slot(struct context *context, enum slot slot, int fd);

/* A slot that the table numbered; -EBADF as a descriptor where the number is none. */
int slot_of(struct context *context, uint32_t slot);

void close_fd(int fd);
uint64_t now(void); /* nanoseconds, CLOCK_MONOTONIC */
int write_all(int fd, const void *data, size_t size);
int read_all(int fd, void *data, size_t size); /* 0, -EPIPE at an early end, or a negative errno */

/* The mask of the signals that ask a process to end: HUP, INT, QUIT and TERM. */
uint64_t ending_signals(void);

/* Every signal at its default action and none blocked, as a new program expects it: execve(2) keeps ignored ones ignored. */
void reset_signals(void);
