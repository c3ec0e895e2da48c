/* What a program that never blocks waits with: epoll(7), inotify(7). */
#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

int64_t sys_epoll_create(void) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? sys_fail("epoll_create1", "") : fd;
}

int64_t sys_epoll_control(int32_t epoll, uint32_t operation, int32_t fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  return epoll_ctl(epoll, (int)operation, fd, &event) < 0 ? sys_fail("epoll_ctl", "") : 0;
}

int64_t sys_epoll_wait(int32_t epoll, int32_t timeout, struct sys_out *out) {
  enum { MOST = 64 };
  struct epoll_event list[MOST];
  double numbers[2 * MOST];
  int ready = epoll_wait(epoll, list, MOST, timeout);
  if (ready < 0 && errno != EINTR) return sys_fail("epoll_wait", "");
  size_t count = ready > 0 ? (size_t)ready : 0;
  for (size_t i = 0; i < count; i++) {
    numbers[2 * i] = list[i].data.fd;
    numbers[2 * i + 1] = list[i].events;
  }
  return sys_give_numbers(out, numbers, 2 * count);
}

int64_t sys_inotify_create(void) {
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  return fd < 0 ? sys_fail("inotify_init1", "") : fd;
}

int64_t sys_inotify_add(int32_t fd, const char *path, uint32_t mask) {
  int watch = inotify_add_watch(fd, path, mask);
  return watch < 0 ? sys_fail("inotify_add_watch", path) : watch;
}

int64_t sys_inotify_remove(int32_t fd, int32_t watch) {
  return inotify_rm_watch(fd, watch) < 0 ? sys_fail("inotify_rm_watch", "") : 0;
}
