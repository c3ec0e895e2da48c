/* System calls without a C library: the same code runs inside init, which has none, and inside the engine's process.
   Each returns what the kernel returns: a negative errno on failure. */
#pragma once
#include <asm/unistd.h>
#include <linux/errno.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
  long answer;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return answer;
}
#elif defined(__aarch64__)
static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "tsrun knows the system calls of x86_64 and aarch64 only"
#endif

#define SYSCALL_ARG(x) ((long)(x))
#define SYSCALL6(name, a, b, c, d, e, f)                                                                     \
  raw_syscall(__NR_##name, SYSCALL_ARG(a), SYSCALL_ARG(b), SYSCALL_ARG(c), SYSCALL_ARG(d), SYSCALL_ARG(e),   \
              SYSCALL_ARG(f))
#define SYSCALL5(name, a, b, c, d, e) SYSCALL6(name, a, b, c, d, e, 0)
#define SYSCALL4(name, a, b, c, d) SYSCALL6(name, a, b, c, d, 0, 0)
#define SYSCALL3(name, a, b, c) SYSCALL6(name, a, b, c, 0, 0, 0)
#define SYSCALL2(name, a, b) SYSCALL6(name, a, b, 0, 0, 0, 0)
#define SYSCALL1(name, a) SYSCALL6(name, a, 0, 0, 0, 0, 0)
#define SYSCALL0(name) SYSCALL6(name, 0, 0, 0, 0, 0, 0)
