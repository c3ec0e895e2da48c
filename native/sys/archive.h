/* A tar stream that is read, inflated and hashed on a thread of its own while its reader takes it apart. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct archive;

struct archive *find_archive(int32_t handle);
/* The next bytes of the stream, at most `most` and at least one, which stay until the next call; 0 at the end, or a
   negative errno that is noted. */
int64_t archive_take(struct archive *archive, size_t most, const uint8_t **bytes);
/* Passes over what fills a block, up to the end of the stream. */
int64_t archive_pad(struct archive *archive, uint32_t size);
