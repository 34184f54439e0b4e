#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "guess.h"
#include "xmalloc.h"

struct span {
    uint64_t begin, end;
    const char *name; /* borrowed from the header */
};

static int by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static enum vnp_status read_shape(struct vnp_stored *t, const json_t *shape, struct vnp_err *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > VNP_MAX_DIMS)
        return vnp_error(err, VNP_DATA, "%s: tensor %.200s: no shape of at most %d dimensions", t->file, t->name,
                         VNP_MAX_DIMS);
    t->ndim = (int)json_array_size(shape);
    for (int i = 0; i < t->ndim; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return vnp_error(err, VNP_DATA, "%s: tensor %.200s: a dimension that is not a whole number", t->file,
                             t->name);
        t->shape[i] = json_integer_value(d);
    }
    return VNP_OK;
}

/* One entry of the header. `n_data`: bytes behind the header. */
static enum vnp_status read_entry(struct vnp_stored *t, const json_t *entry, const uint8_t *data, uint64_t n_data,
                                  struct span *span, struct vnp_err *err)
{
    const json_t *dtype = json_object_get(entry, "dtype"), *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!json_is_object(entry) || !json_is_string(dtype) || json_array_size(offsets) != 2 || !json_is_integer(begin) ||
        !json_is_integer(end))
        return vnp_error(err, VNP_DATA, "%s: tensor %.200s: no dtype or no two data_offsets", t->file, t->name);
    const char *dtype_name = json_string_value(dtype);
    const unsigned element = vnp_stored_dtype_bytes(dtype_name);
    if (element == 0)
        return vnp_error(err, VNP_DATA, "%s: tensor %.200s: dtype %.40s is not known", t->file, t->name, dtype_name);
    strcpy(t->dtype, dtype_name); /* a known name fits */
    enum vnp_status st = read_shape(t, json_object_get(entry, "shape"), err);
    if (st != VNP_OK)
        return st;
    const json_int_t b = json_integer_value(begin), e = json_integer_value(end);
    if (b < 0 || e < b || (uint64_t)e > n_data)
        return vnp_error(err, VNP_DATA,
                         "%s: tensor %.200s: data_offsets %lld to %lld lie outside the %llu bytes of data", t->file,
                         t->name, (long long)b, (long long)e, (unsigned long long)n_data);
    char text[128];
    if (!vnp_stored_bytes(t->shape, t->ndim, element, &t->bytes) || t->bytes != (uint64_t)(e - b))
        return vnp_error(err, VNP_DATA, "%s: tensor %.200s: %s %s does not take %lld bytes", t->file, t->name,
                         dtype_name, vnp_shape_text(text, sizeof text, t->shape, t->ndim), (long long)(e - b));
    t->data = data + b;
    t->contiguous = true;
    *span = (struct span){(uint64_t)b, (uint64_t)e, t->name};
    return VNP_OK;
}

static enum vnp_status check_cover(const char *file, struct span *spans, size_t n, uint64_t n_data, struct vnp_err *err)
{
    if (n > 0)
        qsort(spans, n, sizeof *spans, by_begin);
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin < at)
            return vnp_error(err, VNP_DATA, "%s: tensors %.200s and %.200s overlap", file, spans[i - 1].name,
                             spans[i].name);
        if (spans[i].begin > at)
            return vnp_error(err, VNP_DATA, "%s: a hole of %llu bytes before tensor %.200s", file,
                             (unsigned long long)(spans[i].begin - at), spans[i].name);
        at = spans[i].end;
    }
    if (at != n_data)
        return vnp_error(err, VNP_DATA, "%s: %llu bytes behind the last tensor", file,
                         (unsigned long long)(n_data - at));
    return VNP_OK;
}

static enum vnp_status read_entries(struct vnp_stored_set *s, const char *file, json_t *header, const uint8_t *data,
                                    uint64_t n_data, struct span *spans, struct vnp_err *err)
{
    size_t n = 0;
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (s->metadata == NULL && json_is_object(entry))
                s->metadata = json_incref(entry);
            continue;
        }
        struct vnp_stored t = {.name = name, .file = file};
        enum vnp_status st = read_entry(&t, entry, data, n_data, &spans[n++], err);
        if (st != VNP_OK)
            return st;
        vnp_stored_add(s, &t);
    }
    return check_cover(file, spans, n, n_data, err);
}

enum vnp_status vnp_safetensors_read(struct vnp_stored_set *s, const char *path, struct vnp_err *err)
{
    struct vnp_map map;
    const char *file;
    enum vnp_status st = vnp_stored_map(s, path, &map, &file, err);
    if (st != VNP_OK)
        return st;
    if (map.n < 8)
        return vnp_error(err, VNP_DATA, "%s: cut short: %llu bytes, a safetensors header has 8 and more", file,
                         (unsigned long long)map.n);
    uint64_t n_header = 0;
    for (int i = 0; i < 8; i++)
        n_header |= (uint64_t)map.p[i] << (8 * i);
    if (n_header > VNP_SAFETENSORS_HEADER_LIMIT && map.p[0] == '{')
        return vnp_error(err, VNP_DATA, "%s: JSON, not weights: give the directory that holds it", file);
    if (n_header > VNP_SAFETENSORS_HEADER_LIMIT)
        return vnp_error(err, VNP_DATA, "%s: not a safetensors file: its header would have %llu bytes; looks like %s",
                         file, (unsigned long long)n_header, vnp_guess_any(map.p, map.n < 64 ? map.n : 64));
    if (n_header > map.n - 8)
        return vnp_error(err, VNP_DATA, "%s: cut short: a header of %llu bytes in a file of %llu", file,
                         (unsigned long long)n_header, (unsigned long long)map.n);
    json_error_t je;
    json_t *header = json_loadb((const char *)map.p + 8, (size_t)n_header, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(header)) {
        json_decref(header);
        return vnp_error(err, VNP_DATA, "%s: the safetensors header is not a JSON object: %.160s", file,
                         header == NULL ? je.text : "another JSON value");
    }
    struct span *spans = xcalloc(json_object_size(header) + 1, sizeof *spans);
    st = read_entries(s, file, header, map.p + 8 + n_header, map.n - 8 - n_header, spans, err);
    free(spans);
    json_decref(header);
    return st;
}
