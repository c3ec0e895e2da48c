/* The listener of a seccomp filter, on its way to the agent that answers for the container's system calls. */
#include "base/syscall.h"
#include "base/text.h"
#include "gen/host_steps.gen.h"
#include "host/host.h"
#include <linux/fcntl.h>
#include <linux/un.h>
#include <linux/uio.h>

static int connect_to(struct context *context, const char *path) {
  /* The path may be longer than sun_path holds: it is named through a descriptor. */
  long target = SYSCALL4(openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
  if (target < 0) return failed(context, "openat", path, target);
  struct sockaddr_un address = {.sun_family = 1};
  struct text text = text_in(address.sun_path, sizeof address.sun_path);
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, target);
  long fd = SYSCALL3(socket, 1 /* AF_UNIX */, 1 /* SOCK_STREAM */ | O_CLOEXEC, 0);
  int error = fd < 0 ? failed(context, "socket", path, fd) : 0;
  long answer = error < 0 ? 0 : SYSCALL3(connect, fd, &address, sizeof address);
  close_fd((int)target);
  if (answer < 0) {
    close_fd((int)fd);
    error = failed(context, "connect", path, answer);
  }
  return error < 0 ? error : (int)fd;
}

/* The descriptor goes with the first bytes; what of the text does not fit into one message follows. */
static int send_with(struct context *context, int socket, int fd, const char *path, struct text *state) {
  struct iovec data = {state->start, state->used};
  struct {
    size_t length;
    int level, type, fd, padding;
  } control = {20, 1 /* SOL_SOCKET */, 1 /* SCM_RIGHTS */, fd, 0};
  struct { /* struct msghdr as the kernel has it */
    void *name;
    int name_length, padding;
    struct iovec *data;
    size_t data_count;
    void *control;
    size_t control_length;
    unsigned flags;
  } message = {.data = &data, .data_count = 1, .control = &control, .control_length = sizeof control};
  long sent;
  do {
    sent = SYSCALL3(sendmsg, socket, &message, 0x4000 /* MSG_NOSIGNAL */);
  } while (sent == -EINTR);
  if (sent < 0) return failed(context, "sendmsg", path, sent);
  int error = write_all(socket, state->start + sent, state->used - (size_t)sent);
  return error < 0 ? failed(context, "sendto", path, error) : 0;
}

int step_send_listener(struct context *context, const struct step_send_listener *step) {
  static char buffer[1 << 16];
  struct text state = text_in(buffer, sizeof buffer);
  text_add(&state, step->head);
  text_add_number(&state, context->pid);
  text_add(&state, step->middle);
  text_add_number(&state, context->pid);
  text_add(&state, step->tail);
  if (state.cut) return failed(context, "sendmsg", step->path, -EMSGSIZE);
  int socket = connect_to(context, step->path);
  if (socket < 0) return socket;
  int error = send_with(context, socket, context->slots[SLOT_LISTENER], step->path, &state);
  close_fd(socket);
  fill_slot(context, SLOT_LISTENER, -1);
  return error;
}
