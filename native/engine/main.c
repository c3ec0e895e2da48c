/* tsrun: the engine, the bytecode of the TypeScript and the executor in one static program. */
#define _GNU_SOURCE
#include "engine/engine.h"
#include "sys/sys.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static JSModuleDef *read_module(JSContext *js, const char *name) {
  for (const struct module *module = modules; module->name != NULL; module++) {
    if (strcmp(module->name, name) != 0) continue;
    JSValue value =
        JS_ReadObject(js, module->start, (size_t)(module->end - module->start), JS_READ_OBJ_BYTECODE);
    if (JS_IsException(value)) return NULL;
    /* The context keeps the module; the value is only its handle. */
    JSModuleDef *definition = JS_VALUE_GET_PTR(value);
    JS_FreeValue(js, value);
    return definition;
  }
  JS_ThrowReferenceError(js, "tsrun has no module %s", name);
  return NULL;
}

static JSModuleDef *load_module(JSContext *js, const char *name, void *opaque) {
  (void)opaque;
  return read_module(js, name);
}

/* tsrunLoad(NAME): a module of the bundle at once, without a promise. For the stubs of scripts/cold.mjs. */
static JSValue load_cold(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
  (void)self;
  (void)argc;
  const char *name = JS_ToCString(js, argv[0]);
  if (name == NULL) return JS_EXCEPTION;
  JSModuleDef *module = read_module(js, name);
  JS_FreeCString(js, name);
  if (module == NULL) return JS_EXCEPTION;
  JSValue entry = JS_DupValue(js, JS_MKPTR(JS_TAG_MODULE, module));
  if (JS_ResolveModule(js, entry) < 0) return JS_EXCEPTION;
  JSValue promise = JS_EvalFunction(js, entry);
  if (JS_IsException(promise)) return JS_EXCEPTION;
  JSValue result = JS_PromiseState(js, promise) == JS_PROMISE_REJECTED
                       ? JS_Throw(js, JS_PromiseResult(js, promise))
                       : JS_GetModuleNamespace(js, module);
  JS_FreeValue(js, promise);
  return result;
}

/* Names come as they stand in the bundle, such as "./chunk-ABC.js"; all modules lie in one folder. */
static char *normalize(JSContext *js, const char *base, const char *name, void *opaque) {
  (void)base;
  (void)opaque;
  return js_strdup(js, strncmp(name, "./", 2) == 0 ? name + 2 : name);
}

static int out_of_memory(void) {
  fputs("tsrun: cannot allocate memory\n", stderr);
  return 1;
}

/* A bug of ours, not an answer to the user: commands end through sys.exit. */
static int crash(JSContext *js, JSValue thrown) {
  const char *text = JS_ToCString(js, thrown);
  if (text == NULL || strcmp(text, "InternalError: out of memory") == 0) return out_of_memory();
  fprintf(stderr, "tsrun: internal error: %s\n", text);
  JSValue stack = JS_GetPropertyStr(js, thrown, "stack");
  const char *trace = JS_ToCString(js, stack);
  if (trace != NULL) fputs(trace, stderr);
  return 1;
}

/* Closed standard descriptors would be given to the next file that is opened here, and from here to the container
   (CVE-2024-21626). Where there is no /dev/null, an empty file without a name takes its place. */
static void fill_standard_descriptors(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", O_RDWR) < 0 && memfd_create("null", 0) < 0) _exit(1);
  }
}

/* Which program this is, by its name: one file is both. */
static const char *program_of(const char *path) {
  if (path == NULL) return modules[0].name;
  const char *slash = strrchr(path, '/');
  return strcmp(slash == NULL ? path : slash + 1, "containerd-shim-tsrun-v2") == 0 ? "shim.js"
                                                                                   : modules[0].name;
}

/* tsrunCollect(): frees what only refers to itself. For programs that live long; see below. */
static JSValue collect(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
  (void)self;
  (void)argc;
  (void)argv;
  JS_RunGC(JS_GetRuntime(js));
  return JS_UNDEFINED;
}

int main(int argc, char **argv) {
  fill_standard_descriptors();
  /* A reader that has left is an error of write(2) to be handled; Node does the same. */
  signal(SIGPIPE, SIG_IGN);
  sys_set_args(argc, argv);
  JSRuntime *runtime = JS_NewRuntime2(&engine_memory, NULL);
  JSContext *js = runtime == NULL ? NULL : JS_NewContextRaw(runtime);
  if (js == NULL) return out_of_memory();
  /* Only what the bundle uses: each group of built-ins costs start-up time. */
  JS_AddIntrinsicBaseObjects(js);
  JS_AddIntrinsicJSON(js);
  JS_AddIntrinsicRegExp(js);
  JS_AddIntrinsicMapSet(js);
  JS_AddIntrinsicTypedArrays(js);
  JS_AddIntrinsicPromise(js);
  /* A command lives for milliseconds and shares its memory with nobody: collecting cycles would only cost time. */
  JS_SetGCThreshold(runtime, (size_t)256 << 20);
  JS_SetModuleLoaderFunc(runtime, normalize, load_module, NULL);
  JSValue global = JS_GetGlobalObject(js);
  JS_SetPropertyStr(js, global, "tsrunSys", make_door(js));
  JS_SetPropertyStr(js, global, "tsrunLoad", JS_NewCFunction(js, load_cold, "tsrunLoad", 1));
  JS_SetPropertyStr(js, global, "tsrunCollect", JS_NewCFunction(js, collect, "tsrunCollect", 0));
  JS_FreeValue(js, global);

  JSModuleDef *start = read_module(js, program_of(argv[0]));
  if (start == NULL) return crash(js, JS_GetException(js));
  JSValue entry = JS_DupValue(js, JS_MKPTR(JS_TAG_MODULE, start));
  if (JS_ResolveModule(js, entry) < 0) return crash(js, JS_GetException(js));
  JSValue promise = JS_EvalFunction(js, entry);
  if (JS_IsException(promise)) return crash(js, JS_GetException(js));
  for (JSContext *which; JS_ExecutePendingJob(runtime, &which) > 0;) {
  }
  if (JS_PromiseState(js, promise) == JS_PROMISE_REJECTED) return crash(js, JS_PromiseResult(js, promise));
  return 0;
}
