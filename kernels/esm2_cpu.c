#include "esm2_cpu.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "block.h"
#include "cpu_blas.h"
#include "cpu_tiles.h"
#include "xmalloc.h"

/* Columns of a weight that one task multiplies by: enough tasks for many cores, few enough that packing the rows again
 * for each costs little. */
#define COLUMNS 320
#define ALIGN 64

/* Pointers by role: [VNP_N_ROLES], as vnp_model_tensor() has them. */
struct weights {
    const float *role[VNP_N_ROLES];
};

/* Scratch that grows; contents are lost when it does. */
struct area {
    float *p;
    int64_t cap; /* floats */
};

struct vnp_esm2_cpu {
    const struct vnp_model_config *config;
    struct vnp_cpu_threads *threads;
    struct weights globals, *layers;
    float **owned; /* converted tensors */
    int64_t n_owned;

    struct area x, y, big; /* [tokens, width]; [tokens, width]; [tokens, max(3 width, ffn)] */
    struct area rotary;    /* [positions, 2, head_dim / 2] */
    struct area *scratch;  /* a thread each: scores, or a product before the residual */
    int64_t positions;     /* rows of `rotary` that are filled */
    struct vnp_cpu_tile *tiles, *queries;
    int64_t n_tiles, n_queries, cap_tiles, cap_queries;
};

/* --- weights ------------------------------------------------------------------------------------------------------ */

struct conversion {
    const struct vnp_tensor *t;
    float *dst;
};

static void convert_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    const struct conversion *c = (const struct conversion *)ctx + task;
    vnp_tensor_f32(c->t, 0, c->t->shape[0] * c->t->shape[1], c->dst);
}

static bool in_place(const struct vnp_tensor *t)
{
    return t->dtype == VNP_F32 && (uintptr_t)t->data % sizeof(float) == 0;
}

/* Points *slot at the tensor, or at room for it, which is added to the list of conversions. */
static enum vnp_status place(struct vnp_esm2_cpu *m, const struct vnp_tensor *t, const float **slot,
                             struct conversion *todo, struct vnp_err *err)
{
    if (!t) {
        *slot = NULL;
        return VNP_OK;
    }
    if (in_place(t)) {
        *slot = (const float *)t->data;
        return VNP_OK;
    }
    const size_t bytes = (size_t)(t->shape[0] * t->shape[1]) * sizeof(float);
    float *p = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    if (!p)
        return vnp_error(err, VNP_OS, "out of memory: %s in FP32 takes %zu bytes", t->name, bytes);
    *slot = p;
    todo[m->n_owned] = (struct conversion){t, p};
    m->owned[m->n_owned++] = p;
    return VNP_OK;
}

static enum vnp_status load(struct vnp_esm2_cpu *m, const struct vnp_model *model, struct vnp_err *err)
{
    const int layers = m->config->layers;
    const size_t most = (size_t)(layers + 1) * VNP_N_ROLES;
    struct conversion *todo = xcalloc(most, sizeof *todo);
    m->owned = xcalloc(most, sizeof *m->owned);
    m->layers = xcalloc((size_t)layers, sizeof *m->layers);
    enum vnp_status st = VNP_OK;
    for (int r = 0; r < VNP_N_GLOBAL_ROLES && st == VNP_OK; r++)
        st = place(m, vnp_model_tensor(model, r, 0), &m->globals.role[r], todo, err);
    for (int l = 0; l < layers; l++)
        for (int r = VNP_N_GLOBAL_ROLES; r < VNP_N_ROLES && st == VNP_OK; r++)
            st = place(m, vnp_model_tensor(model, r, l), &m->layers[l].role[r], todo, err);
    if (st == VNP_OK)
        vnp_cpu_threads_run(m->threads, m->n_owned, convert_task, todo);
    free(todo);
    return st;
}

enum vnp_status vnp_esm2_cpu_open(struct vnp_esm2_cpu **out, const struct vnp_model *model,
                                  struct vnp_cpu_threads *threads, struct vnp_err *err)
{
    struct vnp_esm2_cpu *m = xcalloc(1, sizeof *m);
    *out = NULL;
    vnp_cpu_blas_init();
    m->config = vnp_model_config(model);
    m->threads = threads;
    m->scratch = xcalloc((size_t)vnp_cpu_threads_n(threads), sizeof *m->scratch);
    const enum vnp_status st = load(m, model, err);
    if (st != VNP_OK) {
        vnp_esm2_cpu_close(m);
        return st;
    }
    *out = m;
    return VNP_OK;
}

void vnp_esm2_cpu_close(struct vnp_esm2_cpu *m)
{
    if (!m)
        return;
    for (int64_t i = 0; i < m->n_owned; i++)
        free(m->owned[i]);
    for (int i = 0; i < vnp_cpu_threads_n(m->threads); i++)
        free(m->scratch[i].p);
    free(m->scratch);
    free(m->x.p);
    free(m->y.p);
    free(m->big.p);
    free(m->rotary.p);
    free(m->tiles);
    free(m->queries);
    free(m->owned);
    free(m->layers);
    free(m);
}

/* --- room for a batch --------------------------------------------------------------------------------------------- */

static enum vnp_status grow(struct area *a, int64_t floats, struct vnp_err *err)
{
    if (floats <= a->cap)
        return VNP_OK;
    free(a->p);
    a->cap = 0;
    a->p = floats > INT64_MAX / 8 ? NULL
                                  : aligned_alloc(ALIGN, ((size_t)floats * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN);
    if (!a->p)
        return vnp_error(err, VNP_OS, "out of memory: %.1f GB for this batch; give vnp-pack a smaller -b",
                         (double)floats * sizeof(float) * 1e-9);
    a->cap = floats;
    return VNP_OK;
}

static enum vnp_status grow_rotary(struct vnp_esm2_cpu *m, int64_t positions, struct vnp_err *err)
{
    const int d = m->config->head_dim;
    if (positions <= m->positions)
        return VNP_OK;
    m->positions = 0;
    if (grow(&m->rotary, positions * d, err) != VNP_OK)
        return err->status;
    vnp_cpu_rotary_table(m->rotary.p, positions, d);
    m->positions = positions;
    return VNP_OK;
}

static void make_tiles(struct vnp_cpu_tile **tiles, int64_t *n, int64_t *cap, const struct vnp_cpu_batch *b,
                       int64_t limit)
{
    *n = vnp_cpu_tiles(NULL, b->tokens, b->n, limit);
    if (*n > *cap) {
        *tiles = xreallocarray(*tiles, (size_t)*n, sizeof **tiles);
        *cap = *n;
    }
    vnp_cpu_tiles(*tiles, b->tokens, b->n, limit);
}

static enum vnp_status prepare(struct vnp_esm2_cpu *m, const struct vnp_cpu_batch *b, struct vnp_err *err)
{
    const struct vnp_model_config *c = m->config;
    int64_t rows = 0, longest = 0, scores = (int64_t)VNP_CPU_ROWS * COLUMNS;
    for (int64_t s = 0; s < b->n; s++) {
        const int64_t length = b->tokens[s];
        const int64_t queries = length < vnp_cpu_queries(length) ? length : vnp_cpu_queries(length);
        rows += length;
        longest = length > longest ? length : longest;
        scores = queries * (length + 1) > scores ? queries * (length + 1) : scores;
    }
    const int64_t wide = c->ffn > 3 * c->width ? c->ffn : 3 * c->width;
    if (grow(&m->x, rows * c->width, err) != VNP_OK || grow(&m->y, rows * c->width, err) != VNP_OK ||
        grow(&m->big, rows * wide, err) != VNP_OK || grow_rotary(m, longest, err) != VNP_OK)
        return err->status;
    for (int i = 0; i < vnp_cpu_threads_n(m->threads); i++)
        if (grow(&m->scratch[i], scores, err) != VNP_OK)
            return err->status;
    make_tiles(&m->tiles, &m->n_tiles, &m->cap_tiles, b, VNP_CPU_ROWS);
    make_tiles(&m->queries, &m->n_queries, &m->cap_queries, b, 0);
    return VNP_OK;
}

/* --- the walk: each step is a loop of tasks over the whole batch -------------------------------------------------- */

struct embed_step {
    struct vnp_esm2_cpu *m;
    const struct vnp_cpu_batch *batch;
    const int64_t *first_row; /* of each sequence */
};

static void embed_task(void *ctx, int64_t s, int worker)
{
    (void)worker;
    const struct embed_step *e = ctx;
    const struct vnp_model_config *c = e->m->config;
    const struct vnp_cpu_batch *b = e->batch;
    const int64_t row = e->first_row[s];
    vnp_cpu_embed_esm2(e->m->x.p + row * c->width, e->m->globals.role[VNP_EMB_WORD],
                       (const char *)b->ids + row * b->id_bytes, b->id_bytes, b->tokens[s], c->width, c->token_dropout,
                       (uint32_t)c->mask_id);
}

static void embed(struct vnp_esm2_cpu *m, const struct vnp_cpu_batch *b)
{
    int64_t *first_row = xreallocarray(NULL, (size_t)b->n + 1, sizeof *first_row);
    first_row[0] = 0;
    for (int64_t s = 0; s < b->n; s++)
        first_row[s + 1] = first_row[s] + b->tokens[s];
    struct embed_step e = {m, b, first_row};
    vnp_cpu_threads_run(m->threads, b->n, embed_task, &e);
    free(first_row);
}

struct norm_step {
    struct vnp_esm2_cpu *m;
    float *out;
    const float *w, *b;
};

static void norm_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    const struct norm_step *s = ctx;
    const struct vnp_cpu_tile *t = &s->m->tiles[task];
    const int64_t width = s->m->config->width;
    vnp_cpu_layernorm(s->out + t->row * width, s->m->x.p + t->row * width, s->w, s->b, t->rows, width,
                      s->m->config->ln_eps);
}

/* out = LayerNorm(x); out may be x. */
static void norm(struct vnp_esm2_cpu *m, float *out, const float *w, const float *b)
{
    struct norm_step s = {m, out, w, b};
    vnp_cpu_threads_run(m->threads, m->n_tiles, norm_task, &s);
}

/* One to three weights of the same shape [n, k] on the same input, side by side in the output. */
struct linear_step {
    struct vnp_esm2_cpu *m;
    int matrices;
    const float *w[3], *bias[3];
    int64_t n, k, part, parts;
    const float *in;
    float *out;
    enum vnp_cpu_epilogue epilogue;
};

static void linear_task(void *ctx, int64_t task, int worker)
{
    const struct linear_step *s = ctx;
    /* Neighbouring tasks share the weights' columns: they stay in the cache while the rows go by. */
    const struct vnp_cpu_tile *t = &s->m->tiles[task % s->m->n_tiles];
    const int64_t column = task / s->m->n_tiles;
    const int64_t matrix = column / s->parts, first = column % s->parts * s->part;
    const int64_t stride = s->n * s->matrices;
    const struct vnp_cpu_linear p = {
        .rows = t->rows,
        .n = s->n - first < s->part ? s->n - first : s->part,
        .k = s->k,
        .x = s->in + t->row * s->k,
        .w = s->w[matrix] + first * s->k,
        .bias = s->bias[matrix] ? s->bias[matrix] + first : NULL,
        .out = s->out + t->row * stride + matrix * s->n + first,
        .out_stride = stride,
        .epilogue = s->epilogue,
        .scratch = s->m->scratch[worker].p,
    };
    vnp_cpu_linear(&p);
}

static void linear_run(struct linear_step *s)
{
    s->parts = vnp_cpu_split(s->n, COLUMNS, 16, &s->part);
    vnp_cpu_threads_run(s->m->threads, s->m->n_tiles * s->parts * s->matrices, linear_task, s);
}

/* out [tokens, n] = epilogue(in [tokens, k] w^T + bias). */
static void linear(struct vnp_esm2_cpu *m, const float *in, int64_t k, const float *w, const float *bias, float *out,
                   int64_t n, enum vnp_cpu_epilogue epilogue)
{
    struct linear_step s = {
        .m = m, .matrices = 1, .w = {w}, .bias = {bias}, .n = n, .k = k, .in = in, .out = out, .epilogue = epilogue};
    linear_run(&s);
}

/* big [tokens, 3 width] = q | k | v of y. */
static void project_qkv(struct vnp_esm2_cpu *m, const float *const *w)
{
    struct linear_step s = {.m = m, .matrices = 3, .n = m->config->width, .k = m->config->width};
    s.in = m->y.p;
    s.out = m->big.p;
    for (int i = 0; i < 3; i++) { /* the roles are q, k, v, a weight and a bias each */
        s.w[i] = w[VNP_Q_W + 2 * i];
        s.bias[i] = w[VNP_Q_B + 2 * i];
    }
    s.epilogue = VNP_CPU_BIAS;
    linear_run(&s);
}

/* big [tokens, 3 width]: the q and k columns, in place. */
static void rotary_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    struct vnp_esm2_cpu *m = ctx;
    const struct vnp_model_config *c = m->config;
    const struct vnp_cpu_tile *t = &m->tiles[task];
    float *qkv = m->big.p + t->row * 3 * c->width;
    const float scale = (float)(1.0 / sqrt((double)c->head_dim));
    vnp_cpu_rotary(qkv, 3 * c->width, t->rows, c->heads, c->head_dim, t->pos, scale, m->rotary.p);
    vnp_cpu_rotary(qkv + c->width, 3 * c->width, t->rows, c->heads, c->head_dim, t->pos, 1.0f, m->rotary.p);
}

static void attention_task(void *ctx, int64_t task, int worker)
{
    struct vnp_esm2_cpu *m = ctx;
    const struct vnp_model_config *c = m->config;
    const struct vnp_cpu_tile *t = &m->queries[task / c->heads];
    const int64_t head = task % c->heads * c->head_dim, stride = 3 * c->width;
    const float *keys = m->big.p + (t->row - t->pos) * stride + c->width + head;
    const struct vnp_cpu_attention p = {
        .queries = t->rows,
        .keys = t->length,
        .head_dim = c->head_dim,
        .q = m->big.p + t->row * stride + head,
        .k = keys,
        .v = keys + c->width,
        .stride = stride,
        .out = m->y.p + t->row * c->width + head,
        .out_stride = c->width,
        .scores = m->scratch[worker].p,
    };
    vnp_cpu_attention(&p);
}

static void block(struct vnp_esm2_cpu *m, const float *const *w)
{
    const int64_t width = m->config->width, ffn = m->config->ffn;
    float *x = m->x.p, *y = m->y.p, *big = m->big.p;
    norm(m, y, w[VNP_LN1_W], w[VNP_LN1_B]);
    project_qkv(m, w);
    vnp_cpu_threads_run(m->threads, m->n_tiles, rotary_task, m);
    vnp_cpu_threads_run(m->threads, m->n_queries * m->config->heads, attention_task, m);
    linear(m, y, width, w[VNP_OUT_W], w[VNP_OUT_B], x, width, VNP_CPU_BIAS_ADD);
    norm(m, y, w[VNP_LN2_W], w[VNP_LN2_B]);
    linear(m, y, width, w[VNP_FC1_W], w[VNP_FC1_B], big, ffn, VNP_CPU_BIAS_GELU);
    linear(m, big, ffn, w[VNP_FC2_W], w[VNP_FC2_B], x, width, VNP_CPU_BIAS_ADD);
}

enum vnp_status vnp_esm2_cpu_forward(struct vnp_esm2_cpu *m, const struct vnp_cpu_batch *batch, int layer,
                                     const float **hidden, struct vnp_err *err)
{
    if (prepare(m, batch, err) != VNP_OK)
        return err->status;
    embed(m, batch);
    for (int l = 0; l < layer; l++)
        block(m, m->layers[l].role);
    if (layer == m->config->layers)
        norm(m, m->x.p, m->globals.role[VNP_FINAL_LN_W], m->globals.role[VNP_FINAL_LN_B]);
    *hidden = m->x.p;
    return VNP_OK;
}

double vnp_esm2_flops(const struct vnp_model_config *c, int layer, int64_t tokens)
{
    const double w = c->width, n = (double)tokens;
    return layer * n * (2 * w * (4 * w + 2 * (double)c->ffn) + 4 * n * w);
}
