/* The sys door for Node, through the stable N-API: the same file loads in every Node from 20 on. */
#define NAPI_VERSION 8
#include "gen/sys.gen.h"
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct door {
  const char *name;
  napi_callback function;
  int args;
};

static napi_value bad_argument(napi_env env, int index) {
  char message[] = "argument 0 is missing or of the wrong type";
  message[9] = (char)('0' + index);
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

/* UTF-8 of a string, malloc(3)ed; NULL for another value. */
static char *take_text(napi_env env, napi_value value, size_t *size) {
  if (napi_get_value_string_utf8(env, value, NULL, 0, size) != napi_ok) return NULL;
  char *text = malloc(*size + 1);
  if (text != NULL) napi_get_value_string_utf8(env, value, text, *size + 1, size);
  return text;
}

static int take_array(napi_env env, napi_value value, napi_typedarray_type wanted, struct sys_in *in) {
  napi_typedarray_type type;
  size_t count;
  void *data;
  if (napi_get_typedarray_info(env, value, &type, &count, &data, NULL, NULL) != napi_ok || type != wanted)
    return 0;
  *in = (struct sys_in){data, count * (wanted == napi_uint32_array ? 4 : 1)};
  return 1;
}

static napi_value throw_failure(napi_env env, int64_t error) {
  napi_value text, failure, value;
  char message[4400];
  snprintf(message, sizeof message, "%s %s: errno %d", sys_failed_call(), sys_failed_path(), (int)-error);
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_error(env, NULL, text, &failure);
  napi_create_int64(env, -error, &value);
  napi_set_named_property(env, failure, "errno", value);
  napi_create_string_utf8(env, sys_failed_call(), NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, failure, "syscall", value);
  napi_create_string_utf8(env, sys_failed_path(), NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, failure, "path", value);
  napi_throw(env, failure);
  return NULL;
}

static napi_value give_bytes(napi_env env, struct sys_out *out) {
  napi_value buffer, array = NULL;
  void *data;
  napi_create_arraybuffer(env, out->size, &data, &buffer);
  memcpy(data, out->data, out->size);
  napi_create_typedarray(env, napi_uint8_array, out->size, buffer, 0, &array);
  return array;
}

static napi_value give_strings(napi_env env, struct sys_out *out) {
  napi_value list, item;
  napi_create_array(env, &list);
  uint32_t index = 0;
  for (const char *at = out->data, *end = at + out->size; at < end; at += strlen(at) + 1) {
    napi_create_string_utf8(env, at, NAPI_AUTO_LENGTH, &item);
    napi_set_element(env, list, index++, item);
  }
  return list;
}

static napi_value give_numbers(napi_env env, struct sys_out *out) {
  napi_value list, item;
  const double *numbers = out->data;
  size_t count = out->size / sizeof *numbers;
  napi_create_array_with_length(env, count, &list);
  for (size_t i = 0; i < count; i++) {
    napi_create_double(env, numbers[i], &item);
    napi_set_element(env, list, (uint32_t)i, item);
  }
  return list;
}

#define DOOR(name, count)                                                                                    \
  static napi_value door_##name(napi_env env, napi_callback_info info) {                                     \
    size_t given = count;                                                                                    \
    napi_value argv[count + 1];                                                                              \
    napi_get_cb_info(env, info, &given, argv, NULL, NULL);                                                   \
    if ((int)given < (count)) return bad_argument(env, (int)given);
#define END_DOOR }

#define TAKE_STR(i)                                                                                          \
  size_t size##i;                                                                                            \
  char *a##i = take_text(env, argv[i], &size##i);                                                            \
  if (a##i == NULL) return bad_argument(env, i);                                                             \
  if (strlen(a##i) != size##i)                                                                               \
  return throw_failure(env, sys_fail_with("argument", a##i, 22 /* EINVAL: a NUL inside */))
#define DROP_STR(i) free(a##i)
#define TAKE_STR0(i)                                                                                         \
  struct sys_in a##i;                                                                                        \
  a##i.data = take_text(env, argv[i], &a##i.size);                                                           \
  if (a##i.data == NULL) return bad_argument(env, i)
#define DROP_STR0(i) free((void *)(uintptr_t)a##i.data)
#define TAKE_U32(i)                                                                                          \
  uint32_t a##i;                                                                                             \
  if (napi_get_value_uint32(env, argv[i], &a##i) != napi_ok) return bad_argument(env, i)
#define DROP_U32(i)
#define TAKE_I32(i)                                                                                          \
  int32_t a##i;                                                                                              \
  if (napi_get_value_int32(env, argv[i], &a##i) != napi_ok) return bad_argument(env, i)
#define DROP_I32(i)
#define TAKE_NUM(i)                                                                                          \
  int64_t a##i;                                                                                              \
  if (napi_get_value_int64(env, argv[i], &a##i) != napi_ok) return bad_argument(env, i)
#define DROP_NUM(i)
#define TAKE_BYTES(i)                                                                                        \
  struct sys_in a##i;                                                                                        \
  if (!take_array(env, argv[i], napi_uint8_array, &a##i)) return bad_argument(env, i)
#define DROP_BYTES(i)
#define TAKE_WORDS(i)                                                                                        \
  struct sys_in a##i;                                                                                        \
  if (!take_array(env, argv[i], napi_uint32_array, &a##i)) return bad_argument(env, i)
#define DROP_WORDS(i)

#define CHECK(name)                                                                                          \
  if (answer < 0) return throw_failure(env, answer);                                                         \
  napi_value result
#define GIVE_VOID(name)                                                                                      \
  CHECK(name);                                                                                               \
  napi_get_undefined(env, &result);                                                                          \
  return result
#define GIVE_NUM(name)                                                                                       \
  CHECK(name);                                                                                               \
  napi_create_int64(env, answer, &result);                                                                   \
  return result
#define GIVE_OUT(name, make)                                                                                 \
  if (answer < 0) {                                                                                          \
    free(out.data);                                                                                          \
    return throw_failure(env, answer);                                                                       \
  }                                                                                                          \
  napi_value result = make(env, &out);                                                                       \
  free(out.data);                                                                                            \
  return result
#define GIVE_BYTES(name) GIVE_OUT(name, give_bytes)
#define GIVE_STRS(name) GIVE_OUT(name, give_strings)
#define GIVE_NUMS(name) GIVE_OUT(name, give_numbers)
#define GIVE_STR(name) GIVE_OUT(name, give_text)

static napi_value give_text(napi_env env, struct sys_out *out) {
  napi_value text;
  napi_create_string_utf8(env, out->data, out->size, &text);
  return text;
}

#include "gen/sys_doors.gen.h"

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
    napi_value function;
    napi_create_function(env, doors[i].name, NAPI_AUTO_LENGTH, doors[i].function, NULL, &function);
    napi_set_named_property(env, exports, doors[i].name, function);
  }
  return exports;
}
