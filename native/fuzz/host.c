/* The host side's reader, on streams that each have a block of memory of their own. */
#include "fuzz/fuzz.h"

#define dispatch host_dispatch
#include "host/execute.c"

/* What launch would start; nothing is launched here. */
const char tsrun_init_start[1], tsrun_init_end[1];

int host_accepts(const uint32_t *words, size_t word_count, const char *pool, size_t pool_size,
                 const uint8_t *blob, size_t blob_size) {
  static struct host host;
  size_t room = count_zeros(pool, pool_size) + word_count + 1;
  struct program program = {.words = fuzz_copy(words, word_count * 4),
                            .pool = fuzz_copy(pool, pool_size),
                            .blob = fuzz_copy(blob, blob_size)};
  program.words_end = program.words + word_count;
  program.pool_end = program.pool + pool_size;
  program.blob_end = program.blob + blob_size;
  program.pointers = malloc(room * sizeof *program.pointers);
  program.pointers_end = program.pointers + room;
  host.log_used = 0;
  int accepted = check_program(&host, program) == 0;
  if (!accepted) fuzz_check_report((const uint8_t *)host.log, host.log_used);
  /* As it is read while it runs: the lists of all steps stay, one behind the other. */
  for (struct program again = program; !again.broken && again.words < again.words_end;) {
    uint32_t code = take_u32(&again);
    take_u32(&again);
    if (!again.broken) host_dispatch(&host.context, &again, code, 0);
  }
  free((void *)(uintptr_t)program.words);
  free(program.pool);
  free((void *)(uintptr_t)program.blob);
  free(program.pointers);
  return accepted;
}
