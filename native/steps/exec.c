/* The last steps: descriptors, the search for the program, the gate, and the program itself. */
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include <linux/stat.h>

#define FIRST_FD 3u

static void close_between(unsigned first, unsigned last) {
  if (first <= last) SYSCALL3(close_range, first, last, 0);
}

/* Closes all from `first` on but these. */
static void close_all_but(unsigned first, const int *kept, int count) {
  for (;;) {
    int next = -1;
    for (int i = 0; i < count; i++)
      if (kept[i] >= (int)first && (next < 0 || kept[i] < next)) next = kept[i];
    if (next < 0) break;
    close_between(first, (unsigned)next - 1);
    first = (unsigned)next + 1;
  }
  close_between(first, ~0u);
}

int step_close_descriptors(struct context *context, const struct step_close_descriptors *step) {
  context->preserve_fds = step->preserve_fds;
  int kept[] = {context->control, context->slots[SLOT_GATE], context->slots[SLOT_HOOK_OUT],
                context->slots[SLOT_HOOK_ERR]};
  for (int slot = 0; slot < SLOT_COUNT; slot++)
    if (slot != SLOT_GATE && slot != SLOT_HOOK_OUT && slot != SLOT_HOOK_ERR) fill_slot(context, slot, -1);
  close_all_but(FIRST_FD + step->preserve_fds, kept, sizeof kept / sizeof *kept);
  return 0;
}

/* 0 where the file can be run, as access(2) says for the effective user. */
static long check_executable(const char *path) {
  struct statx stat;
  long error = SYSCALL5(statx, AT_FDCWD, path, 0, STATX_TYPE | STATX_MODE, &stat);
  if (error < 0) return error;
  if ((stat.stx_mode & 0170000) == 0040000) return -EISDIR;
  error = SYSCALL4(faccessat2, AT_FDCWD, path, 1 /* X_OK */, AT_EACCESS);
  /* A filter that does not know the call answers EPERM, which the call itself has no use for. */
  return error == -ENOSYS || error == -EPERM ? ((stat.stx_mode & 0111) ? 0 : -EACCES) : error;
}

int step_find_executable(struct context *context, const struct step_find_executable *step) {
  struct text found = text_in(context->executable, sizeof context->executable);
  for (const char *at = step->name; *at != 0; at++) {
    if (*at != '/') continue;
    text_add(&found, step->name);
    long error = found.cut ? -ENAMETOOLONG : check_executable(step->name);
    return error < 0 ? failed(context, "stat", step->name, error) : 0;
  }
  long denied = 0;
  for (const char *at = step->path; step->name[0] != 0; at++) {
    size_t length = 0;
    while (at[length] != 0 && at[length] != ':') length++;
    found = text_in(context->executable, sizeof context->executable);
    /* An empty entry of PATH is the working directory, as the shell has it. */
    text_add_bytes(&found, length > 0 ? at : ".", length > 0 ? length : 1);
    text_add(&found, "/");
    text_add(&found, step->name);
    long error = found.cut ? -ENAMETOOLONG : check_executable(context->executable);
    if (error == 0) return 0;
    if (error == -EACCES) denied = error;
    at += length;
    if (*at == 0) break;
  }
  return failed(context, "lookup", step->name, denied < 0 ? denied : -ENOENT);
}

/* Waits until one of two descriptors (-1: none) has something, and gives that one. Before the start, the signals that
   would end another process end this one too: as pid 1 of its namespace it would not get them otherwise. */
static int wait_at(struct context *context, int one, int other) {
  uint64_t ending = ending_signals();
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &ending, 0, sizeof ending);
  int signals = (int)SYSCALL4(signalfd4, -1, &ending, sizeof ending, O_CLOEXEC);
  if (signals < 0) return failed(context, "signalfd4", "", signals);
  int ready = -1;
  while (ready < 0) {
    struct pollfd fds[3] = {{signals, POLLIN, 0}, {one, POLLIN, 0}, {other, POLLIN, 0}};
    long answer = SYSCALL5(ppoll, fds, 3, 0, 0, 0);
    if (answer < 0 && answer != -EINTR) {
      close_fd(signals);
      return failed(context, "ppoll", "", answer);
    }
    if (answer < 0) continue;
    if (fds[0].revents != 0) {
      uint32_t info[32]; /* struct signalfd_siginfo begins with the number */
      SYSCALL3(read, signals, info, sizeof info);
      SYSCALL1(exit_group, 128 + (int)info[0]);
    }
    if (fds[2].revents != 0) ready = other;
    if (fds[1].revents != 0) ready = one;
  }
  close_fd(signals);
  return ready;
}

int step_await_start(struct context *context, const struct step_await_start *step) {
  (void)step;
  int gate = context->slots[SLOT_GATE], host = context->control;
  char word;
  while (gate >= 0) {
    int ready = wait_at(context, host, gate);
    if (ready < 0) return ready;
    if (ready == host) {
      /* create says that the record names this process; without that word it died, and nobody would find what waits. */
      if (read_all(host, &word, 1) < 0) SYSCALL1(exit_group, 1);
      host = -1;
      continue;
    }
    long peer = SYSCALL4(accept4, gate, 0, 0, O_CLOEXEC);
    if (peer == -EINTR || peer == -EAGAIN || peer == -ECONNABORTED) continue;
    if (peer < 0) return failed(context, "accept4", "", peer);
    if (read_all((int)peer, &word, 1) < 0) {
      close_fd((int)peer);
      continue;
    }
    /* From now on start is the host side: it hears of a failure, and of success by the end of the connection. */
    close_fd(context->control);
    context->control = (int)peer;
    fill_slot(context, SLOT_GATE, gate = -1);
    host = -1;
  }
  if (host >= 0) {
    int ready = wait_at(context, host, -1);
    if (ready < 0) return ready;
    /* The host side is gone: nobody is left who would want this container. */
    if (read_all(host, &word, 1) < 0) SYSCALL1(exit_group, 1);
  }
  uint64_t none = 0;
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
  return 0;
}

/* HOME from the container's own passwd (hostile: read once, at most this much, no link but within the root). */
static void find_home(uint32_t uid, char *home, size_t size) {
  static char passwd[262144];
  struct text text = text_in(home, size);
  text_add(&text, "HOME=/");
  long fd = SYSCALL4(openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return;
  struct statx stat;
  if (SYSCALL5(statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat) < 0 || (stat.stx_mode & 0170000) != 0100000) {
    close_fd((int)fd);
    return;
  }
  size_t length = 0;
  for (long got;
       length < sizeof passwd && (got = SYSCALL3(read, fd, passwd + length, sizeof passwd - length)) > 0;)
    length += (size_t)got;
  close_fd((int)fd);
  for (size_t line = 0; line < length;) {
    size_t end = line, field = 0, starts[7] = {line};
    for (; end < length && passwd[end] != '\n'; end++)
      if (passwd[end] == ':' && field < 6) starts[++field] = end + 1;
    uint32_t id;
    size_t digits = field < 6 ? 0 : parse_number(passwd + starts[2], end - starts[2], &id);
    if (digits > 0 && passwd[starts[2] + digits] == ':' && id == uid) {
      size_t home_length = starts[6] - 1 - starts[5];
      if (home_length == 0) return;
      text = text_in(home, size);
      text_add(&text, "HOME=");
      text_add_bytes(&text, passwd + starts[5], home_length);
      return;
    }
    line = end + 1;
  }
}

static char home[4200];

static void prepare(struct context *context, uint32_t wants_home, uint32_t uid) {
  if (wants_home) find_home(uid, home, sizeof home);
  /* What execve(2) resolves must not lead through a descriptor of ours (CVE-2024-21626): all but the socket are gone
     before it, and the socket leads nowhere and closes on success. */
  close_all_but(FIRST_FD + context->preserve_fds, &context->control, 1);
  reset_signals();
}

int step_prepare_exec(struct context *context, const struct step_prepare_exec *step) {
  prepare(context, step->find_home, step->uid);
  context->prepared = 1;
  return 0;
}

int step_exec(struct context *context, const struct step_exec *step) {
  if (!context->prepared) prepare(context, step->find_home, step->uid);
  if (step->find_home && step->env.count > 0) step->env.list[step->env.count - 1] = home;
  long error = SYSCALL3(execve, context->executable, step->args.list, step->env.list);
  return failed(context, "execve", context->executable, error);
}
