#include "sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *call_name = "";
static char path_name[4200];

const char *sys_failed_path(void) {
  return path_name;
}
const char *sys_failed_call(void) {
  return call_name;
}

int64_t sys_fail_with(const char *call, const char *path, int error) {
  call_name = call;
  snprintf(path_name, sizeof path_name, "%s", path);
  return -(int64_t)error;
}

int64_t sys_fail(const char *call, const char *path) {
  return sys_fail_with(call, path, errno);
}

int64_t sys_give(struct sys_out *out, const void *data, size_t size) {
  out->data = malloc(size + 1);
  if (out->data == NULL) return sys_fail_with("malloc", "", ENOMEM);
  memcpy(out->data, data, size);
  ((char *)out->data)[size] = 0;
  out->size = size;
  return 0;
}

int64_t sys_give_numbers(struct sys_out *out, const double *numbers, size_t count) {
  return sys_give(out, numbers, count * sizeof *numbers);
}
