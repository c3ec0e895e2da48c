/* What a step answered, as it goes from init to the host side and from there to TypeScript (src/execute/report.ts). */
#pragma once
#include <stdint.h>

enum report_kind {
  REPORT_DONE = 1,   /* a step went well; sent when traced, or when the result says something */
  REPORT_FAILED = 2, /* a step failed; nothing of this program runs after it */
  REPORT_SYNC = 3,   /* init stands at the sync point in `result` */
  REPORT_PID = 4,    /* `result` is the pid, on the host, of the container process */
  REPORT_FD =
      5, /* from init: the descriptor sent along belongs into the slot in `result`. From the host side, at
                        the end: `step` says which (enum kept_fd) and `result` is the descriptor */
  REPORT_BROKEN = 6, /* the program does not follow the format */
};

enum kept_fd { KEPT_PIDFD, KEPT_CONTROL, KEPT_CONSOLE };

struct report {
  uint8_t kind, side; /* side: 0 host, 1 init */
  uint16_t detail;    /* bytes behind this struct: "call\0object\0message" */
  uint32_t step;      /* index in its program, from 0 */
  int32_t error;      /* 0 or a positive errno */
  int32_t result;
  uint64_t nanoseconds;
};
#define REPORT_DETAIL_MOST 8192
