/* A program as native/plan.table.mjs describes it: three streams, read in step and with bounds. A read past the end of a
   stream gives nothing and marks the program as broken; whoever runs it looks at the mark before acting. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct strings {
  uint32_t count;
  char **list; /* count strings and a NULL behind them, as execve(2) takes it */
};
struct words {
  uint32_t count;
  const uint32_t *list;
};
struct bytes {
  uint32_t size;
  const uint8_t *data;
};

struct program {
  const uint32_t *words, *words_end;
  char *pool, *pool_end;
  const uint8_t *blob, *blob_end;
  char **pointers,
      **pointers_end; /* room for the lists of `strs` fields: a pointer for each string and each step */
  int broken;
};

/* What stands before the streams when a program is sent to init; the streams follow in this order. */
struct program_header {
  uint32_t magic, version;
  uint32_t words, pool, blob; /* sizes: words in u32, the others in bytes */
  uint32_t strings, steps;
  uint32_t traced;
  int32_t gate; /* descriptor numbers that init inherits, -1 where there is none */
  int32_t preserve_fds;
  int32_t process; /* the pidfd that join_process uses */
};
#define PROGRAM_MAGIC 0x50525354u /* "TSRP" */
#define PROGRAM_MOST (16u << 20)  /* bytes; far above what execve(2) takes */

uint32_t take_u32(struct program *program);
int32_t take_i32(struct program *program);
uint64_t take_u64(struct program *program);
const char *take_str(struct program *program);
struct strings take_strs(struct program *program);
struct words take_u32s(struct program *program);
struct bytes take_bytes(struct program *program);
