#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

int64_t sys_is_terminal(int32_t fd) {
  return isatty(fd);
}

int64_t sys_raw_terminal(int32_t fd, struct sys_out *out) {
  struct termios state;
  if (tcgetattr(fd, &state) < 0) return sys_fail("tcgetattr", "");
  struct termios raw = state;
  cfmakeraw(&raw);
  if (tcsetattr(fd, TCSANOW, &raw) < 0) return sys_fail("tcsetattr", "");
  return sys_give(out, &state, sizeof state);
}

int64_t sys_restore_terminal(int32_t fd, struct sys_in state) {
  if (state.size != sizeof(struct termios)) return sys_fail_with("tcsetattr", "", EINVAL);
  struct termios copy;
  memcpy(&copy, state.data, sizeof copy);
  return tcsetattr(fd, TCSANOW, &copy) < 0 ? sys_fail("tcsetattr", "") : 0;
}

int64_t sys_window_size(int32_t fd, struct sys_out *out) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) < 0) return sys_fail("ioctl(TIOCGWINSZ)", "");
  double numbers[] = {size.ws_row, size.ws_col};
  return sys_give_numbers(out, numbers, 2);
}

int64_t sys_set_window_size(int32_t fd, uint32_t rows, uint32_t columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  return ioctl(fd, TIOCSWINSZ, &size) < 0 ? sys_fail("ioctl(TIOCSWINSZ)", "") : 0;
}

static int64_t connect_stream(const char *path, int flags) {
  /* sun_path holds 107 bytes, state directories of engines are longer: the socket is named through a descriptor. */
  int target = open(path, O_PATH | O_CLOEXEC);
  if (target < 0) return sys_fail("open", path);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", target);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  int64_t result = fd;
  if (fd < 0) {
    result = sys_fail("socket", path);
  } else if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    result = sys_fail("connect", path);
    close(fd);
  }
  close(target);
  return result;
}

int64_t sys_connect(const char *path) {
  return connect_stream(path, 0);
}

int64_t sys_dial(const char *path) {
  return connect_stream(path, SOCK_NONBLOCK);
}

static int connect_datagram(int fd, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (path[0] == '@') {
    if (length > sizeof address.sun_path) {
      errno = ENAMETOOLONG;
      return -1;
    }
    memcpy(address.sun_path, path, length);
    address.sun_path[0] = 0;
    return connect(fd, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
  }
  int target = open(path, O_PATH | O_CLOEXEC);
  if (target < 0) return -1;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", target);
  int result = connect(fd, (struct sockaddr *)&address, sizeof address);
  close(target);
  return result;
}

static int bind_datagram(int fd, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *name = strrchr(path, '/');
  char directory[PATH_MAX];
  if (name == NULL || (size_t)(name - path) >= sizeof directory) {
    errno = EINVAL;
    return -1;
  }
  memcpy(directory, path, (size_t)(name - path));
  directory[name - path] = 0;
  int parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return -1;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d%.64s", parent, name);
  mode_t mask = umask(0);
  int result = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(mask);
  close(parent);
  return result;
}

int64_t sys_datagram(const char *path, uint32_t wants_bind) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return sys_fail("socket", path);
  if ((wants_bind ? bind_datagram(fd, path) : connect_datagram(fd, path)) == 0) return fd;
  int64_t result = sys_fail(wants_bind ? "bind" : "connect", path);
  close(fd);
  return result;
}

int64_t sys_send_descriptor(int32_t socket, int32_t fd, const char *text) {
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec data = {(void *)(uintptr_t)text, strlen(text)};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? sys_fail("sendmsg", "") : 0;
}
