#include "plan/program.h"
#include "base/text.h"

uint32_t take_u32(struct program *program) {
  if (program->words == program->words_end) {
    program->broken = 1;
    return 0;
  }
  return *program->words++;
}

int32_t take_i32(struct program *program) {
  return (int32_t)take_u32(program);
}

uint64_t take_u64(struct program *program) {
  uint64_t low = take_u32(program);
  return low | (uint64_t)take_u32(program) << 32;
}

const char *take_str(struct program *program) {
  char *start = program->pool;
  size_t left = (size_t)(program->pool_end - start), length = 0;
  while (length < left && start[length] != 0) length++;
  if (length == left) {
    program->broken = 1;
    return "";
  }
  program->pool = start + length + 1;
  return start;
}

struct strings take_strs(struct program *program) {
  uint32_t count = take_u32(program);
  if (program->broken || count >= (size_t)(program->pointers_end - program->pointers)) {
    static char *none[1];
    program->broken = 1;
    return (struct strings){0, none};
  }
  struct strings strings = {count, program->pointers};
  for (uint32_t i = 0; i < count; i++) strings.list[i] = (char *)take_str(program);
  strings.list[count] = NULL;
  program->pointers += count + 1;
  return strings;
}

struct words take_u32s(struct program *program) {
  uint32_t count = take_u32(program);
  if (program->broken || count > (size_t)(program->words_end - program->words)) {
    program->broken = 1;
    return (struct words){0, program->words};
  }
  struct words words = {count, program->words};
  program->words += count;
  return words;
}

struct bytes take_bytes(struct program *program) {
  uint32_t size = take_u32(program);
  if (program->broken || size > (size_t)(program->blob_end - program->blob)) {
    program->broken = 1;
    return (struct bytes){0, program->blob};
  }
  struct bytes bytes = {size, program->blob};
  program->blob += size;
  return bytes;
}
