/* What the functions behind the sys door take and give. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sys_in {
  const void *data;
  size_t size; /* bytes; of a words argument too */
};

/* A result: bytes and text as they are; strs NUL-terminated one behind the other; nums as doubles. malloc(3)ed. */
struct sys_out {
  void *data;
  size_t size;
};

/* Each function returns a number or 0, or a negative errno. On failure sys_failed_path() is what it was about. */
const char *sys_failed_path(void);
const char *sys_failed_call(void);
int64_t sys_fail(const char *call, const char *path); /* notes them and returns -errno */
int64_t sys_fail_with(const char *call, const char *path, int error);

int64_t sys_give(struct sys_out *out, const void *data, size_t size); /* a copy */
int64_t sys_give_numbers(struct sys_out *out, const double *numbers, size_t count);

/* The arguments of the process, for engines that do not keep them elsewhere. */
void sys_set_args(int argc, char **argv);

/* In a copy of the process: signals do again what they do by default. */
void sys_forget_signals(void);
