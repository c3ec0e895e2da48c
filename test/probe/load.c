/* A static program that uses up one resource inside a container, and prints what the kernel let it have. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define HUGE_PAGE (2 * MIB)

/* Touches COUNT MiB, one after the other. */
static int use_memory(char **args) {
  long count = atol(args[0]);
  char *memory =
      mmap(NULL, (size_t)(count * MIB), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return printf("mmap %s\n", strerrorname_np(errno)) < 0;
  for (long at = 0; at < count * MIB; at += 4096) memory[at] = (char)(at >> 12 | 1);
  printf("used %ld\n", count);
  return 0;
}

/* Forks children that stay, until it is refused; then ends them. */
static int use_processes(char **args) {
  int most = atoi(args[0]), count = 0;
  pid_t children[4096];
  while (count < most && count < 4096) {
    pid_t pid = fork();
    if (pid == 0)
      for (;;) pause();
    if (pid < 0) break;
    children[count++] = pid;
  }
  printf("forked %d %s\n", count, count == most ? "ok" : strerrorname_np(errno));
  for (int index = 0; index < count; index++) kill(children[index], SIGKILL);
  while (wait(NULL) > 0) continue;
  return 0;
}

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Computes for so many seconds of time; what it got of the CPU meanwhile, in percent. */
static int use_cpu(char **args) {
  double start = seconds(CLOCK_MONOTONIC), end = start + atof(args[0]), now;
  while ((now = seconds(CLOCK_MONOTONIC)) < end) continue;
  printf("percent %.0f\n", 100 * seconds(CLOCK_PROCESS_CPUTIME_ID) / (now - start));
  return 0;
}

/* Reads or writes COUNT blocks of SIZE bytes of a file, past the page cache; in milliseconds. */
static int use_disk(char **args) {
  int writes = args[1][0] == 'w', count = atoi(args[2]);
  size_t size = strtoul(args[3], NULL, 10);
  int fd = open(args[0], (writes ? O_WRONLY : O_RDONLY) | O_DIRECT);
  if (fd < 0) return printf("open %s\n", strerrorname_np(errno)) < 0;
  void *block = aligned_alloc(4096, size);
  if (block == NULL) return 1;
  memset(block, 0, size);
  double start = seconds(CLOCK_MONOTONIC);
  for (int index = 0; index < count; index++)
    if ((writes ? write(fd, block, size) : read(fd, block, size)) < 0)
      return printf("io %s\n", strerrorname_np(errno)) < 0;
  printf("ms %.0f\n", 1000 * (seconds(CLOCK_MONOTONIC) - start));
  return 0;
}

/* Maps and touches COUNT huge pages of 2 MiB. */
static int use_huge_pages(char **args) {
  long count = atol(args[0]);
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
  char *memory = mmap(NULL, (size_t)(count * HUGE_PAGE), PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) return printf("mmap %s\n", strerrorname_np(errno)) < 0;
  for (long page = 0; page < count; page++) memory[page * HUGE_PAGE] = 1;
  printf("used %ld\n", count);
  return 0;
}

static const struct verb {
  const char *name;
  int count;
  int (*run)(char **args);
} verbs[] = {
    {"memory", 1, use_memory}, {"processes", 1, use_processes},   {"cpu", 1, use_cpu},
    {"disk", 4, use_disk},     {"huge-pages", 1, use_huge_pages},
};

int main(int argc, char **argv) {
  for (size_t index = 0; argc > 1 && index < sizeof verbs / sizeof *verbs; index++)
    if (strcmp(argv[1], verbs[index].name) == 0 && argc - 2 == verbs[index].count)
      return verbs[index].run(argv + 2);
  fprintf(stderr, "load: no such verb, or the wrong number of arguments\n");
  return 2;
}
