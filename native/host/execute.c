#include "base/syscall.h"
#include "base/text.h"
#include "gen/host_steps.gen.h"
#include "host/host.h"
#include <stdlib.h>

int log_report(struct host *host, struct report head, const char *detail) {
  size_t size = sizeof head + head.detail;
  if (host->log_used + size > host->log_size) {
    size_t wanted = (host->log_size + size) * 2 + 4096;
    char *larger = realloc(host->log, wanted);
    if (larger == NULL) return -ENOMEM;
    host->log = larger;
    host->log_size = wanted;
  }
  memcpy(host->log + host->log_used, &head, sizeof head);
  memcpy(host->log + host->log_used + sizeof head, detail, head.detail);
  host->log_used += size;
  return 0;
}

static void log_failure(struct host *host, enum report_kind kind, uint32_t step, long error, uint64_t time) {
  char buffer[REPORT_DETAIL_MOST];
  struct context *context = &host->context;
  struct text detail = text_in(buffer, sizeof buffer);
  text_add(&detail, context->call == NULL ? "" : context->call);
  text_add_bytes(&detail, "", 1);
  text_add(&detail, context->object);
  text_add_bytes(&detail, "", 1);
  text_add(&detail, context->message);
  struct report head = {
      .kind = (uint8_t)kind,
      .detail = (uint16_t)detail.used,
      .step = step,
      .error = (int32_t)-error,
      .result = context->result,
      .nanoseconds = time,
  };
  host->told = log_report(host, head, buffer) == 0;
}

static uint32_t count_zeros(const char *pool, size_t size) {
  uint32_t count = 0;
  for (size_t i = 0; i < size; i++) count += pool[i] == 0;
  return count;
}

/* One step of the program: decoded, its length checked against what the table says, and run if asked to. */
static int next_step(struct context *context, struct program *program, int run) {
  uint32_t code = take_u32(program), length = take_u32(program);
  const uint32_t *fields = program->words;
  char **pointers = program->pointers;
  int error = program->broken ? 0 : dispatch(context, program, code, run);
  if ((size_t)(program->words - fields) != length) program->broken = 1;
  if (!run) program->pointers = pointers;
  return error;
}

/* The whole program is read once before any of it runs: a step of the wrong length would shift all that follow. */
static int check_program(struct host *host, struct program program) {
  uint32_t index = 0;
  for (; program.words < program.words_end; index++) {
    next_step(&host->context, &program, 0);
    if (program.broken) break;
  }
  if (!program.broken && program.pool == program.pool_end && program.blob == program.blob_end) return 0;
  log_failure(host, REPORT_BROKEN, index, -EPROTO, 0);
  return -EPROTO;
}

int run_program(struct host *host, struct streams streams) {
  size_t room = count_zeros(streams.pool, streams.pool_size) + streams.word_count + 1;
  char *pool = malloc(streams.pool_size + 1);
  char **pointers = calloc(room, sizeof *pointers);
  int result = pool == NULL || pointers == NULL ? -ENOMEM : 0;
  if (result == 0) memcpy(pool, streams.pool, streams.pool_size);
  struct program program = {
      .words = streams.words,
      .words_end = streams.words + streams.word_count,
      .pool = pool,
      .pool_end = pool + streams.pool_size,
      .blob = streams.blob,
      .blob_end = streams.blob + streams.blob_size,
      .pointers = pointers,
      .pointers_end = pointers + room,
  };
  struct context *context = &host->context;
  if (result == 0) result = check_program(host, program);
  for (uint32_t index = 0; result == 0 && program.words < program.words_end; index++) {
    uint64_t start = host->traced ? now() : 0;
    context->result = 0;
    context->call = NULL;
    context->object[0] = context->message[0] = 0;
    int error = next_step(context, &program, 1);
    uint64_t time = host->traced ? now() - start : 0;
    if (program.broken) {
      log_failure(host, REPORT_BROKEN, index, -EPROTO, 0);
      result = -EPROTO;
    } else if (error < 0) {
      if (!host->told) log_failure(host, REPORT_FAILED, index, error, time);
      result = error;
    } else if (host->traced || context->result != 0) {
      result = log_report(
          host,
          (struct report){.kind = REPORT_DONE, .step = index, .result = context->result, .nanoseconds = time},
          "");
    }
  }
  if (result < 0) kill_init(context);
  free(pool);
  free(pointers);
  return result;
}
