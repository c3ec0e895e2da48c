/* Runs one command in the machine for scripts/vm.mjs: pid 1, or a service of systemd. The two talk over a virtio port in
   frames: a letter, the length of what follows in 4 bytes (little endian), and that.

     from the host   R  what to run: "t" for a terminal or "", the directory, the number of arguments, arguments,
                        environment, each ended by a NUL
                     I  standard input; an empty one is its end. At most WINDOW bytes are on their way
                     S  a signal for the command, one byte
                     W  the size of the terminal: rows and columns, 2 bytes each
     from here       B  ready to run something
                     A  so many bytes of standard input were taken, 4 bytes
                     O  standard output          E  standard error
                     X  the command has ended: its exit code, one byte; 128 + n by signal n */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW 65536
#define PORT "/dev/vport0p1"

struct command {
  bool terminal;
  pid_t pid;
  int in, out, err; /* -1 once closed; the same descriptor three times with a terminal */
  int status;
  bool ended;
};

/* Standard input that the command has not yet taken. */
static struct {
  char bytes[WINDOW];
  size_t size;
  bool end;
} pending;

static int port;

static void stop(const char *why) {
  int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  if (kmsg >= 0) dprintf(kmsg, "machine: %s: %s\n", why, strerror(errno));
  sync();
  reboot(RB_POWER_OFF);
  _exit(1);
}

static void put(const void *bytes, size_t size) {
  for (const char *at = bytes; size > 0;) {
    ssize_t done = write(port, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) stop("write to the host");
    at += done;
    size -= (size_t)done;
  }
}

static void send_frame(char kind, const void *bytes, uint32_t size) {
  char head[5] = {kind};
  memcpy(head + 1, &size, 4);
  put(head, sizeof head);
  put(bytes, size);
}

/* The port reads 0 where the host has closed its side: nobody is left to run anything for. */
static void get(void *bytes, size_t size) {
  for (char *at = bytes; size > 0;) {
    ssize_t done = read(port, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) stop("the host is gone");
    at += done;
    size -= (size_t)done;
  }
}

static char *get_frame(char *kind, uint32_t *size) {
  char head[5];
  get(head, sizeof head);
  *kind = head[0];
  memcpy(size, head + 1, 4);
  char *bytes = malloc(*size + 1);
  if (bytes == NULL) stop("malloc");
  get(bytes, *size);
  bytes[*size] = 0;
  return bytes;
}

static char *next_text(char **at) {
  char *text = *at;
  *at += strlen(text) + 1;
  return text;
}

static void become(char *request, char *end) {
  const char *directory = next_text(&request);
  int count = atoi(next_text(&request));
  char **arguments = calloc((size_t)count + 1, sizeof *arguments);
  if (arguments == NULL) _exit(126);
  for (int index = 0; index < count; index++) arguments[index] = next_text(&request);
  clearenv();
  while (request < end) putenv(next_text(&request));
  if (chdir(directory) < 0) {
    dprintf(2, "vm: %s: %s\n", directory, strerror(errno));
    _exit(126);
  }
  execvp(arguments[0], arguments);
  int error = errno;
  dprintf(2, "vm: %s: %s\n", arguments[0], strerror(error));
  _exit(error == ENOENT ? 127 : 126);
}

static void reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
}

static struct command start(char *request, char *end) {
  struct command command = {.terminal = *next_text(&request) == 't'};
  if (command.terminal) {
    command.pid = forkpty(&command.in, NULL, NULL, NULL);
    if (command.pid < 0) stop("forkpty");
    if (command.pid == 0) {
      reset_signals();
      become(request, end);
    }
    command.out = command.in;
    command.err = -1;
    return command;
  }
  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) stop("pipe");
  command.pid = fork();
  if (command.pid < 0) stop("fork");
  if (command.pid == 0) {
    setsid();
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    reset_signals();
    become(request, end);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  command.in = in[1];
  command.out = out[0];
  command.err = err[0];
  fcntl(command.in, F_SETFL, O_NONBLOCK);
  return command;
}

/* False where nothing can come any more. */
static bool copy_output(int fd, char kind) {
  char bytes[32768];
  ssize_t size = read(fd, bytes, sizeof bytes);
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (size <= 0) return false; /* EIO: nobody has the terminal open */
  send_frame(kind, bytes, (uint32_t)size);
  return true;
}

static void close_input(struct command *command) {
  if (command->in >= 0 && !command->terminal) close(command->in);
  command->in = -1;
}

static void feed(struct command *command) {
  if (pending.size > 0) {
    /* Where nobody reads any more, what comes is thrown away. */
    ssize_t done = command->in >= 0 ? write(command->in, pending.bytes, pending.size) : -1;
    if (command->in >= 0 && done < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (done < 0) close_input(command);
    uint32_t taken = done < 0 ? (uint32_t)pending.size : (uint32_t)done;
    pending.size -= taken;
    memmove(pending.bytes, pending.bytes + taken, pending.size);
    send_frame('A', &taken, sizeof taken);
  }
  if (pending.size == 0 && pending.end) close_input(command);
}

static void obey(struct command *command) {
  char kind;
  uint32_t size;
  char *bytes = get_frame(&kind, &size);
  if (kind == 'I' && size <= sizeof pending.bytes - pending.size) {
    memcpy(pending.bytes + pending.size, bytes, size);
    pending.size += size;
    pending.end |= size == 0;
    feed(command);
  } else if (kind == 'S' && size == 1) {
    kill(-command->pid, bytes[0]);
  } else if (kind == 'W' && size == 4 && command->terminal) {
    struct winsize window = {0};
    memcpy(&window, bytes, size);
    ioctl(command->in, TIOCSWINSZ, &window);
  }
  free(bytes);
}

/* All that has ended, as pid 1 has to; the command among it. */
static void reap(struct command *command) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != command->pid) continue;
    command->ended = true;
    command->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

static void attend(struct command *command, const sigset_t *waiting) {
  struct pollfd fds[] = {
      {.fd = port, .events = POLLIN},
      {.fd = command->in, .events = pending.size > 0 ? POLLOUT : 0},
      {.fd = command->out, .events = POLLIN},
      {.fd = command->err, .events = POLLIN},
  };
  if (ppoll(fds, 4, NULL, waiting) < 0 && errno != EINTR) stop("ppoll");
  reap(command);
  if (fds[0].revents) obey(command);
  if (fds[1].revents & POLLOUT)
    feed(command);
  else if (fds[1].revents & POLLERR)
    close_input(command); /* poll would tell of it again and again */
  if (fds[2].revents && !copy_output(command->out, 'O')) {
    if (!command->terminal) close(command->out);
    command->out = -1;
  }
  if (fds[3].revents && !copy_output(command->err, 'E')) {
    close(command->err);
    command->err = -1;
  }
}

/* What the command wrote before it ended. Its background processes may hold the other ends open for ever. */
static void drain(int fd, char kind) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  while (fd >= 0 && poll(&ready, 1, 0) == 1 && copy_output(fd, kind)) {
  }
}

static void wake(int number) {
  (void)number;
}

int main(void) {
  for (int tries = 0; (port = open(PORT, O_RDWR | O_CLOEXEC)) < 0; tries++) {
    if (tries == 1000) stop(PORT);
    usleep(5000);
  }
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {.sa_handler = wake};
  sigaction(SIGCHLD, &action, NULL);
  sigset_t blocked, waiting;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, &waiting);

  send_frame('B', "", 0);
  char kind;
  uint32_t size;
  char *request = get_frame(&kind, &size);
  if (kind != 'R') stop("the first word of the host");
  struct command command = start(request, request + size);
  while (!command.ended) attend(&command, &waiting);
  drain(command.out, 'O');
  drain(command.err, 'E');
  sync();
  send_frame('X', &(char){(char)command.status}, 1);
  /* The host ends the machine; where it is gone, so is the machine. */
  for (;;) free(get_frame(&kind, &size));
}
