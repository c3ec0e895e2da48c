#include "base/text.h"

struct text text_in(char *buffer, size_t size) {
  buffer[0] = 0;
  return (struct text){.start = buffer, .size = size};
}

void text_add_bytes(struct text *text, const char *piece, size_t length) {
  size_t room = text->size - 1 - text->used;
  if (length > room) {
    length = room;
    text->cut = 1;
  }
  memcpy(text->start + text->used, piece, length);
  text->used += length;
  text->start[text->used] = 0;
}

void text_add(struct text *text, const char *piece) {
  text_add_bytes(text, piece, strlen(piece));
}

void text_add_number(struct text *text, int64_t number) {
  char digits[24];
  size_t at = sizeof digits;
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do {
    digits[--at] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (number < 0) digits[--at] = '-';
  text_add_bytes(text, digits + at, sizeof digits - at);
}

size_t parse_number(const char *text, size_t length, uint32_t *number) {
  uint64_t value = 0;
  size_t at = 0;
  for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
    value = value * 10 + (uint64_t)(text[at] - '0');
    if (value > UINT32_MAX) return 0;
  }
  *number = (uint32_t)value;
  return at;
}
