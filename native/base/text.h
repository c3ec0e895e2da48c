/* The few memory and string functions that steps need. Inside init they come from init/libc.c, else from the C library. */
#pragma once
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);

/* A text that is put together in a buffer of fixed size; what does not fit is cut, and `cut` says so. */
struct text {
  char *start;
  size_t size, used;
  int cut;
};
struct text text_in(char *buffer, size_t size);
void text_add(struct text *text, const char *piece);
void text_add_bytes(struct text *text, const char *piece, size_t length);
void text_add_number(struct text *text, int64_t number);

/* The decimal number at the start of a text, and how many digits it has (0: none, or above 2^32 - 1). */
size_t parse_number(const char *text, size_t length, uint32_t *number);
