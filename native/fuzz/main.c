/* Feeds tsrun-init's reader, and the host side's, programs that are wrong in every way. Nothing that is read is run: only
   the pass that checks a program is under test. Each program is the bytes that launch sends: header, words, pool, blob.

     fuzz SECONDS SEED [FILE...]   each file as it is, then changes of them, the same ones for the same seed */
#include "fuzz/fuzz.h"
#include "gen/steps.gen.h"
#include "plan/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 65536

static uint8_t input[MOST];
static size_t input_size;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void fuzz_die(const char *why) {
  fprintf(stderr, "fuzz: %s\n", why);
  abort();
}

void *fuzz_allocate(size_t size) {
  void *block = calloc(1, size);
  if (block == NULL) fuzz_die("out of memory");
  return block;
}

void fuzz_free(void *block) {
  free(block);
}

void *fuzz_copy(const void *data, size_t size) {
  void *copy = fuzz_allocate(size);
  if (size > 0) memcpy(copy, data, size);
  return copy;
}

void fuzz_check_report(const uint8_t *bytes, size_t size) {
  struct report head;
  if (size < sizeof head) fuzz_die("no report");
  memcpy(&head, bytes, sizeof head);
  if (head.kind != REPORT_BROKEN || size != sizeof head + head.detail || head.error <= 0)
    fuzz_die("another report than REPORT_BROKEN");
}

static void dump(void) {
  fprintf(stderr, "fuzz: this program did it:\n");
  for (size_t i = 0; i < input_size; i++) fprintf(stderr, "%02x%s", input[i], i % 32 == 31 ? "\n" : "");
  fprintf(stderr, "\n");
}

static unsigned long tried, verdicts[3], host_accepted;

/* The streams again, each in memory of its own, and of the sizes that the header claims as far as there are bytes. */
static void read_apart(void) {
  struct program_header header;
  if (input_size < sizeof header) return;
  memcpy(&header, input, sizeof header);
  size_t at = sizeof header, sizes[3] = {header.words, header.pool, header.blob};
  const uint8_t *starts[3];
  for (int i = 0; i < 3; i++) {
    size_t left = input_size - at, most = i == 0 ? left / 4 : left;
    if (sizes[i] > most) sizes[i] = most;
    starts[i] = input + at;
    at += i == 0 ? sizes[i] * 4 : sizes[i];
  }
  uint32_t *words = fuzz_copy(starts[0], sizes[0] * 4); /* the input is not aligned */
  host_accepted +=
      (unsigned long)host_accepts(words, sizes[0], (const char *)starts[1], sizes[1], starts[2], sizes[2]);

  size_t room = (size_t)header.strings % 4096 + (size_t)header.steps % 4096 + 1;
  struct program program = {
      .words = words, .pool = fuzz_copy(starts[1], sizes[1]), .blob = fuzz_copy(starts[2], sizes[2])};
  program.words_end = words + sizes[0];
  program.pool_end = program.pool + sizes[1];
  program.blob_end = program.blob + sizes[2];
  program.pointers = malloc(room * sizeof *program.pointers);
  program.pointers_end = program.pointers + room;
  init_reads_apart(program);
  free(words);
  free(program.pool);
  free((void *)(uintptr_t)program.blob);
  free(program.pointers);
}

static void try_input(void) {
  tried++;
  verdicts[init_reads(input, input_size)]++;
  read_apart();
}

/* --- changes ------------------------------------------------------------------------------------------------------- */

static uint64_t state;

static uint32_t random_below(uint32_t end) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return end == 0 ? 0 : (uint32_t)(state >> 16) % end;
}

static uint32_t random_word(void) {
  static const uint32_t edges[] = {0,          1,       2,         0x7fffffff, 0x80000000, 0xfffffffe,
                                   0xffffffff, 0x10000, 0x1000000, 0x3fffffff, 0x40000000};
  switch (random_below(4)) {
  case 0: return edges[random_below(sizeof edges / sizeof *edges)];
  case 1: return random_below(0xffffffff);
  default: return random_below(80); /* codes, lengths, counts */
  }
}

/* Sizes and counts as a sender would have them, so that the change is found in the streams and not before. */
static void mend_header(void) {
  struct program_header header;
  if (input_size < sizeof header) return;
  memcpy(&header, input, sizeof header);
  header.magic = PROGRAM_MAGIC;
  header.version = PLAN_VERSION;
  size_t left = input_size - sizeof header;
  if (header.words > left / 4) header.words = (uint32_t)(left / 4);
  left -= (size_t)header.words * 4;
  if (header.pool > left) header.pool = (uint32_t)left;
  header.blob = (uint32_t)(left - header.pool);
  const uint8_t *words = input + sizeof header, *pool = words + (size_t)header.words * 4;
  header.strings = header.steps = 0;
  for (uint32_t i = 0; i < header.pool; i++) header.strings += pool[i] == 0;
  for (size_t at = 0; at + 1 < header.words; header.steps++) {
    uint32_t length;
    memcpy(&length, words + at * 4 + 4, 4);
    at += 2 + (size_t)length;
  }
  memcpy(input, &header, sizeof header);
}

static void put_word(uint32_t at, uint32_t word) {
  if ((size_t)at * 4 + 4 <= input_size) memcpy(input + (size_t)at * 4, &word, 4);
}

static void change(void) {
  uint32_t size = (uint32_t)input_size, at = random_below(size);
  switch (random_below(9)) {
  case 0:
    if (size > 0) input[at] ^= (uint8_t)(1 << random_below(8));
    break;
  case 1:
    if (size > 0) input[at] = (uint8_t)random_below(256);
    break;
  case 2:
  case 3: put_word(random_below(size / 4), random_word()); break;
  case 4: /* in the header */ put_word(random_below(sizeof(struct program_header) / 4), random_word()); break;
  case 5: /* in the first steps, which most readers reach */
    put_word((uint32_t)(sizeof(struct program_header) / 4) + random_below(24), random_word());
    break;
  case 6: input_size = at; break;
  case 7: {
    uint32_t more = random_below(64);
    for (; more > 0 && input_size < MOST; more--)
      input[input_size++] = (uint8_t)(random_below(3) == 0 ? random_below(256) : 0);
    break;
  }
  default: {
    uint32_t length = random_below(size - at < 64 ? size - at : 64), to = random_below(size - length);
    memmove(input + to, input + at, length);
  }
  }
}

/* Steps with any code and any words: what no change of a good program would come to. */
static void invent(void) {
  struct program_header header = {
      .words = 2 + random_below(60), .pool = random_below(200), .blob = random_below(40), .gate = -1};
  input_size = sizeof header + (size_t)header.words * 4 + header.pool + header.blob;
  for (size_t i = sizeof header; i < input_size; i++)
    input[i] = (uint8_t)(random_below(4) == 0 ? 0 : random_below(256));
  memcpy(input, &header, sizeof header);
  for (uint32_t i = 0; i < header.words; i++) put_word((uint32_t)(sizeof header / 4) + i, random_word());
}

static struct {
  uint8_t *data;
  size_t size;
} seeds[256];
static uint32_t seed_count;

static void load(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || seed_count == sizeof seeds / sizeof *seeds) fuzz_die("a file that cannot be read");
  input_size = fread(input, 1, sizeof input, file);
  fclose(file);
  seeds[seed_count].data = fuzz_copy(input, input_size);
  seeds[seed_count++].size = input_size;
  try_input();
}

extern void __sanitizer_set_death_callback(void (*callback)(void));

int main(int argc, char **argv) {
  if (argc < 3) fuzz_die("usage: fuzz SECONDS SEED [FILE...]");
  __sanitizer_set_death_callback(dump);
  for (int i = 3; i < argc; i++) load(argv[i]);
  unsigned long of_files = verdicts[ACCEPTED];
  uint64_t seconds = strtoull(argv[1], NULL, 10), end = now() + seconds * 1000000000ull;
  state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
  while (seconds > 0 && (tried % 256 != 0 || now() < end)) {
    if (seed_count == 0 || random_below(8) == 0) {
      invent();
    } else {
      uint32_t which = random_below(seed_count);
      input_size = seeds[which].size;
      memcpy(input, seeds[which].data, input_size);
      for (uint32_t changes = 1 + random_below(6); changes > 0; changes--) change();
    }
    if (random_below(3) != 0) mend_header();
    try_input();
  }
  printf("{\"files\": %u, \"filesAccepted\": %lu, \"tried\": %lu, \"accepted\": %lu, \"refused\": %lu, "
         "\"cutOff\": %lu, \"hostAccepted\": %lu}\n",
         seed_count, of_files, tried, verdicts[ACCEPTED], verdicts[REFUSED], verdicts[CUT_OFF],
         host_accepted);
  return 0;
}
