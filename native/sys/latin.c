#include "sys/latin.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int latin_bytes(const char *text, char *bytes, size_t room) {
  size_t used = 0;
  for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
    if (used + 1 >= room) return -1;
    if (*at < 0x80) {
      bytes[used++] = (char)*at;
    } else {
      if ((*at != 0xc2 && *at != 0xc3) || (at[1] & 0xc0) != 0x80) return -1;
      bytes[used++] = (char)((*at & 3) << 6 | (at[1] & 0x3f));
      at++;
    }
  }
  bytes[used] = 0;
  return (int)used;
}

int latin_value(struct sys_in text, char *bytes) {
  size_t used = 0;
  for (const char *at = text.data, *end = at + text.size; at <= end; at += strlen(at) + 1) {
    int size = latin_bytes(at, bytes + used, text.size - used + 1);
    if (size < 0) return -1;
    /* Each stretch ends with a NUL of the text, but for the last, whose NUL is only the terminator. */
    used += (size_t)size + (at + strlen(at) < end);
  }
  return (int)used;
}

int64_t latin_add(struct sys_out *out, const void *bytes, size_t size) {
  char *data = realloc(out->data, out->size + 2 * size + 1);
  if (data == NULL) return sys_fail_with("malloc", "", ENOMEM);
  out->data = data;
  const unsigned char *from = bytes;
  for (size_t i = 0; i < size; i++) {
    if (from[i] < 0x80) {
      data[out->size++] = (char)from[i];
    } else {
      data[out->size++] = (char)(0xc0 | from[i] >> 6);
      data[out->size++] = (char)(0x80 | (from[i] & 0x3f));
    }
  }
  data[out->size] = 0;
  return 0;
}
