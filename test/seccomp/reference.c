/* What libseccomp makes of profiles, for comparison with ours. Rules are handed to it as runc hands them.

   In, a line each, fields with a space between, numbers in hexadecimal:
     P ACTION OPTIMIZE ARCH...                 begins a profile: the default action as the kernel has it, tokens of seccomp.h
     R ACTION NAME [ARG OP VALUE VALUE]...     a rule for one system call; OP as in enum scmp_compare
     E                                         ends it
   Out, a line a profile: the name of the errno at which libseccomp gave up, or ok; the highest system call number for
   each of the profile's architectures, 0 where there is none; the program, 8 bytes an instruction, in hexadecimal. */
#define _GNU_SOURCE
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_ARCHS = 8 };

static scmp_filter_ctx filter;
static uint32_t default_action, archs[MOST_ARCHS];
static int arch_count, highest[MOST_ARCHS], failure;

static uint32_t number(void) {
  return (uint32_t)strtoul(strtok(NULL, " ") ?: "0", NULL, 16);
}

static void note(int result) {
  if (result < 0 && failure == 0) failure = -result;
}

static void begin(void) {
  failure = arch_count = 0;
  default_action = number();
  uint32_t optimize = number();
  filter = seccomp_init(default_action);
  if (filter == NULL) exit(1);
  for (char *word; (word = strtok(NULL, " ")) != NULL && arch_count < MOST_ARCHS; arch_count++) {
    archs[arch_count] = (uint32_t)strtoul(word, NULL, 16);
    highest[arch_count] = 0;
    if (seccomp_arch_exist(filter, archs[arch_count]) != 0) note(seccomp_arch_add(filter, archs[arch_count]));
  }
  uint32_t native = seccomp_arch_native();
  int is_native = 0;
  for (int i = 0; i < arch_count; i++) is_native |= archs[i] == native;
  if (!is_native) note(seccomp_arch_remove(filter, native));
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, optimize);
}

/* The number in the table of x86 of a call that libseccomp resolves to its place behind socketcall or ipc. */
static int direct_number(uint32_t arch, const char *name, int found) {
  for (int number = 300; found < -100 && found > -300 && number < 500; number++) {
    char *other = seccomp_syscall_resolve_num_arch(arch, number);
    int same = other != NULL && strcmp(other, name) == 0;
    free(other);
    if (same) return number;
  }
  return found;
}

static void add_rule(void) {
  uint32_t action = number();
  const char *name = strtok(NULL, " ");
  if (name == NULL) exit(1);
  for (int i = 0; i < arch_count; i++) {
    int found = direct_number(archs[i], name, seccomp_syscall_resolve_name_arch(archs[i], name));
    if (found > highest[i]) highest[i] = found;
  }
  struct scmp_arg_cmp args[16];
  unsigned count = 0, uses[6] = {0}, twice = 0;
  for (char *word; (word = strtok(NULL, " ")) != NULL && count < 16; count++) {
    args[count].arg = (unsigned)strtoul(word, NULL, 16);
    args[count].op = (enum scmp_compare)number();
    args[count].datum_a = strtoull(strtok(NULL, " ") ?: "0", NULL, 16);
    args[count].datum_b = strtoull(strtok(NULL, " ") ?: "0", NULL, 16);
    if (args[count].arg < 6 && ++uses[args[count].arg] > 1) twice = 1;
  }
  int syscall = seccomp_syscall_resolve_name(name);
  if (action == default_action || syscall == __NR_SCMP_ERROR) return;
  if (!twice) {
    note(seccomp_rule_add_array(filter, action, syscall, count, args));
    return;
  }
  for (unsigned i = 0; i < count; i++) note(seccomp_rule_add_array(filter, action, syscall, 1, args + i));
}

static void finish(void) {
  int file = memfd_create("program", MFD_CLOEXEC);
  note(seccomp_export_bpf(filter, file));
  printf("%s", failure == 0 ? "ok" : strerrorname_np(failure));
  for (int i = 0; i < arch_count; i++) printf(" %x", (unsigned)highest[i]);
  putchar(' ');
  uint8_t instruction[8];
  lseek(file, 0, SEEK_SET);
  while (failure == 0 && read(file, instruction, sizeof instruction) == sizeof instruction)
    for (unsigned i = 0; i < sizeof instruction; i++) printf("%02x", instruction[i]);
  putchar('\n');
  close(file);
  seccomp_release(filter);
}

int main(void) {
  static char line[65536];
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    const char *word = strtok(line, " ");
    if (word == NULL) continue;
    if (*word == 'P') begin();
    if (*word == 'R') add_rule();
    if (*word == 'E') finish();
  }
  return 0;
}
