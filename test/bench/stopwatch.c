/* Times programs against each other: one small static process that does nothing but start them and wait, so that its own
   size and speed stay out of the numbers. The contenders take turns, so that a noisy moment hits all of them alike.

     stopwatch ROUNDS WARMUP LANE...      LANE is: -- COMMAND [ARGUMENT...] [';' COMMAND [ARGUMENT...]]...

   The time of a lane is that of its commands one after the other. Three commands are built in:
     @gone PIDFILE         waits, outside the time, until the process in the file has ended and reaps it if it is ours
     @empty DIRECTORY      removes, outside the time, the files in it
     @times N COMMAND...   starts N at once, %% in each argument replaced by their number, and waits for all

   Out: a line per round and lane: lane, nanoseconds, user and system microseconds, largest RSS in kB, page faults.
   A command that fails ends it all: its stderr stands in the file stopwatch.err of the working directory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_AT_ONCE = 1000, MOST_ARGUMENTS = 256 };

struct cost {
  int64_t nanoseconds;
  int64_t user;
  int64_t system;
  long rss;
  long faults;
};

extern char **environ;
static posix_spawn_file_actions_t quiet;

static void die(const char *what, const char *object) {
  fprintf(stderr, "stopwatch: %s %s: %s\n", what, object, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static pid_t start(char **command) {
  pid_t pid;
  errno = posix_spawnp(&pid, command[0], &quiet, NULL, command, environ);
  if (errno != 0) die("cannot start", command[0]);
  return pid;
}

static void finish(pid_t pid, char **command, struct cost *cost) {
  struct rusage usage;
  int status;
  while (wait4(pid, &status, 0, &usage) < 0)
    if (errno != EINTR) die("cannot wait for", command[0]);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr,
            "stopwatch: status %d of:", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    for (char **argument = command; *argument != NULL; argument++) fprintf(stderr, " %s", *argument);
    fprintf(stderr, "\n");
    exit(1);
  }
  cost->user += usage.ru_utime.tv_sec * INT64_C(1000000) + usage.ru_utime.tv_usec;
  cost->system += usage.ru_stime.tv_sec * INT64_C(1000000) + usage.ru_stime.tv_usec;
  if (usage.ru_maxrss > cost->rss) cost->rss = usage.ru_maxrss;
  cost->faults += usage.ru_minflt + usage.ru_majflt;
}

static void wait_until_gone(const char *pid_file) {
  FILE *file = fopen(pid_file, "re");
  int pid;
  if (file == NULL || fscanf(file, "%d", &pid) != 1) die("cannot read a pid from", pid_file);
  fclose(file);
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, -1) < 0 && errno == EINTR) {
    }
    close(fd);
  } else if (errno != ESRCH) {
    die("cannot watch the process of", pid_file);
  }
  waitpid(pid, NULL, WNOHANG);
}

/* A directory that is not there yet is empty. */
static void empty(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    if (errno != ENOENT) die("cannot read", path);
    return;
  }
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] != '.' && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
      die("cannot remove", entry->d_name);
  closedir(directory);
}

/* The arguments with the number in place of %%. */
static char **numbered(char **command, int number) {
  char **copy = calloc(MOST_ARGUMENTS, sizeof *copy);
  for (int i = 0; command[i] != NULL; i++) {
    const char *mark = strstr(command[i], "%%");
    if (mark == NULL) {
      copy[i] = command[i];
    } else if (asprintf(&copy[i], "%.*s%d%s", (int)(mark - command[i]), command[i], number, mark + 2) < 0) {
      die("no memory for", command[i]);
    }
  }
  return copy;
}

static void run_many(char **command, struct cost *cost) {
  int count = atoi(command[0]);
  if (count < 1 || count > MOST_AT_ONCE) die("@times of", command[0]);
  pid_t pids[MOST_AT_ONCE];
  char **commands[MOST_AT_ONCE];
  for (int i = 0; i < count; i++) commands[i] = numbered(command + 1, i);
  int64_t began = now();
  for (int i = 0; i < count; i++) pids[i] = start(commands[i]);
  for (int i = 0; i < count; i++) finish(pids[i], commands[i], cost);
  cost->nanoseconds += now() - began;
}

/* A lane ends at its NULL; its commands are separated by an argument that is a semicolon. */
static void run_lane(char **lane, struct cost *cost) {
  char *command[MOST_ARGUMENTS];
  while (*lane != NULL) {
    int length = 0;
    while (*lane != NULL && strcmp(*lane, ";") != 0 && length < MOST_ARGUMENTS - 1)
      command[length++] = *lane++;
    command[length] = NULL;
    if (*lane != NULL) lane++;
    if (length == 0) continue;
    if (strcmp(command[0], "@gone") == 0) {
      wait_until_gone(command[1]);
    } else if (strcmp(command[0], "@empty") == 0) {
      empty(command[1]);
    } else if (strcmp(command[0], "@times") == 0) {
      run_many(command + 1, cost);
    } else {
      int64_t began = now();
      finish(start(command), command, cost);
      cost->nanoseconds += now() - began;
    }
  }
}

int main(int argc, char **argv) {
  char **lanes[16];
  int count = 0;
  for (int i = 3; i < argc && count < 16; i++)
    if (strcmp(argv[i], "--") == 0) {
      argv[i] = NULL;
      lanes[count++] = argv + i + 1;
    }
  if (argc < 4 || count == 0) {
    fprintf(stderr, "usage: stopwatch ROUNDS WARMUP -- COMMAND...\n");
    return 2;
  }
  /* A created container outlives the command that made it; without this it would wait for the host's init to be reaped. */
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&quiet, 2, "stopwatch.err", O_WRONLY | O_CREAT | O_TRUNC, 0644);

  int rounds = atoi(argv[1]);
  int warmup = atoi(argv[2]);
  for (int round = -warmup; round < rounds; round++)
    for (int i = 0; i < count; i++) {
      /* Whom each one follows changes from round to round: caches and clock speed are as the one before left them. */
      int turn = round + warmup;
      int place = (i + turn / 2) % count;
      int lane = turn % 2 == 0 ? place : count - 1 - place;
      struct cost cost = {0};
      run_lane(lanes[lane], &cost);
      while (waitpid(-1, NULL, WNOHANG) > 0) {
      }
      if (round >= 0)
        printf("%d %lld %lld %lld %ld %ld\n", lane, (long long)cost.nanoseconds, (long long)cost.user,
               (long long)cost.system, cost.rss, cost.faults);
    }
  return 0;
}
