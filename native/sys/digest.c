/* Digests: names for what is kept by its content. */
#include "gen/sys.gen.h"
#include "sys/sha256.h"

int64_t sys_sha256(struct sys_in text, struct sys_out *out) {
  struct sha256 hash;
  char digits[64];
  sha256_start(&hash);
  sha256_add(&hash, text.data, text.size);
  sha256_end(&hash, digits);
  return sys_give(out, digits, sizeof digits);
}
