/* What the two readers under test and their driver share. The C library's headers and the kernel's do not go together,
   so each reader has a file of its own. */
#pragma once
#include "plan/program.h"

enum verdict { ACCEPTED, REFUSED, CUT_OFF };

/* As init reads a program that comes in at its socket. */
enum verdict init_reads(const uint8_t *data, size_t size);

/* As init's steps are decoded, from streams that each have memory of their own. */
void init_reads_apart(struct program program);

/* Whether the host side would run the program. */
int host_accepts(const uint32_t *words, size_t word_count, const char *pool, size_t pool_size,
                 const uint8_t *blob, size_t blob_size);

/* Ends the program unless these bytes are the one report that a broken program gets. */
void fuzz_check_report(const uint8_t *report, size_t size);

/* A block of exactly this size, so that AddressSanitizer sees a read of the first byte behind it. */
void *fuzz_copy(const void *data, size_t size);
void *fuzz_allocate(size_t size);
void fuzz_free(void *block);
void fuzz_die(const char *why);
