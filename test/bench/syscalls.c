/* Makes the cheapest system call COUNT times and prints what one took, in nanoseconds. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int main(int argc, char **argv) {
  long count = argc > 1 ? atol(argv[1]) : 0;
  if (count < 1) {
    fprintf(stderr, "usage: syscalls COUNT\n");
    return 2;
  }
  int64_t began = now();
  for (long i = 0; i < count; i++) syscall(SYS_getppid);
  printf("%.2f\n", (double)(now() - began) / (double)count);
  return 0;
}
