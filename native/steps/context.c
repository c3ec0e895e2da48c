#include "steps/context.h"
#include "base/syscall.h"
#include "base/text.h"
#include <linux/signal.h>
#include <linux/time.h>

int failed(struct context *context, const char *call, const char *object, long error) {
  struct text text = text_in(context->object, sizeof context->object);
  context->call = call;
  text_add(&text, object);
  return (int)error;
}

void fill_slot(struct context *context, enum slot slot, int fd) {
  close_fd(context->slots[slot]);
  context->slots[slot] = fd;
}

int slot_of(struct context *context, uint32_t slot) {
  return slot < SLOT_COUNT ? context->slots[slot] : -EBADF;
}

void close_fd(int fd) {
  if (fd >= 0) SYSCALL1(close, fd);
}

uint64_t now(void) {
  struct __kernel_timespec time = {0};
  SYSCALL2(clock_gettime, CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int write_all(int fd, const void *data, size_t size) {
  const char *at = data;
  while (size > 0) {
    /* MSG_NOSIGNAL: a peer that is gone is an error to handle, not a SIGPIPE. */
    long done = SYSCALL6(sendto, fd, at, size, 0x4000, 0, 0);
    /* A filter may refuse the one and not the other. */
    if (done < 0 && done != -EINTR && done != -EPIPE) done = SYSCALL3(write, fd, at, size);
    if (done == -EINTR) continue;
    if (done < 0) return (int)done;
    at += done;
    size -= (size_t)done;
  }
  return 0;
}

int read_all(int fd, void *data, size_t size) {
  char *at = data;
  while (size > 0) {
    long done = SYSCALL3(read, fd, at, size);
    if (done == -EINTR) continue;
    if (done < 0) return (int)done;
    if (done == 0) return -EPIPE;
    at += done;
    size -= (size_t)done;
  }
  return 0;
}

uint64_t ending_signals(void) {
  return 1ull << (SIGHUP - 1) | 1ull << (SIGINT - 1) | 1ull << (SIGQUIT - 1) | 1ull << (SIGTERM - 1);
}

void reset_signals(void) {
  unsigned long by_default[4] = {
      0}; /* struct sigaction as the kernel has it: handler, flags, restorer, mask */
  for (int number = 1; number <= 64; number++) SYSCALL4(rt_sigaction, number, by_default, 0, 8);
  uint64_t none = 0;
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
}
