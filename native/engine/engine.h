/* The QuickJS form of tsrun. */
#pragma once
#include <stdio.h>
#include <quickjs.h>

/* The object behind `sys`. */
JSValue make_door(JSContext *js);

/* The allocator of the runtime. */
extern const JSMallocFunctions engine_memory;

/* A module of the bundle as bytecode; the table is made by scripts/bytecode.mjs and ends in a NULL name. */
struct module {
  const char *name;
  const unsigned char *start, *end;
};
extern const struct module modules[];
