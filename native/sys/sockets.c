/* Stream sockets of a server, and descriptors that travel. */
#define _GNU_SOURCE
#include "gen/sys.gen.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FDS_MOST = 16 };

int64_t sys_listen(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return sys_fail_with("bind", path, ENAMETOOLONG);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return sys_fail("socket", path);
  /* Born with mode 0600: a chmod(2) afterwards would leave a moment for others. */
  mode_t mask = umask(0177);
  int answer = bind(fd, (struct sockaddr *)&address, sizeof address);
  int error = errno;
  umask(mask);
  int64_t result = fd;
  if (answer < 0)
    result = sys_fail_with("bind", path, error);
  else if (listen(fd, 128) < 0)
    result = sys_fail("listen", path);
  if (result < 0) close(fd);
  return result;
}

int64_t sys_accept(int32_t listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? sys_fail("accept4", "") : fd;
}

int64_t sys_socket_pair(struct sys_out *out) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return sys_fail("socketpair", "");
  double numbers[] = {ends[0], ends[1]};
  return sys_give_numbers(out, numbers, 2);
}

int64_t sys_send_message(int32_t socket, const char *text, struct sys_in fds) {
  union {
    char space[CMSG_SPACE(FDS_MOST * sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  if (fds.size > FDS_MOST * sizeof(int)) return sys_fail_with("sendmsg", "", EINVAL);
  struct iovec data = {(void *)(uintptr_t)text, strlen(text)};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  if (fds.size > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(fds.size);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size);
    memcpy(CMSG_DATA(head), fds.data, fds.size);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? sys_fail("sendmsg", "") : 0;
}

int64_t sys_receive_message(int32_t socket, uint32_t most, struct sys_out *out) {
  union {
    char space[CMSG_SPACE(FDS_MOST * sizeof(int))];
    struct cmsghdr align;
  } control;
  uint32_t fds[FDS_MOST + 1] = {0};
  char *text = malloc((size_t)most + 1);
  if (text == NULL) return sys_fail_with("malloc", "", ENOMEM);
  struct iovec data = {text, most};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t length;
  do length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (length < 0 && errno == EINTR);
  if (length < 0) {
    free(text);
    return sys_fail("recvmsg", "");
  }
  for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    size_t size = head->cmsg_len - CMSG_LEN(0);
    fds[0] = (uint32_t)(size / sizeof(int));
    memcpy(fds + 1, CMSG_DATA(head), size);
  }
  size_t front = (fds[0] + 1) * sizeof *fds;
  out->data = malloc(front + (size_t)length + 1);
  if (out->data == NULL) {
    free(text);
    return sys_fail_with("malloc", "", ENOMEM);
  }
  memcpy(out->data, fds, front);
  memcpy((char *)out->data + front, text, (size_t)length);
  out->size = front + (size_t)length;
  free(text);
  return 0;
}
