#include "model_config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_HEAD_DIM 256

/* fair-esm README.md, table of ESM-2 models; heads from their config.json */
static const struct vnp_published published[] = {
    {"8M", "esm2_t6_8M_UR50D", 6, 20, 320},       {"35M", "esm2_t12_35M_UR50D", 12, 20, 480},
    {"150M", "esm2_t30_150M_UR50D", 30, 20, 640}, {"650M", "esm2_t33_650M_UR50D", 33, 20, 1280},
    {"3B", "esm2_t36_3B_UR50D", 36, 40, 2560},    {"15B", "esm2_t48_15B_UR50D", 48, 40, 5120},
};
#define N_PUBLISHED (sizeof published / sizeof *published)

const struct vnp_published *vnp_published_find(const char *name)
{
    for (size_t i = 0; i < N_PUBLISHED; i++)
        if (strcasecmp(published[i].size, name) == 0 || strcmp(published[i].name, name) == 0)
            return &published[i];
    return NULL;
}

static int published_heads(int layers, int width)
{
    for (size_t i = 0; i < N_PUBLISHED; i++)
        if (published[i].layers == layers && published[i].width == width)
            return published[i].heads;
    return 0;
}

/* --- config.json ----------------------------------------------------------------------------------------------- */

/* A whole number of config.json within [lo, hi], or `missing` when the key is absent or null. */
static enum vnp_status get_int(const json_t *o, const char *key, int lo, int hi, int missing, int *out,
                               const char *path, struct vnp_err *err)
{
    const json_t *v = json_object_get(o, key);
    *out = missing;
    if (v == NULL || json_is_null(v))
        return VNP_OK;
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi)
        return vnp_error(err, VNP_DATA, "%s: %s is not a number from %d to %d", path, key, lo, hi);
    *out = (int)json_integer_value(v);
    return VNP_OK;
}

/* A boolean of config.json, false when the key is absent or null. A text that says "true" is neither true nor false. */
static enum vnp_status get_bool(const json_t *o, const char *key, int *out, const char *path, struct vnp_err *err)
{
    const json_t *v = json_object_get(o, key);
    *out = json_is_true(v);
    if (v == NULL || json_is_null(v) || json_is_boolean(v))
        return VNP_OK;
    return vnp_error(err, VNP_DATA, "%s: %s is neither true nor false", path, key);
}

static enum vnp_status read_sizes(struct vnp_hints *h, const json_t *o, const char *path, struct vnp_err *err)
{
    const struct {
        const char *key;
        int lo, hi, missing, *out;
    } keys[] = {{"num_hidden_layers", 1, 100000, 12, &h->layers}, {"num_attention_heads", 1, 65536, 12, &h->heads},
                {"hidden_size", 1, 1 << 20, 768, &h->width},      {"intermediate_size", 1, 1 << 22, 3072, &h->ffn},
                {"vocab_size", 1, 1 << 24, 0, &h->vocab},         {"mask_token_id", 0, 1 << 24, -1, &h->mask_id},
                {"pad_token_id", 0, 1 << 24, -1, &h->pad_id}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        enum vnp_status st = get_int(o, keys[i].key, keys[i].lo, keys[i].hi, keys[i].missing, keys[i].out, path, err);
        if (st != VNP_OK)
            return st;
    }
    h->ln_eps = 1e-12;
    const json_t *eps = json_object_get(o, "layer_norm_eps");
    if (eps != NULL && !json_is_null(eps)) {
        h->ln_eps = json_number_value(eps);
        if (!json_is_number(eps) || !(h->ln_eps > 0 && h->ln_eps < 1))
            return vnp_error(err, VNP_DATA, "%s: layer_norm_eps is not a number between 0 and 1", path);
    }
    return VNP_OK;
}

/* The base of the rotary angles, in either of the places where versions of transformers put it. */
static double rope_theta(const json_t *o)
{
    const json_t *v = json_object_get(json_object_get(o, "rope_parameters"), "rope_theta");
    if (!json_is_number(v))
        v = json_object_get(o, "rope_theta");
    return json_is_number(v) ? json_number_value(v) : 10000;
}

static enum vnp_status check_esm(struct vnp_hints *h, const json_t *o, const char *path, struct vnp_err *err)
{
    const json_t *pos = json_object_get(o, "position_embedding_type");
    const char *pos_name = json_is_string(pos) ? json_string_value(pos) : "absolute";
    if (strcmp(pos_name, "rotary") != 0)
        return vnp_error(err, VNP_DATA, "%s: position_embedding_type is %.40s; ESM-2 has rotary (is this ESM-1b?)",
                         path, pos_name);
    int before;
    enum vnp_status st = get_bool(o, "emb_layer_norm_before", &before, path, err);
    if (st == VNP_OK)
        st = get_bool(o, "token_dropout", &h->token_dropout, path, err);
    if (st != VNP_OK)
        return st;
    if (before)
        return vnp_error(err, VNP_DATA, "%s: emb_layer_norm_before is set; ESM-2 has no such layer", path);
    if (rope_theta(o) != 10000)
        return vnp_error(err, VNP_DATA, "%s: rope_theta is %g; ESM-2 has 10000", path, rope_theta(o));
    return VNP_OK;
}

enum vnp_status vnp_config_json(struct vnp_hints *h, const char *path, struct vnp_err *err)
{
    struct vnp_map map;
    enum vnp_status st = vnp_map_open(&map, path, err);
    if (st != VNP_OK)
        return st;
    *h = VNP_NO_HINTS;
    snprintf(h->source, sizeof h->source, "%s", path);
    json_error_t je;
    json_t *o = map.n > 1 << 20 ? NULL : json_loadb((const char *)map.p, (size_t)map.n, JSON_REJECT_DUPLICATES, &je);
    if (map.n > 1 << 20)
        st = vnp_error(err, VNP_DATA, "%s: over 1 MiB: not a model's config", path);
    else if (!json_is_object(o))
        st = vnp_error(err, VNP_DATA, "%s:%d: not a JSON object: %.160s", path, o ? 1 : je.line,
                       o ? "another JSON value" : je.text);
    if (st == VNP_OK)
        st = read_sizes(h, o, path, err);
    const json_t *type = json_object_get(o, "model_type");
    if (st == VNP_OK && json_is_string(type)) {
        h->arch = strcmp(json_string_value(type), "esm") == 0 ? VNP_ESM2 : VNP_DNABERT_S;
        if (h->arch == VNP_ESM2)
            st = check_esm(h, o, path, err);
        else if (strcmp(json_string_value(type), "bert") != 0)
            st = vnp_error(err, VNP_DATA, "%s: model_type is %.60s; only esm and bert (DNABERT-S) are supported", path,
                           json_string_value(type));
    } else if (st == VNP_OK) {
        st = vnp_error(err, VNP_DATA, "%s: no model_type", path);
    }
    json_decref(o);
    vnp_map_close(&map);
    return st;
}

/* --- metadata of a safetensors file ------------------------------------------------------------------------------ */

void vnp_config_metadata(struct vnp_hints *h, const json_t *metadata, const char *file)
{
    *h = VNP_NO_HINTS;
    snprintf(h->source, sizeof h->source, "%s: __metadata__", file);
    const char *heads = json_string_value(json_object_get(metadata, "num_attention_heads"));
    const char *eps = json_string_value(json_object_get(metadata, "layer_norm_eps"));
    const char *dropout = json_string_value(json_object_get(metadata, "token_dropout"));
    if (heads != NULL && atol(heads) > 0 && atol(heads) <= 65536)
        h->heads = (int)atol(heads);
    if (eps != NULL && atof(eps) > 0 && atof(eps) < 1)
        h->ln_eps = atof(eps);
    if (dropout != NULL)
        h->token_dropout = strcmp(dropout, "true") == 0;
}

/* --- the tensors' word ------------------------------------------------------------------------------------------- */

static enum vnp_status matrix_shape(const struct vnp_stored_set *s, const struct vnp_scheme *scheme, enum vnp_role role,
                                    int64_t shape[2], struct vnp_err *err)
{
    char name[256];
    const struct vnp_stored *t = vnp_role_find(s, scheme, role, 0, name, sizeof name);
    if (t == NULL)
        return vnp_error(err, VNP_DATA, "%s: tensor %s is missing", s->paths[0], name);
    if (t->ndim != 2 || t->shape[0] < 1 || t->shape[1] < 1 || t->shape[0] > 1 << 24 || t->shape[1] > 1 << 24) {
        char text[160];
        return vnp_error(err, VNP_DATA, "%s: tensor %s: shape %s is not that of a matrix", t->file, name,
                         vnp_shape_text(text, sizeof text, t->shape, t->ndim));
    }
    shape[0] = t->shape[0];
    shape[1] = t->shape[1];
    return VNP_OK;
}

static enum vnp_status agree(const char *what, int said, int found, const struct vnp_hints *h,
                             const struct vnp_stored_set *s, struct vnp_err *err)
{
    if (said == 0 || said == found)
        return VNP_OK;
    return vnp_error(err, VNP_DATA, "%s: %s is %d but the tensors in %s have %d", h->source, what, said, s->paths[0],
                     found);
}

static enum vnp_status settle_heads(struct vnp_model_config *c, const struct vnp_hints *h, const char *file,
                                    struct vnp_err *err)
{
    c->heads = h->heads;
    if (c->heads == 0)
        c->heads = c->arch == VNP_ESM2                  ? published_heads(c->layers, c->width)
                   : c->layers == 12 && c->width == 768 ? 12
                                                        : 0;
    if (c->heads == 0)
        return vnp_error(
            err, VNP_DATA,
            "%s: %d layers of width %d are not a published size, so the number of heads can't be told: add "
            "the model's config.json beside it",
            file, c->layers, c->width);
    if (c->width % c->heads != 0)
        return vnp_error(err, VNP_DATA, "%s: %d attention heads do not divide the width of %d", h->source, c->heads,
                         c->width);
    c->head_dim = c->width / c->heads;
    if (c->head_dim % 2 != 0 || c->head_dim > MAX_HEAD_DIM)
        return vnp_error(err, VNP_DATA,
                         "%s: a head dimension of %d (width %d, %d heads) is not an even number up to %d", h->source,
                         c->head_dim, c->width, c->heads, MAX_HEAD_DIM);
    return VNP_OK;
}

static void settle_rest(struct vnp_model_config *c, const struct vnp_hints *h)
{
    const bool esm = c->arch == VNP_ESM2;
    c->ln_eps = (float)(h->ln_eps > 0 ? h->ln_eps : esm ? 1e-5 : 1e-12);
    c->token_dropout = esm && h->token_dropout != 0;
    c->mask_id = !esm ? -1 : h->mask_id >= 0 ? h->mask_id : 32;
    c->pad_id = !esm ? -1 : h->pad_id >= 0 ? h->pad_id : 1;
}

enum vnp_status vnp_config_settle(struct vnp_model_config *c, const struct vnp_stored_set *s,
                                  const struct vnp_scheme *scheme, const struct vnp_hints *h, struct vnp_err *err)
{
    int64_t word[2], fc2[2];
    c->arch = vnp_scheme_arch(scheme->naming);
    if (h->arch >= 0 && h->arch != (int)c->arch)
        return vnp_error(err, VNP_DATA, "%s: model_type is %s, but the tensors in %s are %s: whose config is this?",
                         h->source, h->arch == VNP_ESM2 ? "esm" : "bert", s->paths[0],
                         c->arch == VNP_ESM2 ? "an ESM-2's" : "a DNABERT-S's");
    enum vnp_status st = vnp_scheme_layers(s, scheme, &c->layers, err);
    if (st == VNP_OK && c->layers == 0)
        st = vnp_error(err, VNP_DATA, "%s: no layers", s->paths[0]);
    if (st == VNP_OK)
        st = matrix_shape(s, scheme, VNP_EMB_WORD, word, err);
    if (st == VNP_OK)
        st = matrix_shape(s, scheme, VNP_FC2_W, fc2, err);
    if (st != VNP_OK)
        return st;
    c->vocab = (int)word[0];
    c->width = (int)word[1];
    c->ffn = (int)fc2[1];
    if ((st = agree("num_hidden_layers", h->layers, c->layers, h, s, err)) != VNP_OK ||
        (st = agree("hidden_size", h->width, c->width, h, s, err)) != VNP_OK ||
        (st = agree("intermediate_size", h->ffn, c->ffn, h, s, err)) != VNP_OK ||
        (st = agree("vocab_size", h->vocab, c->vocab, h, s, err)) != VNP_OK ||
        (st = settle_heads(c, h, s->paths[0], err)) != VNP_OK)
        return st;
    settle_rest(c, h);
    if (c->arch == VNP_ESM2 && c->vocab < 33)
        return vnp_error(err, VNP_DATA, "%s: %d rows of word embeddings; ESM-2 has 33", s->paths[0], c->vocab);
    if (c->arch == VNP_ESM2 && c->mask_id >= c->vocab)
        return vnp_error(err, VNP_DATA, "%s: mask_token_id is %d, but the vocabulary has only %d ids", h->source,
                         c->mask_id, c->vocab);
    return VNP_OK;
}
