#include "torchfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle.h"
#include "torchzip.h"

/* Bytes from the first to behind the last element of a view, in elements; -1 when that does not fit. */
static int64_t extent(const struct vnp_py *t, bool *empty)
{
    int64_t n = 1;
    *empty = false;
    for (int d = 0; d < t->tensor->ndim; d++) {
        int64_t step;
        if (t->tensor->shape[d] == 0)
            *empty = true;
        else if (__builtin_mul_overflow(t->tensor->shape[d] - 1, t->tensor->stride[d], &step) ||
                 __builtin_add_overflow(n, step, &n))
            return -1;
    }
    return *empty ? 0 : n;
}

static bool is_contiguous(const struct vnp_py *t)
{
    int64_t step = 1;
    for (int d = t->tensor->ndim - 1; d >= 0; d--) {
        if (t->tensor->shape[d] != 1 && t->tensor->stride[d] != step)
            return false;
        if (__builtin_mul_overflow(step, t->tensor->shape[d], &step))
            return false;
    }
    return true;
}

static enum vnp_status add_tensor(struct vnp_stored_set *s, const struct vnp_torchzip *z, const char *file,
                                  const struct vnp_py *key, const struct vnp_py *t, struct vnp_err *err)
{
    char name[256], part[128];
    snprintf(name, sizeof name, "%.*s", key->text.n > 255 ? 255 : (int)key->text.n, key->text.s);
    const struct vnp_py *storage = t->tensor->storage, *id = storage->storage.key;
    const int n_part = snprintf(part, sizeof part, "data/%.*s", id->text.n > 100 ? 100 : (int)id->text.n, id->text.s);
    struct vnp_stored v = {.name = name, .file = file, .ndim = t->tensor->ndim};
    const uint8_t *bytes;
    uint64_t n_bytes;
    enum vnp_status st = vnp_torchzip_entry(z, part, (size_t)n_part, &bytes, &n_bytes, err);
    if (st != VNP_OK)
        return st;
    snprintf(v.dtype, sizeof v.dtype, "%s", storage->storage.dtype);
    const unsigned element = vnp_stored_dtype_bytes(v.dtype);
    if (n_bytes % element != 0 || (uint64_t)storage->storage.elements != n_bytes / element)
        return vnp_error(err, VNP_DATA, "%s: tensor %s: a storage of %lld %s elements has %llu bytes", file, name,
                         (long long)storage->storage.elements, v.dtype, (unsigned long long)n_bytes);
    bool empty;
    const int64_t n = extent(t, &empty), offset = t->tensor->offset, room = storage->storage.elements;
    if (n < 0 || offset > room || n > room - offset)
        return vnp_error(err, VNP_DATA, "%s: tensor %s reaches outside its storage of %lld elements", file, name,
                         (long long)room);
    memcpy(v.shape, t->tensor->shape, (size_t)v.ndim * sizeof *v.shape);
    v.contiguous = is_contiguous(t);
    v.data = bytes + (uint64_t)offset * element;
    if (!vnp_stored_bytes(v.shape, v.ndim, element, &v.bytes) || (v.contiguous && v.bytes != (uint64_t)n * element))
        return vnp_error(err, VNP_DATA, "%s: tensor %s is too large", file, name);
    vnp_stored_add(s, &v);
    return VNP_OK;
}

/* --- fair-esm's settings ----------------------------------------------------------------------------------------- */

static int setting(const struct vnp_py *settings, const char *key)
{
    const struct vnp_py *v = vnp_py_get(settings, key);
    return v != NULL && v->type == VNP_PY_INT && v->i > 0 && v->i <= 1 << 20 ? (int)v->i : 0;
}

/* esm/pretrained.py: ESM-2 has cfg["model"], a Namespace; older models have args. */
static void read_settings(struct vnp_hints *h, const struct vnp_py *root, const char *file)
{
    const struct vnp_py *cfg = vnp_py_get(vnp_py_get(root, "cfg"), "model");
    const struct vnp_py *settings = cfg != NULL ? cfg : vnp_py_get(root, "args");
    if (settings == NULL)
        return;
    snprintf(h->source, sizeof h->source, "%s: %s", file, cfg != NULL ? "cfg" : "args");
    h->layers = setting(settings, "encoder_layers");
    h->width = setting(settings, "encoder_embed_dim");
    h->heads = setting(settings, "encoder_attention_heads");
    const struct vnp_py *dropout = vnp_py_get(settings, "token_dropout");
    if (dropout != NULL && dropout->type == VNP_PY_BOOL)
        h->token_dropout = dropout->i != 0;
}

/* --- the file ---------------------------------------------------------------------------------------------------- */

static enum vnp_status read_root(struct vnp_stored_set *s, const struct vnp_torchzip *z, const char *file,
                                 const struct vnp_py *root, struct vnp_hints *h, struct vnp_err *err)
{
    const struct vnp_py *model = vnp_py_get(root, "model");
    const struct vnp_py *dict = model != NULL && model->type == VNP_PY_DICT ? model : root;
    if (dict->type != VNP_PY_DICT)
        return vnp_error(err, VNP_DATA, "%s: holds no dictionary of tensors", file);
    read_settings(h, root, file);
    for (size_t i = 0; i + 1 < dict->items.n; i += 2) {
        const struct vnp_py *key = dict->items.v[i], *value = dict->items.v[i + 1];
        if (key->type != VNP_PY_STR || value->type != VNP_PY_TENSOR)
            continue;
        enum vnp_status st = add_tensor(s, z, file, key, value, err);
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

static enum vnp_status check_byte_order(const struct vnp_torchzip *z, const char *file, struct vnp_err *err)
{
    const uint8_t *p;
    uint64_t n;
    if (!vnp_torchzip_has(z, "byteorder"))
        return VNP_OK; /* before torch 2.1, when there was only one */
    enum vnp_status st = vnp_torchzip_entry(z, "byteorder", strlen("byteorder"), &p, &n, err);
    if (st == VNP_OK && (n != 6 || memcmp(p, "little", 6) != 0))
        st = vnp_error(err, VNP_DATA, "%s: its numbers are big-endian: save it again on a little-endian machine", file);
    return st;
}

static enum vnp_status read_archive(struct vnp_stored_set *s, const struct vnp_torchzip *z, const char *file,
                                    struct vnp_hints *h, struct vnp_err *err)
{
    const uint8_t *p;
    uint64_t n;
    struct vnp_pickle *pickle = NULL;
    const struct vnp_py *root;
    enum vnp_status st = check_byte_order(z, file, err);
    if (st == VNP_OK)
        st = vnp_torchzip_entry(z, "data.pkl", strlen("data.pkl"), &p, &n, err);
    if (st == VNP_OK)
        st = vnp_pickle_read(&pickle, &root, p, (size_t)n, file, err);
    if (st == VNP_OK)
        st = read_root(s, z, file, root, h, err);
    vnp_pickle_free(pickle);
    return st;
}

enum vnp_status vnp_torchfile_read(struct vnp_stored_set *s, const char *path, struct vnp_hints *h, struct vnp_err *err)
{
    struct vnp_map map;
    const char *file;
    struct vnp_torchzip *z;
    enum vnp_status st = vnp_stored_map(s, path, &map, &file, err);
    if (st != VNP_OK)
        return st;
    if (map.n < 4 || memcmp(map.p, "PK\3\4", 4) != 0)
        return vnp_error(err, VNP_DATA, "%s: written by torch before version 1.6: load and save it with a newer one",
                         file);
    st = vnp_torchzip_open(&z, &map, file, err);
    if (st != VNP_OK)
        return st;
    st = read_archive(s, z, file, h, err);
    vnp_torchzip_close(z);
    return st;
}
