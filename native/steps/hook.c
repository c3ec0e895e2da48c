#include "steps/hook.h"
#include "base/syscall.h"
#include "base/text.h"
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/time_types.h>
#include <linux/wait.h>

/* The state in its three pieces, so that no buffer bounds the annotations in it. */
struct state {
  const char *pieces[3];
  size_t piece, sent;
};

/* Writes on; 1 when there is nothing left to write, or nobody to read it. */
static int feed(int input, struct state *state) {
  while (state->piece < 3) {
    const char *rest = state->pieces[state->piece] + state->sent;
    size_t length = strlen(rest);
    long done = length == 0 ? 0 : SYSCALL3(write, input, rest, length);
    if (done == -EAGAIN || done == -EINTR) return 0;
    if (done < 0) return 1;
    state->sent += (size_t)done;
    if ((size_t)done == length) {
      state->piece++;
      state->sent = 0;
    }
  }
  return 1;
}

/* Where a hook prints to. */
struct output {
  int out, err;
};

int open_hook_file(struct context *context, const char *path) {
  if (path[0] == 0) return -1;
  long fd = SYSCALL4(openat, AT_FDCWD, path,
                     O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0644);
  if (fd < 0) return failed(context, "openat", path, fd == -EPERM ? -EACCES : fd);
  SYSCALL3(fcntl, fd, F_SETFL, O_APPEND);
  return (int)fd;
}

/* What a child does between clone and exec. Never returns. */
static void become_hook(const struct context *context, const struct step_run_hook *step, int input,
                        const struct output *output) {
  SYSCALL3(dup3, input, 0, 0);
  /* The container's standard output stays the container's: what a hook prints goes where its errors go. */
  SYSCALL3(dup3, output->out, 1, 0);
  SYSCALL3(dup3, output->err, 2, 0);
  SYSCALL3(close_range, 3, ~0u, 0);
  reset_signals();
  if (context->umask >= 0) SYSCALL1(umask, context->umask);
  /* A directory that is gone by now, or closed to this user, keeps no hook from its work. */
  if (step->dir[0] != 0 && SYSCALL1(chdir, step->dir) < 0) SYSCALL1(chdir, "/");
  long error = SYSCALL3(execve, step->path, step->args.list, step->env.list);
  char buffer[64];
  struct text message = text_in(buffer, sizeof buffer);
  text_add(&message, "execve failed with errno ");
  text_add_number(&message, -error);
  write_all(2, message.start, message.used);
  SYSCALL1(exit_group, error == -ENOENT ? 127 : 126);
}

static int make_pipe(struct context *context, int ends[2]) {
  long error = SYSCALL2(pipe2, ends, O_CLOEXEC);
  return error < 0 ? failed(context, "pipe2", "", error) : 0;
}

/* Feeds the state to the hook and collects what it says until it ends: one loop, so that neither pipe can block the other. */
static int attend(struct context *context, const struct step_run_hook *step, int pidfd, int input, int output,
                  int signals, struct state *state) {
  struct text message = text_in(context->message, sizeof context->message);
  uint64_t deadline = step->timeout_ms == 0 ? 0 : now() + step->timeout_ms * 1000000ull;
  int result = 0;
  SYSCALL3(fcntl, input, F_SETFL, O_NONBLOCK);
  for (;;) {
    struct pollfd fds[] = {{pidfd, POLLIN, 0},
                           {output, POLLIN, 0},
                           {input, POLLOUT, 0},
                           {signals, POLLIN, 0},
                           {context->pidfd, POLLIN, 0}};
    struct __kernel_timespec wait = {0};
    if (deadline != 0) {
      uint64_t time = now();
      if (time >= deadline) {
        SYSCALL4(pidfd_send_signal, pidfd, 9, 0, 0);
        result = -ETIMEDOUT;
        break;
      }
      wait.tv_sec = (int64_t)((deadline - time) / 1000000000u);
      wait.tv_nsec = (int64_t)((deadline - time) % 1000000000u);
    }
    long ready = SYSCALL5(ppoll, fds, sizeof fds / sizeof *fds, deadline == 0 ? 0 : &wait, 0, 0);
    if (ready == -EINTR) continue;
    if (ready < 0) {
      SYSCALL4(pidfd_send_signal, pidfd, 9, 0, 0);
      result = failed(context, "ppoll", step->path, ready);
      break;
    }
    /* Whoever ends tsrun, or the container in the making, does not want to wait for its hooks. */
    if (fds[3].revents != 0 || fds[4].revents != 0) {
      uint32_t info[32]; /* a signal that was not read would end this process before it has cleaned up */
      if (fds[3].revents != 0) SYSCALL3(read, signals, info, sizeof info);
      SYSCALL4(pidfd_send_signal, pidfd, 9, 0, 0);
      result = fds[3].revents != 0 ? -EINTR : -ESRCH;
      break;
    }
    if (fds[2].revents != 0 && feed(input, state)) {
      close_fd(input);
      input = -1;
    }
    if (fds[1].revents != 0) {
      char piece[512];
      long length = SYSCALL3(read, output, piece, sizeof piece);
      if (length > 0) text_add_bytes(&message, piece, (size_t)length);
      if (length == 0) output = -1;
      continue; /* what was written before the end is read before the end is looked at */
    }
    if (fds[0].revents != 0) break;
  }
  while (message.used > 0 && message.start[message.used - 1] == '\n') message.start[--message.used] = 0;
  close_fd(input);
  return result;
}

static int run(struct context *context, const struct step_run_hook *step, int pid, struct output files) {
  char number[16];
  struct text digits = text_in(number, sizeof number);
  text_add_number(&digits, pid);
  struct state state = {.pieces = {step->state_head, number, step->state_tail}};

  int input[2], output[2], pidfd = -1;
  int error = make_pipe(context, input);
  if (error < 0) return error;
  error = make_pipe(context, output);
  if (error < 0) {
    close_fd(input[0]);
    close_fd(input[1]);
    return error;
  }
  struct output ends = {files.out >= 0 ? files.out : output[1], files.err >= 0 ? files.err : output[1]};
  /* A hook may end without reading: that is its right, not a SIGPIPE for us. All signals are held meanwhile, so that no
     handler of the engine runs in the child. */
  uint64_t all = ~0ull, before;
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  uint64_t ending = ending_signals();
  int signals = (int)SYSCALL4(signalfd4, -1, &ending, sizeof ending, O_CLOEXEC);
  struct clone_args args = {
      .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
  long child = SYSCALL2(clone3, &args, sizeof args);
  if (child == 0) become_hook(context, step, input[0], &ends);
  close_fd(input[0]);
  close_fd(output[1]);
  int status = 0;
  if (child < 0) {
    close_fd(input[1]);
    error = failed(context, "clone3", step->path, child);
  } else {
    error = attend(context, step, pidfd, input[1], output[0], signals, &state);
    while (SYSCALL4(wait4, child, &status, __WALL, 0) == -EINTR) {
    }
    close_fd(pidfd);
  }
  close_fd(output[0]);
  close_fd(signals);
  /* SIGPIPE that came of the write is taken off before signals are let through again. */
  uint64_t pipe_signal = 1ull << (SIGPIPE - 1);
  struct __kernel_timespec at_once = {0};
  SYSCALL4(rt_sigtimedwait, &pipe_signal, 0, &at_once, sizeof pipe_signal);
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
  context->result = status;
  if (error == 0 && status != 0) error = failed(context, "hook", step->path, -ECANCELED);
  int ended_by_us = error == -ETIMEDOUT || error == -EINTR || error == -ESRCH;
  return ended_by_us ? failed(context, "hook", step->path, error) : error;
}

int run_hook(struct context *context, const struct step_run_hook *step, int pid) {
  struct output files = {open_hook_file(context, step->out), -1};
  if (files.out < -1) return files.out;
  files.err = open_hook_file(context, step->err);
  int error = files.err < -1 ? files.err : 0;
  if (error == 0) {
    struct output kept = {context->slots[SLOT_HOOK_OUT], context->slots[SLOT_HOOK_ERR]};
    error =
        run(context, step, pid,
            (struct output){files.out >= 0 ? files.out : kept.out, files.err >= 0 ? files.err : kept.err});
  }
  close_fd(files.out);
  close_fd(files.err);
  return error;
}
