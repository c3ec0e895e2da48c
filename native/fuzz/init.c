/* init's reader, with its system calls led to the bytes under test. */
#include "base/syscall.h"
#include <setjmp.h>

static long fuzz_syscall(long number, long a, long b, long c, long d, long e, long f);
#define raw_syscall fuzz_syscall
#define step_run_hook init_step_run_hook /* the host side has one of the same name */
#include "init/main.c"
#include "steps/context.c"
#undef raw_syscall
#include "fuzz/fuzz.h"

static const uint8_t *input;
static size_t input_size, input_at;
static uint8_t answer[65536];
static size_t answer_size;
static void *memory;
static jmp_buf ended;

static long fuzz_syscall(long number, long a, long b, long c, long d, long e, long f) {
  (void)a, (void)d, (void)e, (void)f;
  switch (number) {
  case __NR_read: {
    size_t left = input_size - input_at, size = (size_t)c < left ? (size_t)c : left;
    memcpy((void *)b, input + input_at, size);
    input_at += size;
    return (long)size;
  }
  case __NR_sendto:
    if (answer_size + (size_t)c > sizeof answer) fuzz_die("an answer without end");
    memcpy(answer + answer_size, (void *)b, (size_t)c);
    answer_size += (size_t)c;
    return c;
  case __NR_mmap: memory = fuzz_allocate((size_t)b); return (long)memory;
  case __NR_exit_group: longjmp(ended, 1);
  default: fuzz_die("a system call that reading a program does not need"); return -ENOSYS;
  }
}

/* As a program is read while it runs: the lists of all steps stay, one behind the other. */
static void read_on(struct program *program) {
  while (!program->broken && program->words < program->words_end) {
    uint32_t code = take_u32(program);
    take_u32(program);
    if (!program->broken) dispatch(&context, program, code, 0);
  }
}

enum verdict init_reads(const uint8_t *data, size_t size) {
  struct program_header header;
  volatile int accepted = 0;
  input = data;
  input_size = size;
  input_at = answer_size = waiting = 0;
  current = 0;
  memory = NULL;
  if (setjmp(ended) == 0) {
    struct program program = receive(&header), check = program;
    for (current = 0; current < header.steps; current++) next_step(&check, 0);
    if (check.words != check.words_end || check.pool != check.pool_end || check.blob != check.blob_end)
      give_up(REPORT_BROKEN, -EPROTO, 0);
    accepted = 1;
    read_on(&program);
    if (program.broken) fuzz_die("a program that was checked is broken when it is run");
  }
  fuzz_free(memory);
  if (accepted) return ACCEPTED;
  if (answer_size > 0) {
    fuzz_check_report(answer, answer_size);
    return REFUSED;
  }
  if (input_at != input_size) fuzz_die("given up without a report");
  return CUT_OFF;
}

void init_reads_apart(struct program program) {
  read_on(&program);
}
