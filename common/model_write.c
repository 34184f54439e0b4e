#include "model_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "esm2_vocab.h"
#include "half.h"
#include "jsonout.h"
#include "mapfile.h"
#include "model_roles.h"
#include "output.h"
#include "parallel.h"
#include "tempdir.h"
#include "xmalloc.h"

#define CHUNK ((int64_t)1 << 18) /* elements that a thread makes and writes at a time */

struct item {
    enum vnp_role role; /* VNP_N_ROLES: the rotary frequencies of the layer, float32 */
    int layer;
    int64_t elements;
    uint64_t offset;     /* of the data, from the end of the header */
    int64_t first_chunk; /* chunks of the items before */
};

struct job {
    const struct vnp_model_write *w;
    struct item *items;
    int64_t n_items, n_chunks;
    uint64_t data_at, bytes; /* in the file: end of the header, end */
    int fd;
    pthread_mutex_t lock; /* of what follows */
    _Atomic int failed;   /* errno of a write */
    uint64_t overflowed;
    char where[128];
};

static const struct vnp_scheme *scheme_of(enum vnp_arch arch)
{
    static const struct vnp_scheme esm2 = {VNP_NAMES_HF_ESM, ""}, dnabert_s = {VNP_NAMES_DNABERT_S, ""};
    return arch == VNP_ESM2 ? &esm2 : &dnabert_s;
}

static void item_name(const struct job *j, const struct item *it, char *name, size_t cap)
{
    if (it->role == VNP_N_ROLES)
        snprintf(name, cap, "encoder.layer.%d.attention.self.rotary_embeddings.inv_freq", it->layer);
    else
        vnp_role_name(scheme_of(j->w->config->arch), it->role, it->layer, name, cap);
}

/* --- header ------------------------------------------------------------------------------------------------------ */

static void add_item(struct job *j, struct vnp_text *h, enum vnp_role role, int layer, enum vnp_dtype dtype,
                     const int64_t *shape, int ndim)
{
    static const char *const names[] = {[VNP_F32] = "F32", [VNP_F16] = "F16", [VNP_BF16] = "BF16"};
    struct item *it = &j->items[j->n_items++];
    *it = (struct item){role, layer, shape[0] * (ndim == 2 ? shape[1] : 1), j->bytes, j->n_chunks};
    j->bytes += (uint64_t)it->elements * vnp_dtype_bytes(dtype);
    j->n_chunks += (it->elements + CHUNK - 1) / CHUNK;
    char name[256], text[64];
    item_name(j, it, name, sizeof name);
    vnp_text_printf(h, ",\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", name,
                    names[dtype], vnp_shape_text(text, sizeof text, shape, ndim), it->offset, j->bytes);
}

/* Lays all tensors out and writes the header's text, padded so that the data begin at a multiple of 64. */
static void lay_out(struct job *j, struct vnp_text *h)
{
    const struct vnp_model_config *c = j->w->config;
    const size_t n = vnp_role_count(c->layers);
    j->items = xcalloc(n + (size_t)c->layers, sizeof *j->items);
    char eps[VNP_FLOAT_TEXT];
    vnp_float_text(eps, c->ln_eps);
    vnp_text_printf(h,
                    "{\"__metadata__\":{\"format\":\"pt\",\"num_attention_heads\":\"%d\",\"layer_norm_eps\":\"%s\","
                    "\"token_dropout\":\"%s\"}",
                    c->heads, eps, c->token_dropout ? "true" : "false");
    /* float32 first: in a file of halves everything stays aligned to its own size */
    const int64_t freq[1] = {c->head_dim / 2};
    for (int l = 0; l < c->layers && c->arch == VNP_ESM2; l++)
        add_item(j, h, VNP_N_ROLES, l, VNP_F32, freq, 1);
    for (size_t i = 0; i < n; i++) {
        int layer;
        int64_t shape[2];
        const enum vnp_role role = vnp_role_at(i, &layer);
        const int ndim = vnp_role_shape(c, role, shape);
        if (ndim > 0)
            add_item(j, h, role, layer, j->w->dtype, shape, ndim);
    }
    vnp_text_str(h, "}");
    while ((8 + h->n) % 64 != 0)
        vnp_text_str(h, " ");
    j->data_at = 8 + h->n;
}

/* --- data -------------------------------------------------------------------------------------------------------- */

/* Rounds in place; returns how many finite values were too large. */
static uint64_t round_half(float *v, int64_t n, enum vnp_dtype dtype, uint16_t *out)
{
    const uint16_t inf = dtype == VNP_F16 ? 0x7c00 : 0x7f80;
    uint64_t overflowed = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = dtype == VNP_F16 ? vnp_f32_f16(v[i]) : vnp_f32_bf16(v[i]);
        const bool over = (h & 0x7fff) == inf && isfinite(v[i]);
        overflowed += over;
        out[i] = (uint16_t)(h - over); /* the pattern under infinity's is the largest finite value's */
    }
    return overflowed;
}

static void fill_rotary(const struct job *j, int64_t n, float *v)
{
    const double d = j->w->config->head_dim;
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(1 / pow(10000, 2 * (double)i / d));
}

static void report(struct job *j, const struct item *it, uint64_t overflowed, int failed)
{
    if (overflowed == 0 && failed == 0)
        return;
    pthread_mutex_lock(&j->lock);
    if (overflowed > 0 && j->where[0] == '\0') {
        char name[256];
        item_name(j, it, name, sizeof name);
        snprintf(j->where, sizeof j->where, "%.120s", name);
    }
    j->overflowed += overflowed;
    if (failed != 0)
        j->failed = failed;
    pthread_mutex_unlock(&j->lock);
}

static const struct item *item_of(const struct job *j, int64_t chunk)
{
    int64_t lo = 0, hi = j->n_items - 1;
    while (lo < hi) {
        const int64_t mid = (lo + hi + 1) / 2;
        if (j->items[mid].first_chunk <= chunk)
            lo = mid;
        else
            hi = mid - 1;
    }
    return &j->items[lo];
}

static void write_chunk(void *ctx, int64_t chunk)
{
    struct job *j = ctx;
    const struct item *it = item_of(j, chunk);
    const int64_t first = (chunk - it->first_chunk) * CHUNK;
    const int64_t n = it->elements - first < CHUNK ? it->elements - first : CHUNK;
    const enum vnp_dtype dtype = it->role == VNP_N_ROLES ? VNP_F32 : j->w->dtype;
    if (j->failed != 0)
        return;
    float *v = xreallocarray(NULL, (size_t)n, sizeof *v + sizeof(uint16_t));
    const void *bytes = v;
    uint64_t overflowed = 0;
    if (it->role == VNP_N_ROLES)
        fill_rotary(j, n, v);
    else
        j->w->fill(j->w->ctx, it->role, it->layer, first, n, v);
    if (dtype != VNP_F32) {
        uint16_t *half = (uint16_t *)(v + n);
        overflowed = round_half(v, n, dtype, half);
        bytes = half;
    }
    const uint64_t size = vnp_dtype_bytes(dtype);
    const int failed = vnp_pwrite(j->fd, bytes, (size_t)((uint64_t)n * size),
                                  (off_t)(j->data_at + it->offset + (uint64_t)first * size));
    free(v);
    report(j, it, overflowed, failed);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static enum vnp_status write_weights(struct job *j, const char *path, struct vnp_err *err)
{
    struct vnp_text h = {0};
    uint8_t length[8];
    lay_out(j, &h);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)h.n >> (8 * i));
    j->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (j->fd < 0) {
        free(h.p);
        return vnp_error(err, VNP_CANTCREAT, "%s: %s", path, strerror(errno));
    }
    j->failed = vnp_pwrite(j->fd, length, sizeof length, 0);
    if (j->failed == 0)
        j->failed = vnp_pwrite(j->fd, h.p, h.n, 8);
    free(h.p);
    vnp_parallel(j->n_chunks, write_chunk, j);
    if (j->failed == 0 && fsync(j->fd) != 0)
        j->failed = errno;
    if (close(j->fd) != 0 && j->failed == 0)
        j->failed = errno;
    if (j->failed != 0)
        return vnp_error(err, VNP_IO, "%s: can't be written: %s", path, strerror(j->failed));
    if (j->overflowed > 0 && !j->w->saturate)
        return vnp_error(err, VNP_DATA,
                         "%s: %" PRIu64 " values are too large for %s, some of them in %s: write f32 or "
                         "bf16, or let --force put the largest %s in their place",
                         j->w->config->name, j->overflowed, vnp_dtype_name(j->w->dtype), j->where,
                         vnp_dtype_name(j->w->dtype));
    return VNP_OK;
}

static enum vnp_status write_file(const char *path, const void *p, size_t n, struct vnp_err *err)
{
    FILE *f = fopen(path, "wxe");
    if (f == NULL)
        return vnp_error(err, VNP_CANTCREAT, "%s: %s", path, strerror(errno));
    const bool whole = fwrite(p, 1, n, f) == n && fflush(f) == 0 && fsync(fileno(f)) == 0;
    const int failed = errno;
    if (fclose(f) == 0 && whole)
        return VNP_OK;
    return vnp_error(err, VNP_IO, "%s: can't be written: %s", path, strerror(failed));
}

static void config_text(struct vnp_text *t, const struct vnp_model_config *c, enum vnp_dtype dtype)
{
    static const char *const torch[] = {[VNP_F32] = "float32", [VNP_F16] = "float16", [VNP_BF16] = "bfloat16"};
    char eps[VNP_FLOAT_TEXT];
    vnp_float_text(eps, c->ln_eps);
    if (c->arch == VNP_ESM2)
        vnp_text_printf(t,
                        "{\n  \"architectures\": [\"EsmModel\"],\n  \"model_type\": \"esm\",\n"
                        "  \"position_embedding_type\": \"rotary\",\n  \"emb_layer_norm_before\": false,\n"
                        "  \"token_dropout\": %s,\n  \"mask_token_id\": %d,\n  \"pad_token_id\": %d,\n"
                        "  \"max_position_embeddings\": 1026,\n",
                        c->token_dropout ? "true" : "false", c->mask_id, c->pad_id);
    else
        vnp_text_str(t, "{\n  \"architectures\": [\"BertModel\"],\n  \"model_type\": \"bert\",\n"
                        "  \"alibi_starting_size\": 512,\n  \"type_vocab_size\": 2,\n"
                        "  \"max_position_embeddings\": 512,\n");
    vnp_text_printf(t,
                    "  \"hidden_act\": \"gelu\",\n  \"attention_probs_dropout_prob\": 0.0,\n"
                    "  \"hidden_dropout_prob\": 0.0,\n  \"hidden_size\": %d,\n  \"intermediate_size\": %d,\n"
                    "  \"layer_norm_eps\": %s,\n  \"num_attention_heads\": %d,\n  \"num_hidden_layers\": %d,\n"
                    "  \"torch_dtype\": \"%s\",\n  \"vocab_size\": %d\n}\n",
                    c->width, c->ffn, eps, c->heads, c->layers, torch[dtype], c->vocab);
}

static enum vnp_status write_notes(const struct vnp_model_write *w, const char *dir, struct vnp_err *err)
{
    struct vnp_text t = {0};
    char *path = xasprintf("%s/config.json", dir);
    config_text(&t, w->config, w->dtype);
    enum vnp_status st = write_file(path, t.p, t.n, err);
    free(path);
    if (st == VNP_OK && w->config->arch == VNP_ESM2) {
        path = xasprintf("%s/vocab.txt", dir);
        t.n = 0;
        for (int i = 0; i < VNP_ESM2_TOKENS; i++)
            vnp_text_printf(&t, "%s\n", vnp_esm2_tokens[i]);
        st = write_file(path, t.p, t.n, err);
        free(path);
    }
    free(t.p);
    return st;
}

/* The tokenizer that the model was trained with, as it is. */
static enum vnp_status copy_tokenizer(const char *from, const char *dir, struct vnp_err *err)
{
    struct vnp_map map;
    enum vnp_status st = vnp_map_open(&map, from, err);
    if (st != VNP_OK)
        return st;
    char *path = xasprintf("%s/tokenizer.json", dir);
    st = write_file(path, map.p, (size_t)map.n, err);
    free(path);
    vnp_map_close(&map);
    return st;
}

enum vnp_status vnp_model_write(const struct vnp_model_write *w, struct vnp_model_written *done, struct vnp_err *err)
{
    struct vnp_tempdir *temp;
    *done = (struct vnp_model_written){0};
    enum vnp_status st = vnp_tempdir_open(&temp, w->dir, err);
    if (st != VNP_OK)
        return st;
    struct job j = {.w = w, .lock = PTHREAD_MUTEX_INITIALIZER};
    char *weights = xasprintf("%s/model.safetensors", vnp_tempdir_path(temp));
    st = write_notes(w, vnp_tempdir_path(temp), err);
    if (st == VNP_OK && w->tokenizer != NULL)
        st = copy_tokenizer(w->tokenizer, vnp_tempdir_path(temp), err);
    if (st == VNP_OK)
        st = write_weights(&j, weights, err);
    free(weights);
    free(j.items);
    if (st == VNP_OK)
        st = vnp_tempdir_commit(temp, err);
    else
        vnp_tempdir_discard(temp);
    *done = (struct vnp_model_written){j.data_at + j.bytes, j.overflowed};
    return st;
}
