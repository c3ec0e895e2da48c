/* Layers: one thread reads, inflates and hashes, the caller's takes headers apart and writes files. Between them are a
   few chunks, so that neither waits for each small file of the other, and memory stays small. */
#include "sys/archive.h"
#include "gen/sys.gen.h"
#include "sys/latin.h"
#include "sys/sha256.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define CHUNK ((size_t)256 << 10)
#define CHUNKS 4u
#define INPUT ((size_t)128 << 10)
#define BLOCK ((size_t)512)
#define ARCHIVES 64
/* A frame may ask for a window of gigabytes; what compressors make unless told otherwise stays below. */
#define WINDOW_LOG 25

enum compression { PLAIN, GZIP, ZSTD };

struct failure {
  const char *call;
  int error;
};

struct archive {
  int fd;
  enum compression compression;
  uint64_t offset, left; /* of the blob in its file */
  uint64_t limit;        /* bytes that may still come out */
  struct sha256 blob, content;

  uint8_t *input;
  size_t input_at, input_end;
  z_stream inflate;
  ZSTD_DStream *zstd;
  int between; /* at the end of a gzip member or zstd frame */

  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  uint8_t *chunks[CHUNKS];
  size_t sizes[CHUNKS];
  unsigned written, taken; /* how many chunks so far */
  int ended, stopped;
  uint64_t read; /* of the blob */
  struct failure failure;

  size_t at; /* in the chunk that is being taken */
};

static struct archive *archives[ARCHIVES];

static int fail(struct archive *archive, const char *call, int error) {
  archive->failure = (struct failure){call, error};
  return -1;
}

/* 1 with input at hand, 0 at the end of the blob. */
static int fill_input(struct archive *archive) {
  if (archive->input_at < archive->input_end) return 1;
  size_t most = archive->left < INPUT ? (size_t)archive->left : INPUT;
  if (most == 0) return 0;
  ssize_t got;
  do got = pread(archive->fd, archive->input, most, (off_t)archive->offset);
  while (got < 0 && errno == EINTR);
  if (got < 0) return fail(archive, "pread", errno);
  if (got == 0) return fail(archive, "pread", ENODATA);
  sha256_add(&archive->blob, archive->input, (size_t)got);
  archive->offset += (uint64_t)got;
  archive->left -= (uint64_t)got;
  archive->input_at = 0;
  archive->input_end = (size_t)got;
  return 1;
}

static int64_t take_gzip(struct archive *archive, uint8_t *to, size_t room) {
  z_stream *z = &archive->inflate;
  if (archive->between && inflateReset(z) != Z_OK) return fail(archive, "inflate", EBADMSG);
  archive->between = 0;
  z->next_in = archive->input + archive->input_at;
  z->avail_in = (uInt)(archive->input_end - archive->input_at);
  z->next_out = to;
  z->avail_out = (uInt)room;
  int answer = inflate(z, Z_NO_FLUSH);
  archive->input_at = archive->input_end - z->avail_in;
  if (answer == Z_STREAM_END)
    archive->between = 1;
  else if (answer != Z_OK && answer != Z_BUF_ERROR)
    return fail(archive, "inflate", answer == Z_MEM_ERROR ? ENOMEM : EBADMSG);
  return (int64_t)(room - z->avail_out);
}

static int64_t take_zstd(struct archive *archive, uint8_t *to, size_t room) {
  ZSTD_inBuffer in = {archive->input, archive->input_end, archive->input_at};
  ZSTD_outBuffer out = {to, room, 0};
  size_t answer = ZSTD_decompressStream(archive->zstd, &out, &in);
  archive->input_at = in.pos;
  if (ZSTD_isError(answer))
    return fail(archive, "zstd",
                ZSTD_getErrorCode(answer) == ZSTD_error_frameParameter_windowTooLarge ? E2BIG : EBADMSG);
  archive->between = answer == 0;
  return (int64_t)out.pos;
}

static int64_t take_plain(struct archive *archive, uint8_t *to, size_t room) {
  size_t size = archive->input_end - archive->input_at;
  if (size > room) size = room;
  memcpy(to, archive->input + archive->input_at, size);
  archive->input_at += size;
  return (int64_t)size;
}

/* Bytes put into a chunk: less than its size only at the end of the stream. */
static int64_t fill_chunk(struct archive *archive, uint8_t *chunk) {
  size_t size = 0;
  while (size < CHUNK) {
    int more = fill_input(archive);
    if (more < 0) return more;
    if (more == 0) {
      if (archive->compression == PLAIN || archive->between) break;
      /* What a decompressor still holds comes out without new input. */
      size_t before = size;
      int64_t got = archive->compression == GZIP ? take_gzip(archive, chunk + size, CHUNK - size)
                                                 : take_zstd(archive, chunk + size, CHUNK - size);
      if (got < 0) return got;
      size += (size_t)got;
      if (size == before && !archive->between)
        return fail(archive, archive->compression == GZIP ? "inflate" : "zstd", ENODATA);
      continue;
    }
    int64_t got = archive->compression == GZIP   ? take_gzip(archive, chunk + size, CHUNK - size)
                  : archive->compression == ZSTD ? take_zstd(archive, chunk + size, CHUNK - size)
                                                 : take_plain(archive, chunk + size, CHUNK - size);
    if (got < 0) return got;
    size += (size_t)got;
  }
  if (size > archive->limit) return fail(archive, "limit", EFBIG);
  archive->limit -= size;
  sha256_add(&archive->content, chunk, size);
  return (int64_t)size;
}

static void *produce(void *given) {
  struct archive *archive = given;
  for (int64_t size = CHUNK; size == (int64_t)CHUNK;) {
    pthread_mutex_lock(&archive->mutex);
    while (archive->written - archive->taken == CHUNKS && !archive->stopped)
      pthread_cond_wait(&archive->changed, &archive->mutex);
    int stopped = archive->stopped;
    unsigned slot = archive->written % CHUNKS;
    pthread_mutex_unlock(&archive->mutex);
    if (stopped) break;
    uint64_t before = archive->left;
    size = fill_chunk(archive, archive->chunks[slot]);
    pthread_mutex_lock(&archive->mutex);
    archive->read += before - archive->left;
    if (size > 0) {
      archive->sizes[slot] = (size_t)size;
      archive->written++;
    }
    archive->ended = size != (int64_t)CHUNK;
    pthread_cond_signal(&archive->changed);
    pthread_mutex_unlock(&archive->mutex);
  }
  return NULL;
}

static void free_archive(struct archive *archive) {
  if (archive->compression == GZIP) inflateEnd(&archive->inflate);
  ZSTD_freeDStream(archive->zstd);
  for (unsigned i = 0; i < CHUNKS; i++) free(archive->chunks[i]);
  free(archive->input);
  free(archive);
}

/* Signals are for the thread that knows what to do about them. */
static int start_thread(struct archive *archive) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  int error = pthread_create(&archive->thread, NULL, produce, archive);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static int make_decompressor(struct archive *archive) {
  /* 15: the largest window; 16 more: a gzip header is wanted. */
  if (archive->compression == GZIP) return inflateInit2(&archive->inflate, 15 + 16) == Z_OK ? 0 : -1;
  if (archive->compression != ZSTD) return 0;
  archive->zstd = ZSTD_createDStream();
  if (archive->zstd == NULL) return -1;
  return ZSTD_isError(ZSTD_DCtx_setParameter(archive->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)) ? -1 : 0;
}

int64_t sys_archive_open(int32_t fd, int64_t offset, int64_t size, uint32_t compression, int64_t limit) {
  int32_t handle = 0;
  while (handle < ARCHIVES && archives[handle] != NULL) handle++;
  if (handle == ARCHIVES) return sys_fail_with("archive", "", EMFILE);
  struct archive *archive = calloc(1, sizeof *archive);
  if (archive == NULL) return sys_fail_with("malloc", "", ENOMEM);
  *archive = (struct archive){.fd = fd,
                              .compression = (enum compression)compression,
                              .offset = (uint64_t)offset,
                              .left = (uint64_t)size,
                              .limit = (uint64_t)limit,
                              .mutex = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
  sha256_start(&archive->blob);
  sha256_start(&archive->content);
  int full = (archive->input = malloc(INPUT)) == NULL;
  for (unsigned i = 0; i < CHUNKS; i++) full |= (archive->chunks[i] = malloc(CHUNK)) == NULL;
  int error = full || make_decompressor(archive) < 0 ? ENOMEM : start_thread(archive);
  if (error != 0) {
    free_archive(archive);
    return sys_fail_with("archive", "", error);
  }
  archives[handle] = archive;
  return handle;
}

struct archive *find_archive(int32_t handle) {
  if (handle >= 0 && handle < ARCHIVES && archives[handle] != NULL) return archives[handle];
  sys_fail_with("archive", "", EBADF);
  return NULL;
}

static void release_chunk(struct archive *archive) {
  pthread_mutex_lock(&archive->mutex);
  archive->taken++;
  archive->at = 0;
  pthread_cond_signal(&archive->changed);
  pthread_mutex_unlock(&archive->mutex);
}

int64_t archive_take(struct archive *archive, size_t most, const uint8_t **bytes) {
  unsigned slot = archive->taken % CHUNKS;
  if (archive->at > 0 && archive->at == archive->sizes[slot]) {
    release_chunk(archive);
    slot = archive->taken % CHUNKS;
  }
  if (archive->at == 0) {
    pthread_mutex_lock(&archive->mutex);
    while (archive->written == archive->taken && !archive->ended)
      pthread_cond_wait(&archive->changed, &archive->mutex);
    int empty = archive->written == archive->taken;
    struct failure failure = archive->failure;
    pthread_mutex_unlock(&archive->mutex);
    if (empty && failure.error != 0) return sys_fail_with(failure.call, "", failure.error);
    if (empty) return 0;
  }
  size_t size = archive->sizes[slot] - archive->at;
  if (size > most) size = most;
  *bytes = archive->chunks[slot] + archive->at;
  archive->at += size;
  return (int64_t)size;
}

static int64_t archive_pass(struct archive *archive, uint64_t size) {
  const uint8_t *bytes;
  while (size > 0) {
    int64_t got = archive_take(archive, size < CHUNK ? (size_t)size : CHUNK, &bytes);
    if (got < 0) return got;
    if (got == 0) return sys_fail_with("tar", "", ENODATA);
    size -= (uint64_t)got;
  }
  return 0;
}

/* What fills the last block. There may be none of it: `umoci insert` writes no end of an archive, and Go reads it so. */
int64_t archive_pad(struct archive *archive, uint32_t size) {
  const uint8_t *bytes;
  while (size > 0) {
    int64_t got = archive_take(archive, size, &bytes);
    if (got <= 0) return got;
    size -= (uint32_t)got;
  }
  return 0;
}

/* Bytes to a buffer; how many there were before the end. */
static int64_t take_all(struct archive *archive, uint8_t *to, size_t size) {
  size_t had = 0;
  while (had < size) {
    const uint8_t *bytes;
    int64_t got = archive_take(archive, size - had, &bytes);
    if (got < 0) return got;
    if (got == 0) break;
    memcpy(to + had, bytes, (size_t)got);
    had += (size_t)got;
  }
  return (int64_t)had;
}

/* The sum of all bytes, with blanks in place of the sum itself; historical writers took the bytes as signed. */
static int sum_is_right(const uint8_t *block) {
  int64_t sum = 0, with_signs = 0, written = 0;
  for (size_t i = 0; i < BLOCK; i++) {
    int in_sum = i >= 148 && i < 156;
    sum += in_sum ? ' ' : block[i];
    with_signs += in_sum ? ' ' : (int8_t)block[i];
  }
  size_t at = 148;
  while (at < 156 && block[at] == ' ') at++;
  for (; at < 156 && block[at] >= '0' && block[at] <= '7'; at++) written = written * 8 + block[at] - '0';
  return written == sum || written == with_signs;
}

int64_t sys_archive_header(int32_t handle, struct sys_out *out) {
  struct archive *archive = find_archive(handle);
  if (archive == NULL) return -EBADF;
  uint8_t block[BLOCK];
  int64_t got = take_all(archive, block, BLOCK);
  if (got < 0) return got;
  if (got > 0 && got < (int64_t)BLOCK) return sys_fail_with("tar", "", ENODATA);
  int empty = 1;
  for (size_t i = 0; i < (size_t)got && empty; i++) empty = block[i] == 0;
  if (empty) return sys_give(out, "", 0);
  if (!sum_is_right(block)) return sys_fail_with("tar", "", EBADMSG);
  return latin_add(out, block, BLOCK);
}

int64_t sys_archive_text(int32_t handle, uint32_t size, struct sys_out *out) {
  struct archive *archive = find_archive(handle);
  if (archive == NULL) return -EBADF;
  uint8_t *bytes = malloc((size_t)size + 1);
  if (bytes == NULL) return sys_fail_with("malloc", "", ENOMEM);
  int64_t result = take_all(archive, bytes, size);
  if (result >= 0 && result < size) result = sys_fail_with("tar", "", ENODATA);
  if (result >= 0) result = archive_pad(archive, -size % BLOCK);
  if (result == 0) result = latin_add(out, bytes, size);
  free(bytes);
  return result;
}

int64_t sys_archive_skip(int32_t handle, int64_t size) {
  struct archive *archive = find_archive(handle);
  if (archive == NULL) return -EBADF;
  int64_t result = archive_pass(archive, (uint64_t)size);
  return result < 0 ? result : archive_pad(archive, (uint32_t)(-(uint64_t)size % BLOCK));
}

int64_t sys_archive_at(int32_t handle) {
  struct archive *archive = find_archive(handle);
  if (archive == NULL) return -EBADF;
  pthread_mutex_lock(&archive->mutex);
  uint64_t read = archive->read;
  pthread_mutex_unlock(&archive->mutex);
  return (int64_t)read;
}

int64_t sys_archive_finish(int32_t handle, struct sys_out *out) {
  struct archive *archive = find_archive(handle);
  if (archive == NULL) return -EBADF;
  const uint8_t *bytes;
  int64_t got;
  while ((got = archive_take(archive, CHUNK, &bytes)) > 0) {
  }
  if (got < 0) return got;
  char digests[2][65] = {0};
  sha256_end(&archive->blob, digests[0]);
  sha256_end(&archive->content, digests[1]);
  return sys_give(out, digests, sizeof digests);
}

int64_t sys_archive_close(int32_t handle) {
  struct archive *archive = find_archive(handle);
  if (archive == NULL) return -EBADF;
  pthread_mutex_lock(&archive->mutex);
  archive->stopped = 1;
  pthread_cond_signal(&archive->changed);
  pthread_mutex_unlock(&archive->mutex);
  pthread_join(archive->thread, NULL);
  archives[handle] = NULL;
  free_archive(archive);
  return 0;
}
