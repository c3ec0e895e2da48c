/* Directories and files of the cgroup file system, and its device filter. */
#include "base/syscall.h"
#include "base/text.h"
#include "host/host.h"
#include "host/tree.h"
#include <linux/bpf.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/time_types.h>

int step_make_dir(struct context *context, const struct step_make_dir *step) {
  long error = SYSCALL3(mkdirat, AT_FDCWD, step->path, step->mode);
  if (error == 0) context->result = 1;
  return error < 0 && error != -EEXIST ? failed(context, "mkdir", step->path, error) : 0;
}

int step_write_file(struct context *context, const struct step_write_file *step) {
  const char *path = step->path, *value = step->value;
  long fd = SYSCALL4(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd == -ENOENT && step->other_path[0] != 0) {
    path = step->other_path;
    value = step->other_value;
    fd = SYSCALL4(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  }
  if (step->optional == 2 ? fd < 0 : fd == -ENOENT && step->optional) return 0;
  if (fd < 0) return failed(context, "openat", path, fd);
  long done = SYSCALL3(write, fd, value, strlen(value));
  close_fd((int)fd);
  return done < 0 && step->optional != 2 ? failed(context, "write", path, done) : 0;
}

int step_check_usage(struct context *context, const struct step_check_usage *step) {
  long fd = SYSCALL4(openat, AT_FDCWD, step->path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  char content[32];
  long length = SYSCALL3(read, fd, content, sizeof content);
  close_fd((int)fd);
  uint64_t used = 0;
  for (long at = 0; at < length && content[at] >= '0' && content[at] <= '9'; at++)
    used = used * 10 + (uint64_t)(content[at] - '0');
  return used < step->limit ? 0 : failed(context, "read", step->path, -EBUSY);
}

int step_change_owner(struct context *context, const struct step_change_owner *step) {
  long error = SYSCALL5(fchownat, AT_FDCWD, step->path, step->uid, -1, AT_SYMLINK_NOFOLLOW);
  if (error == -ENOENT && step->optional) return 0;
  return error < 0 ? failed(context, "fchownat", step->path, error) : 0;
}

static int open_file(struct context *context, const char *path, const char *name, int flags) {
  char buffer[4200];
  struct text text = text_in(buffer, sizeof buffer);
  text_add(&text, path);
  text_add(&text, name);
  if (text.cut) return failed(context, "openat", path, -ENAMETOOLONG);
  long fd = SYSCALL4(openat, AT_FDCWD, buffer, flags | O_CLOEXEC, 0);
  return fd < 0 ? failed(context, "openat", buffer, fd) : (int)fd;
}

/* Whether a line such as "populated 1" is in cgroup.events. */
static int says(int events, const char *line) {
  char content[256];
  long length = SYSCALL4(pread64, events, content, sizeof content - 1, 0);
  if (length < 0) return 0; /* the cgroup is gone */
  content[length] = 0;
  for (const char *at = content; *at != 0; at++)
    if (strncmp(at, line, strlen(line)) == 0) return 1;
  return 0;
}

/* 1 where processes are in the cgroup or below it, 0 where none is. */
static int populated(int events) {
  return says(events, "populated 1");
}

int step_open_cgroup(struct context *context, const struct step_open_cgroup *step) {
  int events = open_file(context, step->path, "/cgroup.events", O_RDONLY);
  if (events < 0) return events;
  int busy = populated(events), frozen = says(events, "frozen 1");
  close_fd(events);
  /* Init would be born, and never run. */
  if (frozen && !step->occupied) return failed(context, "cgroup.freeze", step->path, -EBUSY);
  if (busy && !step->occupied) return failed(context, "cgroup.events", step->path, -EBUSY);
  int fd = open_file(context, step->path, "", O_PATH | O_DIRECTORY);
  if (fd < 0) return fd;
  fill_slot(context, SLOT_CGROUP, fd);
  return 0;
}

#define MOST_FILTERS 64

/* A cgroup that was there before the container may carry the filter of one that was in it, and all of them must agree. */
static void detach_others(int cgroup, int own) {
  struct bpf_prog_info info = {0};
  union bpf_attr describe = {
      .info = {.bpf_fd = (uint32_t)own, .info_len = sizeof info, .info = (uintptr_t)&info}};
  uint32_t ids[MOST_FILTERS] = {0};
  union bpf_attr query = {.query = {.target_fd = (uint32_t)cgroup,
                                    .attach_type = BPF_CGROUP_DEVICE,
                                    .prog_ids = (uintptr_t)ids,
                                    .prog_cnt = MOST_FILTERS}};
  if (SYSCALL3(bpf, BPF_OBJ_GET_INFO_BY_FD, &describe, sizeof describe) < 0) return;
  if (SYSCALL3(bpf, BPF_PROG_QUERY, &query, sizeof query) < 0) return;
  for (uint32_t index = 0; index < query.query.prog_cnt && index < MOST_FILTERS; index++) {
    if (ids[index] == info.id) continue;
    union bpf_attr open = {.prog_id = ids[index]};
    long fd = SYSCALL3(bpf, BPF_PROG_GET_FD_BY_ID, &open, sizeof open);
    if (fd < 0) continue;
    union bpf_attr detach = {0};
    detach.target_fd = (uint32_t)cgroup;
    detach.attach_bpf_fd = (uint32_t)fd;
    detach.attach_type = BPF_CGROUP_DEVICE;
    SYSCALL3(bpf, BPF_PROG_DETACH, &detach, sizeof detach);
    close_fd((int)fd);
  }
}

int step_attach_device_filter(struct context *context, const struct step_attach_device_filter *step) {
  union bpf_attr load = {0};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = (uintptr_t)step->program.data;
  load.insn_cnt = step->program.size / sizeof(struct bpf_insn);
  load.license = (uintptr_t) "Apache-2.0";
  long program = SYSCALL3(bpf, BPF_PROG_LOAD, &load, sizeof load);
  if (program < 0) return failed(context, "bpf(BPF_PROG_LOAD)", "", program);
  union bpf_attr attach = {0};
  attach.target_fd = (uint32_t)context->slots[SLOT_CGROUP];
  attach.attach_bpf_fd = (uint32_t)program;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  long error = SYSCALL3(bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
  if (error == 0) detach_others(context->slots[SLOT_CGROUP], (int)program);
  close_fd((int)program);
  return error < 0 ? failed(context, "bpf(BPF_PROG_ATTACH)", "", error) : 0;
}

struct signalling {
  int number;
  int32_t count; /* processes that were reached */
};

/* The next number of a cgroup.procs file; 0 at its end. A number may be cut by the end of what was read. */
struct pid_reader {
  int fd;
  long length, at;
  char content[4096];
};

static uint32_t next_pid(struct pid_reader *reader) {
  uint32_t pid = 0;
  for (;;) {
    if (reader->at == reader->length) {
      reader->length = SYSCALL3(read, reader->fd, reader->content, sizeof reader->content);
      reader->at = 0;
      if (reader->length <= 0) {
        reader->length = 0;
        return 0;
      }
    }
    char digit = reader->content[reader->at++];
    if (digit >= '0' && digit <= '9')
      pid = pid * 10 + (uint32_t)(digit - '0');
    else if (pid > 0)
      return pid; /* 0 stands for a process that cannot be seen from here */
  }
}

#define PIDS_AT_ONCE 16

/* Signals every process of the cgroup `name` in `parent`. A pid may be somebody else's as soon as it was read: it is
   signalled through a pidfd, if it is still in the list after that was opened. */
static void signal_members(void *state, int parent, const char *name) {
  struct signalling *signalling = state;
  char path[4200];
  struct text text = text_in(path, sizeof path);
  text_add(&text, name);
  text_add(&text, "/cgroup.procs");
  struct pid_reader list, again;
  list.fd = text.cut ? -1 : (int)SYSCALL4(openat, parent, path, O_RDONLY | O_CLOEXEC, 0);
  list.length = list.at = 0;
  if (list.fd < 0) return;
  for (uint32_t pids[PIDS_AT_ONCE], count = PIDS_AT_ONCE; count == PIDS_AT_ONCE;) {
    int pidfds[PIDS_AT_ONCE];
    for (count = 0; count < PIDS_AT_ONCE && (pids[count] = next_pid(&list)) != 0; count++)
      pidfds[count] = (int)SYSCALL2(pidfd_open, pids[count], 0);
    again.fd = (int)SYSCALL4(openat, parent, path, O_RDONLY | O_CLOEXEC, 0);
    again.length = again.at = 0;
    for (uint32_t pid; again.fd >= 0 && (pid = next_pid(&again)) != 0;) {
      for (uint32_t i = 0; i < count; i++) {
        if (pids[i] != pid || pidfds[i] < 0) continue;
        if (SYSCALL4(pidfd_send_signal, pidfds[i], signalling->number, 0, 0) == 0) signalling->count++;
        close_fd(pidfds[i]);
        pidfds[i] = -1;
      }
    }
    close_fd(again.fd);
    for (uint32_t i = 0; i < count; i++) close_fd(pidfds[i]);
  }
  close_fd(list.fd);
}

#define WALK_SECONDS 10

/* Signals every process of a cgroup and of those below it. Gives their number, or a negative errno. */
static long signal_tree(const char *path, int number) {
  struct signalling signalling = {.number = number};
  long top = SYSCALL4(openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (top < 0) return top;
  signal_members(&signalling, (int)top, ".");
  walk_below((int)top, now() + WALK_SECONDS * 1000000000ull, signal_members, &signalling);
  return signalling.count;
}

int step_signal_cgroup(struct context *context, const struct step_signal_cgroup *step) {
  long count = signal_tree(step->path, step->signal);
  if (count == -ENOENT) count = 0;
  if (count < 0) return failed(context, "openat", step->path, count);
  context->result = (int32_t)count;
  return 0;
}

#define KILL_SECONDS 10

int step_kill_cgroup(struct context *context, const struct step_kill_cgroup *step) {
  int events = open_file(context, step->path, "/cgroup.events", O_RDONLY);
  if (events == -ENOENT) return 0;
  if (events < 0) return events;
  uint64_t deadline = now() + KILL_SECONDS * 1000000000ull;
  int error = 0;
  for (int round = 0; populated(events); round++) {
    int kill = open_file(context, step->path, "/cgroup.kill", O_WRONLY);
    if (kill >= 0) {
      SYSCALL3(write, kill, "1", 1);
      close_fd(kill);
    }
    /* Kernels before 5.14 have no cgroup.kill, and it passes over a process whose first thread has ended. */
    if (kill < 0 || round > 0) signal_tree(step->path, 9);
    if (now() > deadline) {
      error = failed(context, "cgroup.kill", step->path, -EBUSY);
      break;
    }
    /* cgroup.events wakes pollers when the last process is gone; the time is for what is forked meanwhile. */
    struct pollfd fds = {events, POLLPRI, 0};
    struct __kernel_timespec wait = {.tv_nsec = 20000000};
    if (populated(events)) SYSCALL5(ppoll, &fds, 1, &wait, 0, 0);
  }
  close_fd(events);
  return error;
}

static void remove_visited(void *state, int parent, const char *name) {
  (void)state;
  SYSCALL3(unlinkat, parent, name, AT_REMOVEDIR);
}

/* Removes a cgroup with what the container made below it. */
static long remove_tree(const char *path) {
  long error = SYSCALL3(unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
  if (error != -EBUSY && error != -ENOTEMPTY) return error;
  long top = SYSCALL4(openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (top < 0) return top;
  walk_below((int)top, now() + WALK_SECONDS * 1000000000ull, remove_visited, 0);
  return SYSCALL3(unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

#define BUSY_SECONDS 2

int step_remove_dir(struct context *context, const struct step_remove_dir *step) {
  if (!step->below) {
    long error = SYSCALL3(unlinkat, AT_FDCWD, step->path, AT_REMOVEDIR);
    int others = error == -ENOENT || error == -EBUSY || error == -ENOTEMPTY;
    return error < 0 && !others ? failed(context, "rmdir", step->path, error) : 0;
  }
  /* A process that has just ended may hold its cgroup for a moment longer: EBUSY, and soon not any more. */
  uint64_t deadline = now() + BUSY_SECONDS * 1000000000ull;
  for (;;) {
    long error = remove_tree(step->path);
    if (error == -ENOENT || error == 0) return 0;
    if (error != -EBUSY || now() > deadline) return failed(context, "rmdir", step->path, error);
    struct __kernel_timespec wait = {.tv_nsec = 1000000};
    SYSCALL2(nanosleep, &wait, 0);
  }
}

int step_remove_file(struct context *context, const struct step_remove_file *step) {
  long error = SYSCALL3(unlinkat, AT_FDCWD, step->path, 0);
  return error < 0 && error != -ENOENT ? failed(context, "unlink", step->path, error) : 0;
}
