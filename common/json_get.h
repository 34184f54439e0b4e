/* Members of JSON objects, for readers of files whose every mistake gets a message. */
#ifndef VNP_JSON_GET_H
#define VNP_JSON_GET_H

#include <jansson.h>
#include <stdbool.h>

#include "block.h"
#include "status.h"

/* obj[key], of that JSON type (JSON_TRUE: a boolean). NULL when it is missing or another: *err then says so, with
 * `where` (such as "model.") in front. Borrowed from obj, which may be of any type. */
json_t *vnp_json_get(const json_t *obj, const char *where, const char *key, json_type type, struct vnp_err *err);

/* obj[key], or NULL where it is missing or null. */
json_t *vnp_json_optional(const json_t *obj, const char *key);

/* obj[key] as true or false; false where it is missing or null. VNP_DATA when it is something else. */
VNP_MUST_CHECK enum vnp_status vnp_json_flag(const json_t *obj, const char *where, const char *key, bool *flag,
                                             struct vnp_err *err);

/* A JSON text, borrowed from v. */
struct vnp_str vnp_json_str(const json_t *v);

/* "an object", "a text" ... */
const char *vnp_json_kind(const json_t *v);

/* A text for a message: at most 40 bytes, and nothing in it that a terminal would act on. `text` holds 48 bytes. */
const char *vnp_json_shown(char text[48], const char *s);

#endif
