#include "net_cpu.h"

#include <stdbool.h>
#include <stdlib.h>

#include "alibi.h"
#include "cpu_blas.h"
#include "net_cpu_steps.h"
#include "xmalloc.h"

#define ALIGN 64

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
static enum vnp_status place(struct vnp_cpu_net *m, const struct vnp_tensor *t, const float **slot,
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

static enum vnp_status load(struct vnp_cpu_net *m, const struct vnp_model *model, struct vnp_err *err)
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

int64_t vnp_cpu_net_weights_bytes(const struct vnp_model *model)
{
    int64_t bytes = 0;
    for (int l = 0; l < vnp_model_config(model)->layers; l++)
        for (int r = l == 0 ? 0 : VNP_N_GLOBAL_ROLES; r < VNP_N_ROLES; r++) {
            const struct vnp_tensor *t = vnp_model_tensor(model, r, l);
            if (t)
                bytes += (int64_t)t->bytes + (in_place(t) ? 0 : t->shape[0] * t->shape[1] * (int64_t)sizeof(float));
        }
    return bytes;
}

enum vnp_status vnp_cpu_net_new(struct vnp_cpu_net **out, const struct vnp_model_config *config,
                                struct vnp_cpu_threads *threads, struct vnp_err *err)
{
    static const struct vnp_cpu_walk *const walks[] = {
        [VNP_ESM2] = &vnp_esm2_walk, [VNP_DNABERT_S] = &vnp_dnabert_walk};
    struct vnp_cpu_net *m;
    *out = NULL;
    vnp_cpu_blas_init();
    if (!vnp_cpu_blas_room(vnp_cpu_threads_n(threads)))
        return vnp_error(err, VNP_OS,
                         "no address space for the matrix buffers of %d threads; raise ulimit -v, or lower --threads",
                         vnp_cpu_threads_n(threads));
    m = xcalloc(1, sizeof *m);
    m->config = config;
    m->walk = walks[config->arch];
    m->threads = threads;
    m->scratch = xcalloc((size_t)vnp_cpu_threads_n(threads), sizeof *m->scratch);
    m->slopes = xcalloc((size_t)config->heads, sizeof *m->slopes);
    if (config->arch == VNP_DNABERT_S)
        vnp_alibi_slopes(m->slopes, config->heads);
    *out = m;
    return VNP_OK;
}

enum vnp_status vnp_cpu_net_open(struct vnp_cpu_net **out, const struct vnp_model *model,
                                 struct vnp_cpu_threads *threads, struct vnp_err *err)
{
    struct vnp_cpu_net *m;
    *out = NULL;
    if (vnp_cpu_net_new(&m, vnp_model_config(model), threads, err) != VNP_OK)
        return err->status;
    const enum vnp_status st = load(m, model, err);
    if (st != VNP_OK) {
        vnp_cpu_net_close(m);
        return st;
    }
    *out = m;
    return VNP_OK;
}

void vnp_cpu_net_close(struct vnp_cpu_net *m)
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
    free(m->slopes);
    free(m->tiles);
    free(m->queries);
    free(m->owned);
    free(m->layers);
    free(m);
}

/* --- room for a batch --------------------------------------------------------------------------------------------- */

enum vnp_status vnp_cpu_area_grow(struct vnp_cpu_area *a, int64_t floats, struct vnp_err *err)
{
    if (floats <= a->cap)
        return VNP_OK;
    free(a->p);
    a->cap = 0;
    a->p = floats > INT64_MAX / 8 ? NULL
                                  : aligned_alloc(ALIGN, ((size_t)floats * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN);
    if (!a->p)
        return vnp_error(
            err, VNP_OS,
            "out of memory: %.1f GB for this batch; give vnp-pack a smaller -b, or split long records with "
            "vnp-fasta2tok --window",
            (double)floats * sizeof(float) * 1e-9);
    a->cap = floats;
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

/* Floats of scratch that a thread needs for a sequence of `length`: scores, or a product. */
static int64_t scratch_of(int64_t length)
{
    const int64_t queries = length < vnp_cpu_queries(length) ? length : vnp_cpu_queries(length);
    const int64_t scores = queries * (length + 1), product = (int64_t)VNP_CPU_ROWS * VNP_CPU_COLUMNS;
    return scores > product ? scores : product;
}

static int64_t wide_of(const struct vnp_model_config *c)
{
    return c->ffn > 3 * c->width ? c->ffn : 3 * c->width;
}

int64_t vnp_cpu_net_batch_bytes(const struct vnp_model_config *c, int64_t tokens, int64_t longest, int threads)
{
    return (tokens * (2 * c->width + wide_of(c)) + threads * scratch_of(longest) + longest * c->head_dim) *
           (int64_t)sizeof(float);
}

static enum vnp_status prepare(struct vnp_cpu_net *m, const struct vnp_cpu_batch *b, struct vnp_err *err)
{
    const struct vnp_model_config *c = m->config;
    int64_t rows = 0, longest = 0, scratch = 0;
    for (int64_t s = 0; s < b->n; s++) {
        const int64_t length = b->tokens[s];
        rows += length;
        longest = length > longest ? length : longest;
        scratch = scratch_of(length) > scratch ? scratch_of(length) : scratch;
    }
    if (vnp_cpu_area_grow(&m->x, rows * c->width, err) != VNP_OK ||
        vnp_cpu_area_grow(&m->y, rows * c->width, err) != VNP_OK ||
        vnp_cpu_area_grow(&m->big, rows * wide_of(c), err) != VNP_OK)
        return err->status;
    for (int i = 0; i < vnp_cpu_threads_n(m->threads); i++)
        if (vnp_cpu_area_grow(&m->scratch[i], scratch, err) != VNP_OK)
            return err->status;
    make_tiles(&m->tiles, &m->n_tiles, &m->cap_tiles, b, VNP_CPU_ROWS);
    make_tiles(&m->queries, &m->n_queries, &m->cap_queries, b, 0);
    return m->walk->prepare ? m->walk->prepare(m, longest, err) : VNP_OK;
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

struct embed_step {
    struct vnp_cpu_net *m;
    const struct vnp_cpu_batch *batch;
    const int64_t *first_row; /* of each sequence */
};

static void embed_task(void *ctx, int64_t s, int worker)
{
    (void)worker;
    const struct embed_step *e = ctx;
    const struct vnp_cpu_batch *b = e->batch;
    const int64_t row = e->first_row[s];
    e->m->walk->embed(e->m, e->m->x.p + row * e->m->config->width, (const char *)b->ids + row * b->id_bytes,
                      b->id_bytes, b->tokens[s]);
}

static void embed(struct vnp_cpu_net *m, const struct vnp_cpu_batch *b)
{
    int64_t *first_row = xreallocarray(NULL, (size_t)b->n + 1, sizeof *first_row);
    first_row[0] = 0;
    for (int64_t s = 0; s < b->n; s++)
        first_row[s + 1] = first_row[s] + b->tokens[s];
    struct embed_step e = {m, b, first_row};
    vnp_cpu_threads_run(m->threads, b->n, embed_task, &e);
    free(first_row);
}

enum vnp_status vnp_cpu_net_forward(struct vnp_cpu_net *m, const struct vnp_cpu_batch *batch, int layer,
                                    const float **hidden, struct vnp_err *err)
{
    if (prepare(m, batch, err) != VNP_OK)
        return err->status;
    embed(m, batch);
    for (int l = 0; l < layer; l++)
        m->walk->layer(m, m->layers[l].role);
    if (layer == m->config->layers && m->walk->finish)
        m->walk->finish(m);
    *hidden = m->x.p;
    return VNP_OK;
}

double vnp_cpu_net_flops(const struct vnp_model_config *c, int layer, int64_t tokens)
{
    const double w = c->width, n = (double)tokens;
    const double feed_forward = (c->arch == VNP_DNABERT_S ? 3.0 : 2.0) * c->ffn; /* gated: one matrix more */
    return layer * n * (2 * w * (4 * w + feed_forward) + 4 * n * w);
}
