#include "stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

enum vnp_status vnp_stored_map(struct vnp_stored_set *s, const char *path, struct vnp_map *map, const char **kept_path,
                               struct vnp_err *err)
{
    enum vnp_status st = vnp_map_open(map, path, err);
    if (st != VNP_OK)
        return st;
    s->maps = xreallocarray(s->maps, s->n_maps + 1, sizeof *s->maps);
    s->paths = xreallocarray(s->paths, s->n_maps + 1, sizeof *s->paths);
    s->maps[s->n_maps] = *map;
    *kept_path = s->paths[s->n_maps++] = xstrdup(path);
    return VNP_OK;
}

void vnp_stored_add(struct vnp_stored_set *s, const struct vnp_stored *t)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->v = xreallocarray(s->v, s->cap, sizeof *s->v);
    }
    s->v[s->n] = *t;
    s->v[s->n++].name = xstrdup(t->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vnp_stored *)a)->name, ((const struct vnp_stored *)b)->name);
}

enum vnp_status vnp_stored_sort(struct vnp_stored_set *s, struct vnp_err *err)
{
    if (s->n > 0)
        qsort(s->v, s->n, sizeof *s->v, by_name);
    for (size_t i = 1; i < s->n; i++)
        if (strcmp(s->v[i - 1].name, s->v[i].name) == 0)
            return vnp_error(err, VNP_DATA, "%s: tensor %.200s is there twice", s->v[i].file, s->v[i].name);
    return VNP_OK;
}

const struct vnp_stored *vnp_stored_find(const struct vnp_stored_set *s, const char *name)
{
    const struct vnp_stored key = {.name = name};
    return s->n ? bsearch(&key, s->v, s->n, sizeof *s->v, by_name) : NULL;
}

unsigned vnp_stored_dtype_bytes(const char *dtype)
{
    static const struct {
        const char *name;
        unsigned bytes;
    } known[] = {{"F32", 4},     {"F16", 2},     {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"I32", 4},
                 {"I16", 2},     {"I8", 1},      {"U64", 8},  {"U32", 4}, {"U16", 2}, {"U8", 1},
                 {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"BOOL", 1}, {"C64", 8}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, dtype) == 0)
            return known[i].bytes;
    return 0;
}

bool vnp_stored_bytes(const int64_t *shape, int ndim, unsigned element, uint64_t *bytes)
{
    int64_t n = element;
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n))
            return false;
    *bytes = (uint64_t)n;
    return true;
}

const char *vnp_shape_text(char *buf, size_t cap, const int64_t *shape, int ndim)
{
    size_t n = (size_t)snprintf(buf, cap, "[");
    for (int i = 0; i < ndim && n < cap; i++)
        n += (size_t)snprintf(buf + n, cap - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (n < cap)
        snprintf(buf + n, cap - n, "]");
    return buf;
}

void vnp_stored_free(struct vnp_stored_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((char *)(uintptr_t)s->v[i].name);
    for (size_t i = 0; i < s->n_maps; i++) {
        vnp_map_close(&s->maps[i]);
        free(s->paths[i]);
    }
    free(s->v);
    free(s->maps);
    free(s->paths);
    json_decref(s->metadata);
    json_decref(s->modules);
    *s = (struct vnp_stored_set){0};
}
