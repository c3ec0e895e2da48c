#include "host/tree.h"
#include "base/syscall.h"
#include "base/text.h"
#include "steps/context.h"
#include <linux/fcntl.h>
#include <linux/stat.h>

#define DT_DIR 4
#define OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct directory_entry {
  uint64_t inode, offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

struct place {
  char left[256]; /* the directory that was just left, '' where there is none of its inode */
  char next[256]; /* the first behind it, '' at the end */
};

static void copy_name(char *to, const char *name) {
  struct text text = text_in(to, 256);
  text_add(&text, name);
}

/* Where in `fd`, which was just opened, the walk goes on after the directory with inode `left`; 0: from the start. */
static void find_place(int fd, uint64_t left, struct place *place) {
  _Alignas(8) char buffer[4096];
  int behind = left == 0;
  place->left[0] = place->next[0] = 0;
  for (long length; (length = SYSCALL3(getdents64, fd, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < length;) {
      struct directory_entry *entry = (struct directory_entry *)(void *)(buffer + at);
      at += entry->length;
      if (entry->type != DT_DIR || strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
      if (behind) {
        copy_name(place->next, entry->name);
        return;
      }
      if (entry->inode != left) continue;
      copy_name(place->left, entry->name);
      behind = 1;
    }
  }
}

static uint64_t inode_of(int fd) {
  struct statx stat = {0};
  return SYSCALL5(statx, fd, "", AT_EMPTY_PATH, STATX_INO, &stat) < 0 ? 0 : stat.stx_ino;
}

void walk_below(int top, uint64_t deadline, visit_directory *visit, void *state) {
  struct place place;
  uint64_t left = 0;
  long fd = top;
  for (unsigned long depth = 0; now() < deadline;) {
    find_place((int)fd, left, &place);
    if (place.left[0] != 0) visit(state, (int)fd, place.left);
    long other;
    if (place.next[0] != 0) {
      left = 0;
      other = SYSCALL4(openat, fd, place.next, OPEN_FLAGS, 0);
      depth++;
    } else {
      if (depth == 0) break;
      left = inode_of((int)fd);
      other = SYSCALL4(openat, fd, "..", OPEN_FLAGS, 0);
      depth--;
    }
    if (other < 0) break;
    close_fd((int)fd);
    fd = other;
  }
  close_fd((int)fd);
}
