/* Starting init, and the talk with it. */
#include "base/syscall.h"
#include "base/text.h"
#include "host/host.h"
#include "steps/hook.h"
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/un.h>
#include <linux/uio.h>
#include <linux/wait.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

extern const char tsrun_init_start[], tsrun_init_end[];

int init_image(struct context *context) {
  static int image = -1;
  if (image >= 0) return image;
  long fd = SYSCALL2(memfd_create, "tsrun-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return failed(context, "memfd_create", "", fd);
  int error = 0;
  for (const char *at = tsrun_init_start; at < tsrun_init_end && error == 0;) {
    long done = SYSCALL3(write, fd, at, tsrun_init_end - at);
    if (done < 0)
      error = failed(context, "write", "tsrun-init", done);
    else
      at += done;
  }
  /* Sealed, the container cannot change what it may find behind /proc/PID/exe (CVE-2019-5736). */
  long sealed = error < 0 ? 0 : SYSCALL3(fcntl, fd, F_ADD_SEALS, SEALS);
  if (sealed < 0) error = failed(context, "fcntl(F_ADD_SEALS)", "tsrun-init", sealed);
  if (error < 0) {
    close_fd((int)fd);
    return error;
  }
  image = (int)fd;
  return image;
}

int step_open_gate(struct context *context, const struct step_open_gate *step) {
  long fd = SYSCALL3(socket, 1 /* AF_UNIX */, 1 /* SOCK_STREAM */ | O_CLOEXEC, 0);
  if (fd < 0) return failed(context, "socket", "", fd);
  /* The path may be longer than sun_path holds: it is named through a descriptor of its directory. */
  char parent[4200];
  size_t cut = strlen(step->path);
  while (cut > 0 && step->path[cut - 1] != '/') cut--;
  struct text text = text_in(parent, sizeof parent);
  text_add_bytes(&text, step->path, cut);
  long directory = SYSCALL4(openat, AT_FDCWD, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  int error = directory < 0 ? failed(context, "openat", parent, directory) : 0;
  struct sockaddr_un address = {.sun_family = 1};
  text = text_in(address.sun_path, sizeof address.sun_path);
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, directory);
  text_add(&text, "/");
  text_add(&text, step->path + cut);
  if (error == 0) {
    /* The socket is born with mode 0600: a chmod(2) afterwards would leave a moment for others. */
    long mask = SYSCALL1(umask, 0177);
    long answer = SYSCALL3(bind, fd, &address, sizeof address);
    SYSCALL1(umask, mask);
    if (answer < 0)
      error = failed(context, "bind", step->path, answer);
    else if ((answer = SYSCALL2(listen, fd, 8)) < 0)
      error = failed(context, "listen", step->path, answer);
  }
  close_fd((int)directory);
  if (error < 0)
    close_fd((int)fd);
  else
    fill_slot(context, SLOT_GATE, (int)fd);
  return error;
}

struct birth {
  int image, control, gate, process;
  uint32_t preserve_fds;
  volatile long error;
  uint64_t signals; /* the caller's mask; init sets its own */
};

static void inherit(int fd) {
  if (fd >= 0) SYSCALL3(fcntl, fd, F_SETFD, 0);
}

/* Runs in the new process on the engine's memory, which stands still until execveat(2) (CLONE_VFORK). */
__attribute__((noinline, noreturn)) static void be_born(struct birth *birth) {
  char number[16];
  struct text text = text_in(number, sizeof number);
  text_add_number(&text, birth->control);
  char name[] = "tsrun-init";
  char *args[] = {name, number, 0}, *env[] = {0};
  /* Node marks what it was given as its own; the container's standard descriptors it is all the same. */
  for (int fd = 0; fd < 3; fd++) inherit(fd);
  inherit(birth->control);
  inherit(birth->gate);
  inherit(birth->process);
  for (uint32_t i = 0; i < birth->preserve_fds; i++) inherit((int)(3 + i));
  birth->error = SYSCALL5(execveat, birth->image, "", args, env, AT_EMPTY_PATH);
  for (;;) SYSCALL1(exit_group, 127);
}

static int send_program(struct host *host, int process) {
  struct context *context = &host->context;
  struct streams *init = &host->init;
  uint32_t strings = 0, steps = 0;
  for (size_t i = 0; i < init->pool_size; i++) strings += init->pool[i] == 0;
  for (size_t at = 0; at + 1 < init->word_count; at += 2 + (size_t)init->words[at + 1]) steps++;
  struct program_header header = {
      .magic = PROGRAM_MAGIC,
      .version = PLAN_VERSION,
      .words = (uint32_t)init->word_count,
      .pool = (uint32_t)init->pool_size,
      .blob = (uint32_t)init->blob_size,
      .strings = strings,
      .steps = steps,
      .traced = (uint32_t)host->traced,
      .gate = context->slots[SLOT_GATE],
      .preserve_fds = (int32_t)context->preserve_fds,
      .process = process,
  };
  int error = write_all(context->control, &header, sizeof header);
  if (error == 0) error = write_all(context->control, init->words, init->word_count * 4);
  if (error == 0) error = write_all(context->control, init->pool, init->pool_size);
  if (error == 0) error = write_all(context->control, init->blob, init->blob_size);
  return error < 0 ? failed(context, "sendto", "tsrun-init", error) : 0;
}

int step_launch(struct context *context, const struct step_launch *step) {
  struct birth birth = {
      .gate = context->slots[SLOT_GATE], .process = step->process, .preserve_fds = step->preserve_fds};
  context->preserve_fds = step->preserve_fds;
  birth.image = init_image(context);
  if (birth.image < 0) return birth.image;
  int ends[2];
  long error = SYSCALL4(socketpair, 1 /* AF_UNIX */, 1 /* SOCK_STREAM */ | O_CLOEXEC, 0, ends);
  if (error < 0) return failed(context, "socketpair", "", error);
  birth.control = ends[1];

  int pidfd = -1;
  struct clone_args args = {
      .flags =
          step->namespaces | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (step->in_cgroup ? CLONE_INTO_CGROUP : 0),
      .pidfd = (uintptr_t)&pidfd,
      .exit_signal = SIGCHLD,
      .cgroup = step->in_cgroup ? (uint64_t)context->slots[SLOT_CGROUP] : 0,
  };
  /* All signals are held meanwhile: a handler of the engine must not run in the new process. */
  uint64_t all = ~0ull;
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &all, &birth.signals, sizeof all);
  long pid = SYSCALL2(clone3, &args, sizeof args);
  if (pid == 0) be_born(&birth);
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &birth.signals, 0, sizeof all);

  close_fd(ends[1]);
  if (pid < 0) {
    close_fd(ends[0]);
    return failed(context, "clone3", "", pid);
  }
  context->control = ends[0];
  context->pid = (int)pid;
  context->pidfd = pidfd;
  context->result = (int32_t)pid;
  if (birth.error < 0) return failed(context, "execveat", "tsrun-init", birth.error);
  int sent = send_program(host_of(context), step->process);
  fill_slot(context, SLOT_GATE, -1); /* init holds it; its path stays */
  return sent;
}

/* One message of init. A descriptor comes with its message, so every head is read with recvmsg(2). */
static int receive(struct context *context, struct report *head, char *detail) {
  struct iovec data = {head, sizeof *head};
  struct {
    size_t length;
    int level, type, fd, padding;
  } control = {0};
  struct {
    void *name;
    int name_length, padding;
    struct iovec *data;
    size_t data_count;
    void *control;
    size_t control_length;
    unsigned flags;
  } message = {.data = &data, .data_count = 1, .control = &control, .control_length = sizeof control};
  long got;
  do {
    got = SYSCALL3(recvmsg, context->control, &message, 0x40000000 /* MSG_CMSG_CLOEXEC */);
  } while (got == -EINTR);
  if (got < 0) return (int)got;
  if (got == 0) return -EPIPE;
  int error = (size_t)got < sizeof *head
                  ? read_all(context->control, (char *)head + got, sizeof *head - (size_t)got)
                  : 0;
  if (control.length >= 20 && control.type == 1) {
    if (error == 0 && head->kind == REPORT_FD && head->result >= 0 && head->result < SLOT_COUNT)
      fill_slot(context, (enum slot)head->result, control.fd);
    else
      close_fd(control.fd);
  }
  if (error == 0 && head->detail > REPORT_DETAIL_MOST) error = -EPROTO;
  return error < 0 ? error : read_all(context->control, detail, head->detail);
}

static void reap(int pid, int pidfd) {
  close_fd(pidfd);
  while (SYSCALL4(wait4, pid, 0, 0x40000000 /* __WALL */, 0) == -EINTR) {
  }
}

/* Init forked: from here on `pid` is the container process, a child of this one as well (CLONE_PARENT). */
static int follow_fork(struct context *context, int32_t pid) {
  reap(context->pid, context->pidfd);
  context->pid = pid;
  long pidfd = SYSCALL2(pidfd_open, pid, 0);
  context->pidfd = (int)pidfd;
  if (pidfd < 0) return failed(context, "pidfd_open", "", pidfd);
  /* Whoever may trace init inside a container can speak in its name: only a child of this process is believed. */
  long answer = SYSCALL5(waitid, P_PIDFD, pidfd, 0, WEXITED | WNOHANG | WNOWAIT | __WALL, 0);
  if (answer == 0) return 0;
  close_fd((int)pidfd);
  context->pid = 0;
  context->pidfd = -1;
  return failed(context, "waitid", "tsrun-init", answer);
}

int step_await_init(struct context *context, const struct step_await_init *step) {
  struct host *host = host_of(context);
  char detail[REPORT_DETAIL_MOST];
  int forked = step->sync != SYNC_FORKED, there = 0;
  while (!there || !forked) {
    struct report head;
    int error = receive(context, &head, detail);
    /* An end without a report: init was killed, by the kernel for want of memory or from outside. */
    if (error < 0) return failed(context, "recvmsg", "tsrun-init", error);
    switch ((enum report_kind)head.kind) {
    case REPORT_FAILED:
    case REPORT_BROKEN:
      host->told = log_report(host, head, detail) == 0;
      return head.error > 0 ? -head.error : -EPROTO;
    case REPORT_PID:
      if (forked) return failed(context, "recvmsg", "tsrun-init", -EPROTO);
      error = follow_fork(context, head.result);
      if (error < 0) return error;
      forked = 1;
      context->result = head.result;
      break;
    case REPORT_SYNC:
      if (head.result != (int32_t)step->sync) return failed(context, "sync", "tsrun-init", -EPROTO);
      there = 1;
      break;
    case REPORT_DONE:
      error = log_report(host, head, detail);
      if (error < 0) return error;
      break;
    case REPORT_FD:
      /* Init goes on under its filter at once, and what of its calls the agent is to answer waits for the agent. */
      if (step->sync == SYNC_LISTENER && head.result == SLOT_LISTENER) there = 1;
      break;
    default: return failed(context, "recvmsg", "tsrun-init", -EPROTO);
    }
  }
  return 0;
}

int step_release_init(struct context *context, const struct step_release_init *step) {
  (void)step;
  int error = write_all(context->control, "", 1);
  return error < 0 ? failed(context, "sendto", "tsrun-init", error) : 0;
}

void kill_init(struct context *context) {
  if (context->pid > 0) {
    /* Not yet reaped, it keeps its pid: without a pidfd that names it just as surely. */
    if (context->pidfd >= 0)
      SYSCALL4(pidfd_send_signal, context->pidfd, 9, 0, 0);
    else
      SYSCALL2(kill, context->pid, 9);
    reap(context->pid, context->pidfd);
  }
  context->pid = 0;
  context->pidfd = -1;
  close_fd(context->control);
  context->control = -1;
}

int step_run_hook(struct context *context, const struct step_run_hook *step) {
  return run_hook(context, step, step->pid > 0 ? (int)step->pid : context->pid);
}
