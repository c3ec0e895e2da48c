/* Walking the directories below one, however deep somebody else made them. */
#pragma once
#include <stdint.h>

/* What is done with the directory `name` in `parent`. */
typedef void visit_directory(void *state, int parent, const char *name);

/* Visits every directory below `top`, children before their parents, with two descriptors whatever the depth: the way up
   is "..", and the inode says where in its parent a directory stood. Ends early after `deadline` (see now()), and where
   a directory vanishes under its feet. `top` is closed. */
void walk_below(int top, uint64_t deadline, visit_directory *visit, void *state);
