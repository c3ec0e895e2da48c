/* Memory for the engine. A command lives for milliseconds and makes some ten thousand small objects: lists of free
   chunks by size, cut from large blocks, cost a fraction of malloc(3). Large ones go to malloc(3) all the same, so that
   a long wait in the foreground gives back what it no longer needs. */
#include "engine/engine.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STEP 16u
#define SMALL_MOST 512u
#define BLOCK (256u << 10)

/* In front of each chunk: its size without this head. */
struct head {
  size_t size;
};
struct free_chunk {
  struct free_chunk *next;
};

static struct free_chunk *free_lists[SMALL_MOST / STEP + 1];
static char *block, *block_end;

static size_t rounded(size_t size) {
  /* Head and payload together fill whole steps, so that every payload is aligned for a pointer or a double. */
  return ((size + sizeof(struct head) + STEP - 1) & ~(size_t)(STEP - 1)) - sizeof(struct head);
}

static struct head *head_of(const void *payload) {
  return (struct head *)(uintptr_t)payload - 1;
}

static void *cut(size_t size) {
  size_t whole = size + sizeof(struct head);
  if ((size_t)(block_end - block) < whole) {
    /* Populated at once: the kernel maps these pages in one go, where a fault for each would cost more than its use. */
    block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (block == MAP_FAILED) {
      block = block_end = NULL;
      return NULL;
    }
    block_end = block + BLOCK;
  }
  struct head *head = (struct head *)(void *)block;
  block += whole;
  head->size = size;
  return head + 1;
}

static void *allocate(JSMallocState *state, size_t size) {
  (void)state;
  size = rounded(size);
  if (size > SMALL_MOST) {
    struct head *head = malloc(size + sizeof *head);
    if (head == NULL) return NULL;
    head->size = size;
    return head + 1;
  }
  struct free_chunk **list = &free_lists[size / STEP];
  struct free_chunk *chunk = *list;
  if (chunk == NULL) return cut(size);
  *list = chunk->next;
  return chunk;
}

static void release(JSMallocState *state, void *payload) {
  (void)state;
  if (payload == NULL) return;
  size_t size = head_of(payload)->size;
  if (size > SMALL_MOST) {
    free(head_of(payload));
    return;
  }
  struct free_chunk *chunk = payload;
  chunk->next = free_lists[size / STEP];
  free_lists[size / STEP] = chunk;
}

static void *reallocate(JSMallocState *state, void *payload, size_t size) {
  if (payload == NULL) return size == 0 ? NULL : allocate(state, size);
  if (size == 0) {
    release(state, payload);
    return NULL;
  }
  size_t old = head_of(payload)->size;
  if (rounded(size) == old) return payload;
  if (old > SMALL_MOST && rounded(size) > SMALL_MOST) {
    struct head *head = realloc(head_of(payload), rounded(size) + sizeof *head);
    if (head == NULL) return NULL;
    head->size = rounded(size);
    return head + 1;
  }
  void *moved = allocate(state, size);
  if (moved == NULL) return NULL;
  memcpy(moved, payload, old < size ? old : size);
  release(state, payload);
  return moved;
}

static size_t usable(const void *payload) {
  return payload == NULL ? 0 : head_of(payload)->size;
}

const JSMallocFunctions engine_memory = {allocate, release, reallocate, usable};
