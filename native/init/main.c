/* tsrun-init: reads its program from the host side, checks it, and runs it step by step until it becomes the container's
   program. It decides nothing. Argument 1 is the number of the socket to the host side. */
#include "base/syscall.h"
#include "base/text.h"
#include "gen/init_steps.gen.h"
#include "steps/context.h"
#include "steps/hook.h"
#include "steps/send.h"
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/socket.h>
#include <linux/uio.h>

#define PROT_READ_WRITE 3
#define MAP_PRIVATE_ANONYMOUS 0x22

static struct context context;
static uint32_t current; /* index of the step that runs */
static int traced;

/* Messages wait here until the next stop, so that a step costs no system call for its report. */
static char outbox[16384];
static size_t waiting;

void flush_reports(void) {
  if (waiting == 0) return;
  /* The host side is gone, or would wait in vain for what got lost: its end of file tells it. */
  if (write_all(context.control, outbox, waiting) < 0) SYSCALL1(exit_group, 1);
  waiting = 0;
}

static void report(enum report_kind kind, long error, int32_t result, uint64_t nanoseconds,
                   const char *detail, size_t length) {
  struct report head = {
      .kind = (uint8_t)kind,
      .side = 1,
      .detail = (uint16_t)length,
      .step = current,
      .error = (int32_t)-error,
      .result = result,
      .nanoseconds = nanoseconds,
  };
  if (waiting + sizeof head + length > sizeof outbox) flush_reports();
  memcpy(outbox + waiting, &head, sizeof head);
  memcpy(outbox + waiting + sizeof head, detail, length);
  waiting += sizeof head + length;
}

static void give_up(enum report_kind kind, long error, uint64_t nanoseconds) {
  static char buffer[REPORT_DETAIL_MOST];
  struct text detail = text_in(buffer, sizeof buffer);
  text_add(&detail, context.call == NULL ? "" : context.call);
  text_add_bytes(&detail, "", 1);
  text_add(&detail, context.object);
  text_add_bytes(&detail, "", 1);
  text_add(&detail, context.message);
  report(kind, error, context.result, nanoseconds, buffer, detail.used);
  flush_reports();
  SYSCALL1(exit_group, 1);
}

int send_descriptor(struct context *where, enum slot slot, int fd) {
  flush_reports();
  struct report head = {.kind = REPORT_FD, .side = 1, .step = current, .result = (int32_t)slot};
  struct iovec data = {&head, sizeof head};
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
  long error = SYSCALL3(sendmsg, where->control, &message, 0x4000 /* MSG_NOSIGNAL */);
  return error < 0 ? failed(where, "sendmsg", "", error) : 0;
}

int step_sync(struct context *where, const struct step_sync *step) {
  report(REPORT_SYNC, 0, (int32_t)step->sync, 0, "", 0);
  flush_reports();
  if (!step->wait) return 0;
  char word;
  /* The host side is gone: what it began ends here. */
  if (read_all(where->control, &word, 1) < 0) SYSCALL1(exit_group, 1);
  return 0;
}

/* CLONE_PARENT: the container process is the child of the engine, or of whom the engine leaves its children to. */
int step_fork(struct context *where, const struct step_fork *step) {
  (void)step;
  /* Not clone3(2), which many seccomp profiles refuse: in exec this runs behind the container's filter. */
  long pid = SYSCALL5(clone, CLONE_PARENT, 0, 0, 0, 0);
  if (pid < 0) return failed(where, "clone", "", pid);
  if (pid == 0) {
    waiting = 0;
    return 0;
  }
  report(REPORT_PID, 0, (int32_t)pid, 0, "", 0);
  flush_reports();
  SYSCALL1(exit_group, 0);
  return 0;
}

int step_run_hook(struct context *where, const struct step_run_hook *step) {
  /* A hook in the container's namespaces is told the pid that it can see there (config.md#posix-platform-hooks). */
  return run_hook(where, step, step->pid > 0 ? (int)step->pid : (int)SYSCALL0(getpid));
}

int step_open_hook_output(struct context *where, const struct step_open_hook_output *step) {
  int out = open_hook_file(where, step->out);
  if (out < -1) return out;
  fill_slot(where, SLOT_HOOK_OUT, out);
  int err = open_hook_file(where, step->err);
  if (err < -1) return err;
  fill_slot(where, SLOT_HOOK_ERR, err);
  return 0;
}

static struct program receive(struct program_header *header) {
  int error = read_all(context.control, header, sizeof *header);
  if (error < 0) SYSCALL1(exit_group, 1);
  uint64_t words = (uint64_t)header->words * 4, streams = words + header->pool + header->blob;
  uint64_t at = (streams + 7) & ~7ull,
           pointers = ((uint64_t)header->strings + header->steps + 1) * sizeof(char *);
  if (header->magic != PROGRAM_MAGIC || header->version != PLAN_VERSION || streams > PROGRAM_MOST ||
      pointers > 8ull * PROGRAM_MOST)
    give_up(REPORT_BROKEN, -EPROTO, 0);
  long memory = SYSCALL6(mmap, 0, at + pointers, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (memory < 0 && memory > -4096) give_up(REPORT_FAILED, failed(&context, "mmap", "", memory), 0);
  char *start = (char *)memory;
  error = read_all(context.control, start, streams);
  if (error < 0) SYSCALL1(exit_group, 1);
  return (struct program){
      .words = (const uint32_t *)(void *)start,
      .words_end = (const uint32_t *)(void *)(start + words),
      .pool = start + words,
      .pool_end = start + words + header->pool,
      .blob = (const uint8_t *)(start + words + header->pool),
      .blob_end = (const uint8_t *)(start + streams),
      .pointers = (char **)(void *)(start + at),
      .pointers_end = (char **)(void *)(start + at + pointers),
  };
}

/* One step of the program: decoded, its length checked against what the table says, and run if asked to. */
static int next_step(struct program *program, int run) {
  uint32_t code = take_u32(program), length = take_u32(program);
  const uint32_t *fields = program->words;
  char **pointers = program->pointers;
  int error = dispatch(&context, program, code, run);
  if ((size_t)(program->words - fields) != length) program->broken = 1;
  if (!run) program->pointers = pointers;
  if (program->broken) give_up(REPORT_BROKEN, -EPROTO, 0);
  return error;
}

__attribute__((noreturn)) void init_main(uintptr_t *stack) {
  uintptr_t argc = stack[0];
  const char *number = argc > 1 ? (const char *)stack[2] : "";
  uint32_t control;
  if (parse_number(number, strlen(number), &control) == 0) SYSCALL1(exit_group, 1);
  context.control = (int)control;
  for (int slot = 0; slot < SLOT_COUNT; slot++) context.slots[slot] = -1;

  /* Nobody inside the container may look into this process or its descriptors (CVE-2016-9962). */
  SYSCALL5(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  reset_signals();
  /* As pid 1 of its namespace it does not get these signals unless it holds them back: they are looked at while it
     waits, for a hook or at the gate. */
  uint64_t ending = ending_signals();
  SYSCALL4(rt_sigprocmask, SIG_SETMASK, &ending, 0, sizeof ending);
  context.umask = (int32_t)SYSCALL1(umask, 0);
  context.pidfd = -1;

  struct program_header header;
  struct program program = receive(&header);
  context.slots[SLOT_GATE] = header.gate;
  context.slots[SLOT_PROCESS] = header.process;
  traced = header.traced != 0;
  SYSCALL3(fcntl, context.control, F_SETFD, FD_CLOEXEC);
  if (header.gate >= 0) SYSCALL3(fcntl, header.gate, F_SETFD, FD_CLOEXEC);
  if (header.process >= 0) SYSCALL3(fcntl, header.process, F_SETFD, FD_CLOEXEC);

  /* The whole program is read once before any of it runs. */
  struct program check = program;
  for (current = 0; current < header.steps; current++) next_step(&check, 0);
  if (check.words != check.words_end || check.pool != check.pool_end || check.blob != check.blob_end)
    give_up(REPORT_BROKEN, -EPROTO, 0);

  for (current = 0; current < header.steps; current++) {
    uint64_t start = traced ? now() : 0;
    context.result = 0;
    context.call = NULL;
    context.object[0] = context.message[0] = 0;
    int error = next_step(&program, 1);
    uint64_t time = traced ? now() - start : 0;
    if (error < 0) give_up(REPORT_FAILED, error, time);
    if (!traced) continue;
    report(REPORT_DONE, 0, context.result, time, "", 0);
    flush_reports();
  }
  SYSCALL1(exit_group, 1);
  __builtin_unreachable();
}
