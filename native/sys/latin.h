/* Bytes that need not be UTF-8, such as file names, cross the door as text in which each character is one byte. */
#pragma once
#include "sys/sys.h"

/* The bytes of such a text, terminated; -1 where they do not fit, or where a character is no byte. */
int latin_bytes(const char *text, char *bytes, size_t room);
/* The same of a text that may have NUL bytes, into as much room and one more; their number. */
int latin_value(struct sys_in text, char *bytes);
/* Such a text of bytes, behind what `out` has already. */
int64_t latin_add(struct sys_out *out, const void *bytes, size_t size);
