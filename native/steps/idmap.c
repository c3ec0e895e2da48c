/* Id mappings: of a joined user namespace, and of mounts. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include <linux/fcntl.h>

/* The next number of a map at or behind `at`; the end of the text gives 0. */
static const char *next_number(const char *at, uint32_t *number) {
  *number = 0;
  while (*at == ' ' || *at == '\n') at++;
  return at + parse_number(at, 11, number);
}

static const char *next_mapping(const char *at, uint32_t mapping[3]) {
  for (int i = 0; i < 3; i++) at = next_number(at, &mapping[i]);
  return at;
}

/* Whether each mapping of `some` is one of `all`; a size of 0 is the end. The kernel keeps no order. */
static int includes(const char *all, const char *some) {
  for (;;) {
    uint32_t wanted[3], found[3];
    some = next_mapping(some, wanted);
    if (wanted[2] == 0) return 1;
    const char *at = all;
    do {
      at = next_mapping(at, found);
      if (found[2] == 0) return 0;
    } while (found[0] != wanted[0] || found[1] != wanted[1] || found[2] != wanted[2]);
  }
}

int step_check_id_map(struct context *context, const struct step_check_id_map *step) {
  static char map[16384]; /* 340 lines of at most 33 bytes, which the kernel pads */
  long fd = SYSCALL4(openat, AT_FDCWD, step->file, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "openat", step->file, fd);
  size_t used = 0;
  long got;
  while ((got = SYSCALL3(read, fd, map + used, sizeof map - 1 - used)) > 0) used += (size_t)got;
  close_fd((int)fd);
  if (got < 0) return failed(context, "read", step->file, got);
  map[used] = 0;
  if (includes(map, step->map) && includes(step->map, map)) return 0;
  return failed(context, "read", step->file, -EINVAL);
}
