/* Build tool: compiles one ES module to QuickJS bytecode without debug information. compile NAME IN OUT */
#include <quickjs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*size + 1);
  if (fread(data, 1, *size, file) != *size) return NULL;
  data[*size] = 0;
  fclose(file);
  return data;
}

static JSValue compile(JSContext *js, const char *name, const char *path) {
  size_t size;
  char *source = read_file(path, &size);
  if (source == NULL) return JS_ThrowReferenceError(js, "cannot read %s", path);
  /* import() asks the function that it stands in for its file name, which is debug information. */
  int imports = strstr(source, "import(") != NULL;
  JS_SetStripInfo(JS_GetRuntime(js), imports ? JS_STRIP_SOURCE : JS_STRIP_SOURCE | JS_STRIP_DEBUG);
  JSValue module = JS_Eval(js, source, size, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  free(source);
  return module;
}

/* The compiler follows imports to check them; only the module that was asked for is written out. */
static JSModuleDef *load_module(JSContext *js, const char *name, void *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", (const char *)folder, name);
  JSValue module = compile(js, name, path);
  return JS_IsException(module) ? NULL : JS_VALUE_GET_PTR(module);
}

int main(int argc, char **argv) {
  size_t length;
  if (argc != 4) return 2;
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", argv[2]);
  char *slash = strrchr(folder, '/');
  if (slash == NULL) return 2;
  *slash = 0;
  JSRuntime *runtime = JS_NewRuntime();
  JSContext *js = JS_NewContext(runtime);
  JS_SetModuleLoaderFunc(runtime, NULL, load_module, folder);
  JSValue module = compile(js, argv[1], argv[2]);
  if (JS_IsException(module)) {
    fprintf(stderr, "%s: %s\n", argv[1], JS_ToCString(js, JS_GetException(js)));
    return 1;
  }
  uint8_t *bytes = JS_WriteObject(js, &length, module, JS_WRITE_OBJ_BYTECODE);
  FILE *out = fopen(argv[3], "wb");
  if (bytes == NULL || out == NULL || fwrite(bytes, 1, length, out) != length || fclose(out) != 0) return 1;
  return 0;
}
