/* The sys door for QuickJS: an object with one function for each entry of the table. */
#include "engine/engine.h"
#include "gen/sys.gen.h"
#include <stdlib.h>
#include <string.h>

struct door {
  const char *name;
  JSCFunction *function;
  int args;
};

static JSValue bad_argument(JSContext *js, int index) {
  return JS_ThrowTypeError(js, "argument %d is missing or of the wrong type", index);
}

static JSValue throw_failure(JSContext *js, int64_t error) {
  char message[4400];
  snprintf(message, sizeof message, "%s %s: errno %d", sys_failed_call(), sys_failed_path(), (int)-error);
  JSValue failure = JS_NewError(js);
  JS_DefinePropertyValueStr(js, failure, "message", JS_NewString(js, message), JS_PROP_C_W_E);
  JS_DefinePropertyValueStr(js, failure, "errno", JS_NewInt64(js, -error), JS_PROP_C_W_E);
  JS_DefinePropertyValueStr(js, failure, "syscall", JS_NewString(js, sys_failed_call()), JS_PROP_C_W_E);
  JS_DefinePropertyValueStr(js, failure, "path", JS_NewString(js, sys_failed_path()), JS_PROP_C_W_E);
  return JS_Throw(js, failure);
}

static int take_array(JSContext *js, JSValueConst value, size_t width, struct sys_in *in) {
  size_t offset, length, element, size;
  JSValue buffer = JS_GetTypedArrayBuffer(js, value, &offset, &length, &element);
  if (JS_IsException(buffer)) return 0;
  uint8_t *data = JS_GetArrayBuffer(js, &size, buffer);
  /* The array keeps its buffer alive; nothing runs that could free it before the call is over. */
  JS_FreeValue(js, buffer);
  *in = (struct sys_in){data + offset, length};
  return element == width;
}

static JSValue give_bytes(JSContext *js, struct sys_out *out) {
  JSValue buffer = JS_NewArrayBufferCopy(js, out->data, out->size);
  /* Offset and length are read whatever the count says: undefined stands for the whole buffer. */
  JSValueConst arguments[] = {buffer, JS_UNDEFINED, JS_UNDEFINED};
  JSValue array = JS_NewTypedArray(js, 3, arguments, JS_TYPED_ARRAY_UINT8);
  JS_FreeValue(js, buffer);
  return array;
}

static JSValue give_strings(JSContext *js, struct sys_out *out) {
  JSValue list = JS_NewArray(js);
  uint32_t index = 0;
  for (const char *at = out->data, *end = at + out->size; at < end; at += strlen(at) + 1)
    JS_SetPropertyUint32(js, list, index++, JS_NewString(js, at));
  return list;
}

static JSValue give_numbers(JSContext *js, struct sys_out *out) {
  JSValue list = JS_NewArray(js);
  const double *numbers = out->data;
  for (size_t i = 0; i < out->size / sizeof *numbers; i++)
    JS_SetPropertyUint32(js, list, (uint32_t)i, JS_NewFloat64(js, numbers[i]));
  return list;
}

static JSValue give_text(JSContext *js, struct sys_out *out) {
  return JS_NewStringLen(js, out->data, out->size);
}

#define DOOR(name, count)                                                                                    \
  static JSValue door_##name(JSContext *js, JSValueConst self, int given, JSValueConst *argv) {              \
    (void)self;                                                                                              \
    (void)argv;                                                                                              \
    if (given < count) return bad_argument(js, given);
#define END_DOOR }

#define TAKE_STR(i)                                                                                          \
  size_t size##i;                                                                                            \
  const char *a##i = JS_ToCStringLen(js, &size##i, argv[i]);                                                 \
  if (a##i == NULL) return JS_EXCEPTION;                                                                     \
  if (strlen(a##i) != size##i)                                                                               \
  return throw_failure(js, sys_fail_with("argument", a##i, 22 /* EINVAL: a NUL inside */))
#define DROP_STR(i) JS_FreeCString(js, a##i)
#define TAKE_STR0(i)                                                                                         \
  struct sys_in a##i;                                                                                        \
  a##i.data = JS_ToCStringLen(js, &a##i.size, argv[i]);                                                      \
  if (a##i.data == NULL) return JS_EXCEPTION
#define DROP_STR0(i) JS_FreeCString(js, a##i.data)
#define TAKE_U32(i)                                                                                          \
  uint32_t a##i;                                                                                             \
  if (!JS_IsNumber(argv[i]) || JS_ToUint32(js, &a##i, argv[i]) < 0) return bad_argument(js, i)
#define DROP_U32(i)
#define TAKE_I32(i)                                                                                          \
  int32_t a##i;                                                                                              \
  if (!JS_IsNumber(argv[i]) || JS_ToInt32(js, &a##i, argv[i]) < 0) return bad_argument(js, i)
#define DROP_I32(i)
#define TAKE_NUM(i)                                                                                          \
  int64_t a##i;                                                                                              \
  if (!JS_IsNumber(argv[i]) || JS_ToInt64(js, &a##i, argv[i]) < 0) return bad_argument(js, i)
#define DROP_NUM(i)
#define TAKE_BYTES(i)                                                                                        \
  struct sys_in a##i;                                                                                        \
  if (!take_array(js, argv[i], 1, &a##i)) return bad_argument(js, i)
#define DROP_BYTES(i)
#define TAKE_WORDS(i)                                                                                        \
  struct sys_in a##i;                                                                                        \
  if (!take_array(js, argv[i], 4, &a##i)) return bad_argument(js, i)
#define DROP_WORDS(i)

#define GIVE_VOID(name) return answer < 0 ? throw_failure(js, answer) : JS_UNDEFINED
#define GIVE_NUM(name) return answer < 0 ? throw_failure(js, answer) : JS_NewInt64(js, answer)
#define GIVE_OUT(name, make)                                                                                 \
  JSValue result = answer < 0 ? throw_failure(js, answer) : make(js, &out);                                  \
  free(out.data);                                                                                            \
  return result
#define GIVE_BYTES(name) GIVE_OUT(name, give_bytes)
#define GIVE_STRS(name) GIVE_OUT(name, give_strings)
#define GIVE_NUMS(name) GIVE_OUT(name, give_numbers)
#define GIVE_STR(name) GIVE_OUT(name, give_text)

#include "gen/sys_doors.gen.h"

JSValue make_door(JSContext *js) {
  /* A list, of which the engine makes a function when it is asked for: most of them no run needs. */
  static JSCFunctionListEntry list[sizeof doors / sizeof *doors];
  size_t count = sizeof doors / sizeof *doors;
  for (size_t i = 0; i < count; i++)
    list[i] = (JSCFunctionListEntry)JS_CFUNC_DEF(doors[i].name, (uint8_t)doors[i].args, doors[i].function);
  JSValue door = JS_NewObject(js);
  JS_SetPropertyFunctionList(js, door, list, (int)count);
  return door;
}
