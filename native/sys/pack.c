/* A tar stream that is compressed, hashed and written while it is made. */
#include "gen/sys.gen.h"
#include "sys/latin.h"
#include "sys/sha256.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER ((size_t)128 << 10)
#define PACKS 8

struct pack {
  int fd;
  z_stream deflate;
  struct sha256 blob, content;
  uint8_t out[BUFFER];
};

static struct pack *packs[PACKS];

static struct pack *find_pack(int32_t handle) {
  if (handle >= 0 && handle < PACKS && packs[handle] != NULL) return packs[handle];
  sys_fail_with("pack", "", EBADF);
  return NULL;
}

int64_t sys_pack_open(int32_t fd) {
  int32_t handle = 0;
  while (handle < PACKS && packs[handle] != NULL) handle++;
  if (handle == PACKS) return sys_fail_with("pack", "", EMFILE);
  struct pack *pack = calloc(1, sizeof *pack);
  if (pack == NULL) return sys_fail_with("malloc", "", ENOMEM);
  pack->fd = fd;
  sha256_start(&pack->blob);
  sha256_start(&pack->content);
  /* 15: the largest window; 16 more: a gzip header. */
  if (deflateInit2(&pack->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    free(pack);
    return sys_fail_with("malloc", "", ENOMEM);
  }
  packs[handle] = pack;
  return handle;
}

static int64_t write_out(struct pack *pack) {
  const uint8_t *at = pack->out;
  size_t size = BUFFER - pack->deflate.avail_out;
  sha256_add(&pack->blob, at, size);
  while (size > 0) {
    ssize_t written = write(pack->fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return sys_fail("write", "");
    at += written;
    size -= (size_t)written;
  }
  return 0;
}

static int64_t add(struct pack *pack, const void *bytes, size_t size, int flush) {
  z_stream *z = &pack->deflate;
  sha256_add(&pack->content, bytes, size);
  z->next_in = (Bytef *)(uintptr_t)bytes;
  z->avail_in = (uInt)size;
  do {
    z->next_out = pack->out;
    z->avail_out = BUFFER;
    deflate(z, flush);
    int64_t error = write_out(pack);
    if (error < 0) return error;
  } while (z->avail_out == 0);
  return 0;
}

/* Zeros up to a whole block. */
static int64_t add_padding(struct pack *pack, uint64_t size) {
  static const uint8_t zeros[512];
  return add(pack, zeros, (size_t)(-size % 512), Z_NO_FLUSH);
}

int64_t sys_pack_text(int32_t handle, struct sys_in text) {
  struct pack *pack = find_pack(handle);
  if (pack == NULL) return -EBADF;
  char *bytes = malloc(text.size + 1);
  if (bytes == NULL) return sys_fail_with("malloc", "", ENOMEM);
  int size = latin_value(text, bytes);
  int64_t result = size < 0 ? sys_fail_with("pack", "", EILSEQ) : add(pack, bytes, (size_t)size, Z_NO_FLUSH);
  if (result == 0) result = add_padding(pack, (uint64_t)size);
  free(bytes);
  return result;
}

int64_t sys_pack_file(int32_t handle, int32_t fd, int64_t size) {
  struct pack *pack = find_pack(handle);
  if (pack == NULL) return -EBADF;
  uint8_t bytes[16 << 10];
  for (uint64_t left = (uint64_t)size; left > 0;) {
    ssize_t got = read(fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_fail("read", "");
    /* A file that shrinks meanwhile would shift all that follows. */
    if (got == 0) return sys_fail_with("read", "", ENODATA);
    int64_t error = add(pack, bytes, (size_t)got, Z_NO_FLUSH);
    if (error < 0) return error;
    left -= (uint64_t)got;
  }
  return add_padding(pack, (uint64_t)size);
}

int64_t sys_pack_finish(int32_t handle, struct sys_out *out) {
  struct pack *pack = find_pack(handle);
  if (pack == NULL) return -EBADF;
  static const uint8_t end[1024];
  int64_t error = add(pack, end, sizeof end, Z_FINISH);
  if (error < 0) return error;
  char digests[2][65] = {0};
  sha256_end(&pack->blob, digests[0]);
  sha256_end(&pack->content, digests[1]);
  return sys_give(out, digests, sizeof digests);
}

int64_t sys_pack_close(int32_t handle) {
  struct pack *pack = find_pack(handle);
  if (pack == NULL) return -EBADF;
  deflateEnd(&pack->deflate);
  free(pack);
  packs[handle] = NULL;
  return 0;
}

int64_t sys_copy_at(int32_t from, int64_t offset, int64_t size, int32_t to) {
  off_t at = (off_t)offset;
  while (size > 0) {
    uint8_t bytes[16 << 10];
    ssize_t got = pread(from, bytes, size < (int64_t)sizeof bytes ? (size_t)size : sizeof bytes, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_fail("pread", "");
    if (got == 0) return sys_fail_with("pread", "", ENODATA);
    for (ssize_t done = 0; done < got;) {
      ssize_t written = write(to, bytes + done, (size_t)(got - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return sys_fail("write", "");
      done += written;
    }
    at += got;
    size -= got;
  }
  return 0;
}
