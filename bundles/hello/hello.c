/* The program of bundles/hello: greets, and prints what a process in a container sees of itself. It asks only the
   kernel, and a thing that it may not see is said to be hidden: the same binary runs under any runtime, or under none. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* By number, as in linux/capability.h. */
static const char *const capabilities[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
enum { CAPABILITIES = sizeof capabilities / sizeof *capabilities };

static void label(const char *name) {
  printf("  %-16s", name);
}

/* The first line of a file without its end; NULL where there is none. */
static const char *first_line(const char *path) {
  static char line[4096];
  FILE *file = fopen(path, "re");
  if (file == NULL) return NULL;
  char *got = fgets(line, sizeof line, file);
  fclose(file);
  if (got != NULL) line[strcspn(line, "\n")] = '\0';
  return got;
}

/* What follows "NAME:" and white space in /proc/self/status. */
static const char *status(const char *name) {
  static char line[256];
  FILE *file = fopen("/proc/self/status", "re");
  size_t length = strlen(name);
  const char *value = NULL;
  while (file != NULL && value == NULL && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, length) == 0 && line[length] == ':') {
      line[strcspn(line, "\n")] = '\0';
      value = line + length + 1 + strspn(line + length + 1, " \t");
    }
  if (file != NULL) fclose(file);
  return value;
}

static void show_capabilities(void) {
  label("capabilities");
  const char *hex = status("CapEff");
  if (hex == NULL) {
    puts("hidden: no /proc");
    return;
  }
  unsigned long long set = strtoull(hex, NULL, 16);
  if (set == 0) printf("none");
  for (int i = 0; i < CAPABILITIES; i++)
    if (set >> i & 1) printf("%s%s", capabilities[i], set >> i == 1 ? "" : " ");
  puts("");
}

static void show_privileges(void) {
  const char *value = status("NoNewPrivs");
  label("new privileges");
  puts(value == NULL ? "hidden: no /proc" : *value == '1' ? "never" : "possible");
  value = status("Seccomp");
  label("seccomp");
  puts(value == NULL ? "hidden" : *value == '0' ? "none" : *value == '1' ? "strict" : "filter");
}

static void show_cgroup(void) {
  FILE *file = fopen("/proc/self/cgroup", "re");
  char line[4096];
  label("cgroup");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "0::", 3) == 0) {
      printf("%s", line + 3);
      fclose(file);
      return;
    }
  if (file != NULL) fclose(file);
  puts("hidden: no cgroup v2 in /proc/self/cgroup");
}

/* 1 if the limit is there to be seen. */
static int show_limit(const char *name, const char *unit) {
  char path[128];
  snprintf(path, sizeof path, "/sys/fs/cgroup/%s", name);
  const char *value = first_line(path);
  if (value == NULL) return 0;
  label(name);
  printf("%s%s\n", value, strncmp(value, "max", 3) == 0 ? "" : unit);
  return 1;
}

static void show_limits(void) {
  int shown = show_limit("memory.max", " bytes");
  shown |= show_limit("pids.max", " processes");
  shown |= show_limit("cpu.max", " (microseconds, and of which period)");
  if (!shown) {
    label("limits");
    puts("hidden: no cgroup controllers here");
  }
}

static void show_open_files(void) {
  struct rlimit limit;
  label("open files");
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    printf("%llu soft, %llu hard\n", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
  else
    puts(strerror(errno));
}

static void show_namespaces(void) {
  static const char *const kinds[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time"};
  label("namespaces");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char path[32];
    struct stat info;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    if (i == 4) printf("\n%18s", "");
    if (stat(path, &info) == 0)
      printf("%-6s %llu%s", kinds[i], (unsigned long long)info.st_ino, i % 4 == 3 ? "" : "  ");
  }
  puts("");
}

static void show_mounts(void) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  int count = 0;
  int character;
  while (file != NULL && (character = getc(file)) != EOF) count += character == '\n';
  if (file != NULL) fclose(file);
  label("mounts");
  printf("%d, the root is %s\n", count,
         access("/", W_OK) == 0 ? "writable"
         : errno == EROFS       ? "read-only"
                                : "not ours");
}

int main(void) {
  char hostname[256] = "hidden";
  gethostname(hostname, sizeof hostname - 1);

  puts("hello from tsrun\n");
  label("pid");
  printf("%d\n", (int)getpid());
  label("hostname");
  puts(hostname);
  label("user");
  printf("uid %u, gid %u\n", (unsigned)getuid(), (unsigned)getgid());
  show_capabilities();
  show_privileges();
  show_cgroup();
  show_limits();
  show_open_files();
  show_namespaces();
  show_mounts();
  return fflush(stdout) == 0 ? 0 : 1;
}
