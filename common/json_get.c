#include "json_get.h"

#include <string.h>

static const char *const kinds[] = {"an object", "an array", "a text", "a whole number", "a number", "true", "false",
                                    "null"};

json_t *vnp_json_get(const json_t *obj, const char *where, const char *key, json_type type, struct vnp_err *err)
{
    json_t *v = json_object_get(obj, key);
    const bool fits = v != NULL && (json_typeof(v) == type || (type == JSON_TRUE && json_is_boolean(v)));
    if (v == NULL)
        vnp_error(err, VNP_DATA, "%s%s is missing", where, key);
    else if (!fits)
        vnp_error(err, VNP_DATA, "%s%s is %s, not %s", where, key, kinds[json_typeof(v)],
                  type == JSON_TRUE ? "true or false" : kinds[type]);
    return fits ? v : NULL;
}

json_t *vnp_json_optional(const json_t *obj, const char *key)
{
    json_t *v = json_object_get(obj, key);
    return json_is_null(v) ? NULL : v;
}

enum vnp_status vnp_json_flag(const json_t *obj, const char *where, const char *key, bool *flag, struct vnp_err *err)
{
    *flag = false;
    if (vnp_json_optional(obj, key) == NULL)
        return VNP_OK;
    const json_t *v = vnp_json_get(obj, where, key, JSON_TRUE, err);
    *flag = json_is_true(v);
    return v != NULL ? VNP_OK : VNP_DATA;
}

const char *vnp_json_shown(char text[48], const char *s)
{
    size_t n = 0;
    for (; s[n] != '\0' && n < 40; n++)
        text[n] = (unsigned char)s[n] >= ' ' && s[n] != 127 ? s[n] : '?';
    memcpy(text + n, s[n] != '\0' ? "..." : "", s[n] != '\0' ? 4 : 1);
    return text;
}

struct vnp_str vnp_json_str(const json_t *v)
{
    return (struct vnp_str){json_string_value(v), (uint32_t)json_string_length(v)};
}

const char *vnp_json_kind(const json_t *v)
{
    return kinds[json_typeof(v)];
}
