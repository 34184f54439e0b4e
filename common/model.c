#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esm2_vocab.h"
#include "fingerprint.h"
#include "half.h"
#include "model_config.h"
#include "model_detail.h"
#include "safetensors.h"
#include "torchfile.h"
#include "xmalloc.h"

struct vnp_model {
    struct vnp_model_config config;
    struct vnp_model_files files;
    struct vnp_stored_set stored;
    struct vnp_scheme scheme;
    struct vnp_tensor *tensors; /* by vnp_role_index(); name NULL where the architecture has none */
    size_t n_tensors;
};

/* --- opening ----------------------------------------------------------------------------------------------------- */

static enum vnp_status read_files(struct vnp_model *m, struct vnp_hints *hints, struct vnp_err *err)
{
    for (int i = 0; i < m->files.n_weights; i++) {
        enum vnp_status st = m->files.kind == VNP_WEIGHTS_TORCH
                                 ? vnp_torchfile_read(&m->stored, m->files.weights[i], hints, err)
                                 : vnp_safetensors_read(&m->stored, m->files.weights[i], err);
        if (st != VNP_OK)
            return st;
    }
    if (m->stored.metadata != NULL)
        vnp_config_metadata(hints, m->stored.metadata, m->stored.paths[0]);
    /* config.json goes before what a file says of itself: it is what other programs read */
    if (m->files.config != NULL)
        return vnp_config_json(hints, m->files.config, err);
    return VNP_OK;
}

static bool dtype_of(const char *name, enum vnp_dtype *dtype)
{
    for (int d = VNP_F32; d <= VNP_BF16; d++) {
        static const char *const names[] = {[VNP_F32] = "F32", [VNP_F16] = "F16", [VNP_BF16] = "BF16"};
        *dtype = (enum vnp_dtype)d;
        if (strcmp(name, names[d]) == 0)
            return true;
    }
    return false;
}

static enum vnp_status bind(struct vnp_tensor *t, const struct vnp_stored *s, const int64_t shape[2], int ndim,
                            struct vnp_err *err)
{
    char want[64], have[160];
    if (!dtype_of(s->dtype, &t->dtype))
        return vnp_error(err, VNP_DATA, "%s: tensor %.200s has dtype %s; F32, F16 and BF16 are read", s->file, s->name,
                         s->dtype);
    if (s->ndim != ndim || s->shape[0] != shape[0] || (ndim == 2 && s->shape[1] != shape[1]))
        return vnp_error(err, VNP_DATA, "%s: tensor %.200s has shape %s, not %s", s->file, s->name,
                         vnp_shape_text(have, sizeof have, s->shape, s->ndim),
                         vnp_shape_text(want, sizeof want, shape, ndim));
    if (!s->contiguous)
        return vnp_error(err, VNP_DATA,
                         "%s: tensor %.200s is a transposed or strided view: save a contiguous copy of it", s->file,
                         s->name);
    t->name = s->name;
    t->ndim = ndim;
    memcpy(t->shape, shape, sizeof t->shape);
    t->data = s->data;
    t->bytes = s->bytes;
    return VNP_OK;
}

static enum vnp_status bind_all(struct vnp_model *m, struct vnp_err *err)
{
    struct vnp_model_config *c = &m->config;
    m->n_tensors = vnp_role_count(c->layers);
    m->tensors = xcalloc(m->n_tensors, sizeof *m->tensors);
    for (size_t i = 0; i < m->n_tensors; i++) {
        int layer;
        int64_t shape[2];
        char name[256];
        const enum vnp_role role = vnp_role_at(i, &layer);
        const int ndim = vnp_role_shape(c, role, shape);
        if (ndim == 0)
            continue;
        const struct vnp_stored *s = vnp_role_find(&m->stored, &m->scheme, role, layer, name, sizeof name);
        if (s == NULL)
            return vnp_error(err, VNP_DATA, "%s: tensor %s is missing",
                             m->files.index ? m->files.index : m->files.weights[0], name);
        enum vnp_status st = bind(&m->tensors[i], s, shape, ndim, err);
        if (st != VNP_OK)
            return st;
        c->parameters += shape[0] * shape[1];
    }
    return VNP_OK;
}

static enum vnp_status open_model(struct vnp_model *m, const char *path, struct vnp_err *err)
{
    struct vnp_hints hints = VNP_NO_HINTS;
    enum vnp_status st;
    if ((st = vnp_model_find(&m->files, path, err)) != VNP_OK || (st = read_files(m, &hints, err)) != VNP_OK ||
        (st = vnp_stored_sort(&m->stored, err)) != VNP_OK ||
        (st = vnp_scheme_detect(&m->stored, &m->scheme, err)) != VNP_OK ||
        (st = vnp_config_settle(&m->config, &m->stored, &m->scheme, &hints, err)) != VNP_OK ||
        (st = bind_all(m, err)) != VNP_OK)
        return st;
    if (m->config.arch == VNP_ESM2 && m->files.vocab != NULL &&
        (st = vnp_esm2_vocab_check(m->files.vocab, err)) != VNP_OK)
        return st;
    snprintf(m->config.name, sizeof m->config.name, "%s", m->files.name);
    vnp_fingerprint(m, m->config.fingerprint, sizeof m->config.fingerprint);
    return VNP_OK;
}

enum vnp_status vnp_model_open(struct vnp_model **out, const char *path, struct vnp_err *err)
{
    struct vnp_model *m = xcalloc(1, sizeof *m);
    enum vnp_status st = open_model(m, path, err);
    if (st != VNP_OK) {
        vnp_model_close(m);
        m = NULL;
    }
    *out = m;
    return st;
}

void vnp_model_close(struct vnp_model *m)
{
    if (m == NULL)
        return;
    free(m->tensors);
    vnp_stored_free(&m->stored);
    vnp_model_files_free(&m->files);
    free(m);
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

const struct vnp_model_config *vnp_model_config(const struct vnp_model *m)
{
    return &m->config;
}

const char *vnp_model_tokenizer(const struct vnp_model *m)
{
    return m->files.tokenizer;
}

const struct vnp_tensor *vnp_model_tensor_at(const struct vnp_model *m, size_t index)
{
    return index < m->n_tensors && m->tensors[index].name != NULL ? &m->tensors[index] : NULL;
}

const struct vnp_tensor *vnp_model_tensor(const struct vnp_model *m, enum vnp_role role, int layer)
{
    return vnp_model_tensor_at(m, vnp_role_index(role, layer));
}

size_t vnp_model_tensors(const struct vnp_model *m)
{
    return m->n_tensors;
}

const struct vnp_model_files *vnp_model_files(const struct vnp_model *m)
{
    return &m->files;
}

const struct vnp_stored_set *vnp_model_stored(const struct vnp_model *m)
{
    return &m->stored;
}

const struct vnp_scheme *vnp_model_scheme(const struct vnp_model *m)
{
    return &m->scheme;
}

const char *vnp_model_file_of(const struct vnp_model *m, const struct vnp_tensor *t)
{
    const struct vnp_stored *s = vnp_stored_find(&m->stored, t->name);
    return s ? s->file : m->files.weights[0];
}

void vnp_tensor_f32(const struct vnp_tensor *t, int64_t first, int64_t count, float *dst)
{
    const uint8_t *src = (const uint8_t *)t->data + (size_t)first * vnp_dtype_bytes(t->dtype);
    if (t->dtype == VNP_F32) {
        memcpy(dst, src, (size_t)count * sizeof *dst);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        uint16_t h;
        memcpy(&h, src + 2 * i, sizeof h);
        dst[i] = t->dtype == VNP_F16 ? vnp_f16_f32(h) : vnp_bf16_f32(h);
    }
}
