/* Lists the system calls that libseccomp knows, for scripts/syscalls.mjs. A line each: architecture, number, name. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
  const char *name;
  uint32_t token;
  int first; /* where its own numbers begin, beside those from 0 on */
} archs[] = {
    {"x86_64", SCMP_ARCH_X86_64, 0},
    {"x86", SCMP_ARCH_X86, 0},
    {"x32", SCMP_ARCH_X32, 0x40000000},
    {"aarch64", SCMP_ARCH_AARCH64, 0},
    {"arm", SCMP_ARCH_ARM, 0xf0000},
    {"other", SCMP_ARCH_MIPS, 4000},
    {"other", SCMP_ARCH_MIPS64, 5000},
    {"other", SCMP_ARCH_MIPS64N32, 6000},
    {"other", SCMP_ARCH_PPC, 0},
    {"other", SCMP_ARCH_PPC64LE, 0},
    {"other", SCMP_ARCH_S390, 0},
    {"other", SCMP_ARCH_S390X, 0},
    {"other", SCMP_ARCH_PARISC, 0},
    {"other", SCMP_ARCH_RISCV64, 0},
};
enum { MOST = 1000 };

static void list(const char *arch, uint32_t token, int first) {
  for (int number = first; number < first + MOST; number++) {
    char *name = seccomp_syscall_resolve_num_arch(token, number);
    if (name != NULL) printf("%s %d %s\n", arch, number, name);
    free(name);
  }
}

int main(void) {
  for (unsigned i = 0; i < sizeof archs / sizeof *archs; i++) {
    list(archs[i].name, archs[i].token, 0);
    if (archs[i].first != 0) list(archs[i].name, archs[i].token, archs[i].first);
  }
  /* Behind socketcall(2) and ipc(2) of x86 stand calls that libseccomp numbers from -101 and -201 down. */
  for (int number = -101; number > -300; number--) {
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86, number);
    if (name != NULL) printf("multiplexed %d %s\n", number, name);
    free(name);
  }
  return 0;
}
