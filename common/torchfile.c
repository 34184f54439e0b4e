#include "torchfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle.h"
#include "torchlegacy.h"
#include "torchzip.h"

#define MAX_DEPTH 32     /* modules within modules */
#define MAX_MODULES 4096 /* in all; a pickle can name one module in many places */
#define MAX_TENSORS ((size_t)1 << 18)
#define MAX_NOTES 256 /* attributes of a module that are looked at */

/* Where the bytes of storages are: in one of the two kinds of file. */
struct archive {
    struct vnp_torchzip *zip;
    struct vnp_torchlegacy *legacy;
    const char *file;
};

static enum vnp_status storage_bytes(const struct archive *a, const struct vnp_py *key, const uint8_t **p, uint64_t *n,
                                     struct vnp_err *err)
{
    char part[128];
    if (a->legacy != NULL)
        return vnp_torchlegacy_entry(a->legacy, key->text.s, key->text.n, p, n, err);
    const int n_part =
        snprintf(part, sizeof part, "data/%.*s", key->text.n > 100 ? 100 : (int)key->text.n, key->text.s);
    return vnp_torchzip_entry(a->zip, part, (size_t)n_part, p, n, err);
}

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

/* `name` is copied. */
static enum vnp_status add_tensor(struct vnp_stored_set *s, const struct archive *a, const char *name,
                                  const struct vnp_py *t, struct vnp_err *err)
{
    const char *file = a->file;
    const struct vnp_py *storage = t->tensor->storage;
    struct vnp_stored v = {.name = name, .file = file, .ndim = t->tensor->ndim};
    const uint8_t *bytes;
    uint64_t n_bytes;
    enum vnp_status st = storage_bytes(a, storage->storage.key, &bytes, &n_bytes, err);
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

/* --- dictionaries and modules --------------------------------------------------------------------------------------
 */

/* Adds those items of a dict that are tensors, each as `prefix` and its key. */
static enum vnp_status add_tensors(struct vnp_stored_set *s, const struct archive *a, const char *prefix,
                                   const struct vnp_py *dict, struct vnp_err *err)
{
    char name[256];
    for (size_t i = 0; dict != NULL && dict->type == VNP_PY_DICT && i + 1 < dict->items.n; i += 2) {
        const struct vnp_py *key = dict->items.v[i], *value = dict->items.v[i + 1];
        if (key->type != VNP_PY_STR || value->type != VNP_PY_TENSOR)
            continue;
        if (s->n == MAX_TENSORS)
            return vnp_error(err, VNP_DATA, "%s: over %zu tensors", a->file, MAX_TENSORS);
        snprintf(name, sizeof name, "%s%.*s", prefix, key->text.n > 255 ? 255 : (int)key->text.n, key->text.s);
        enum vnp_status st = add_tensor(s, a, name, value, err);
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

/* What is noted of a module: its class and its attributes that are numbers, such as eps. */
static json_t *notes_of(const struct vnp_py *module)
{
    const struct vnp_py_class *cls = module->items.cls;
    json_t *o = json_object();
    char name[512];
    const int n = snprintf(name, sizeof name, "%.*s.%.*s", cls->module.n > 255 ? 255 : (int)cls->module.n,
                           cls->module.s, cls->name.n > 255 ? 255 : (int)cls->name.n, cls->name.s);
    json_object_set_new(o, "class", json_stringn(name, (size_t)n)); /* not set when it is not UTF-8 */
    for (size_t i = 0; i + 1 < module->items.n && i < 2 * MAX_NOTES; i += 2) {
        const struct vnp_py *key = module->items.v[i], *value = module->items.v[i + 1];
        json_t *number = value->type == VNP_PY_FLOAT  ? json_real(value->f)
                         : value->type == VNP_PY_INT  ? json_integer(value->i)
                         : value->type == VNP_PY_BOOL ? json_boolean(value->i)
                                                      : NULL;
        if (number == NULL || key->type != VNP_PY_STR || key->text.n > 255)
            json_decref(number);
        else {
            snprintf(name, sizeof name, "%.*s", (int)key->text.n, key->text.s);
            json_object_set_new(o, name, number);
        }
    }
    return o;
}

/* The tensors of a module and of those in it, under the names that its state_dict would have. */
static enum vnp_status add_module(struct vnp_stored_set *s, const struct archive *a, const struct vnp_py *module,
                                  const char *prefix, int depth, struct vnp_err *err)
{
    char path[256];
    if (depth > MAX_DEPTH || json_object_size(s->modules) == MAX_MODULES)
        return vnp_error(err, VNP_DATA, "%s: over %d modules, or %d within each other", a->file, MAX_MODULES,
                         MAX_DEPTH);
    if (json_object_get(s->modules, prefix) != NULL)
        return vnp_error(err, VNP_DATA, "%s: two modules are named %.200s", a->file, prefix);
    if (json_object_set_new(s->modules, prefix, notes_of(module)) != 0)
        return vnp_error(err, VNP_DATA, "%s: a module's name is not text", a->file);
    enum vnp_status st = add_tensors(s, a, prefix, vnp_py_get(module, "_parameters"), err);
    if (st == VNP_OK)
        st = add_tensors(s, a, prefix, vnp_py_get(module, "_buffers"), err);
    const struct vnp_py *in = vnp_py_get(module, "_modules");
    for (size_t i = 0; st == VNP_OK && in != NULL && in->type == VNP_PY_DICT && i + 1 < in->items.n; i += 2) {
        const struct vnp_py *key = in->items.v[i], *value = in->items.v[i + 1];
        if (key->type != VNP_PY_STR || value->type != VNP_PY_MODULE)
            continue;
        snprintf(path, sizeof path, "%s%.*s.", prefix, key->text.n > 200 ? 200 : (int)key->text.n, key->text.s);
        st = add_module(s, a, value, path, depth + 1, err);
    }
    return st;
}

/* --- the file ---------------------------------------------------------------------------------------------------- */

/* The dictionary of tensors itself, or what holds it under one of the names in use. */
static const struct vnp_py *find_tensors(const struct vnp_py *root)
{
    static const char *const keys[] = {"model", "model_state_dict", "state_dict"};
    for (size_t i = 0; root->type == VNP_PY_DICT && i < sizeof keys / sizeof *keys; i++) {
        const struct vnp_py *in = vnp_py_get(root, keys[i]);
        if (in != NULL && (in->type == VNP_PY_DICT || in->type == VNP_PY_MODULE))
            return in;
    }
    return root;
}

static enum vnp_status read_root(struct vnp_stored_set *s, const struct archive *a, const struct vnp_py *root,
                                 struct vnp_hints *h, struct vnp_err *err)
{
    const struct vnp_py *tensors = find_tensors(root);
    if (tensors->type == VNP_PY_MODULE) {
        json_decref(s->modules);
        s->modules = json_object();
        return add_module(s, a, tensors, "", 0, err);
    }
    if (tensors->type != VNP_PY_DICT)
        return vnp_error(err, VNP_DATA, "%s: holds no dictionary of tensors and no module", a->file);
    read_settings(h, root, a->file);
    return add_tensors(s, a, "", tensors, err);
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

static enum vnp_status read_zip(struct vnp_stored_set *s, const struct archive *a, struct vnp_hints *h,
                                struct vnp_err *err)
{
    const uint8_t *p;
    uint64_t n;
    struct vnp_pickle *pickle = NULL;
    const struct vnp_py *root;
    enum vnp_status st = check_byte_order(a->zip, a->file, err);
    if (st == VNP_OK)
        st = vnp_torchzip_entry(a->zip, "data.pkl", strlen("data.pkl"), &p, &n, err);
    if (st == VNP_OK)
        st = vnp_pickle_read(&pickle, &root, p, (size_t)n, a->file, err);
    if (st == VNP_OK)
        st = read_root(s, a, root, h, err);
    vnp_pickle_free(pickle);
    return st;
}

enum vnp_status vnp_torchfile_read(struct vnp_stored_set *s, const char *path, struct vnp_hints *h, struct vnp_err *err)
{
    struct vnp_map map;
    struct archive a = {0};
    const struct vnp_py *root;
    enum vnp_status st = vnp_stored_map(s, path, &map, &a.file, err);
    if (st != VNP_OK)
        return st;
    if (vnp_torchlegacy_is(&map)) {
        st = vnp_torchlegacy_open(&a.legacy, &root, &map, a.file, err);
        if (st == VNP_OK)
            st = read_root(s, &a, root, h, err);
        vnp_torchlegacy_close(a.legacy);
        return st;
    }
    if (map.n < 4 || memcmp(map.p, "PK\3\4", 4) != 0)
        return vnp_error(err, VNP_DATA, "%s: a pickle, but not one that torch.save() wrote", a.file);
    st = vnp_torchzip_open(&a.zip, &map, a.file, err);
    if (st == VNP_OK)
        st = read_zip(s, &a, h, err);
    vnp_torchzip_close(a.zip);
    return st;
}
