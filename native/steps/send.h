/* Handing a descriptor from init to the host side. */
#pragma once
#include "steps/context.h"

/* Sends what waits to be reported. */
void flush_reports(void);

/* Sends a REPORT_FD with the descriptor that the host side puts into its slot. */
int send_descriptor(struct context *context, enum slot slot, int fd);
