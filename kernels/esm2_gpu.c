#include "esm2_gpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "attention.h"
#include "cuda_check.h"
#include "device_gpu.h"
#include "embed.h"
#include "layernorm.h"
#include "pooling.h"
#include "rotary.h"
#include "telemetry.h"
#include "weights_gpu.h"
#include "xmalloc.h"

struct vnp_esm2_gpu {
    struct vnp_model_config c;
    struct vnp_esm2_gpu_options o;
    enum vnp_dtype dtype, residual; /* of activations and matrices; of the residual stream */
    struct vnp_gpu_weights weights;
    int64_t cap; /* tokens that there is room for */
    void *d_workspace;
    void *d_x;       /* [tokens, width] residual stream */
    void *d_h;       /* [tokens, width] after a LayerNorm; after attention */
    void *d_wide;    /* [tokens, 3 width] q, k, v; [tokens, ffn] */
    float *d_hidden; /* [tokens, width] the representation, when it is pooled */
    float *d_rotary; /* [positions, head_dim / 2, 2] */
    cudaStream_t in, compute, out;
    char report[1024];
};

enum vnp_status vnp_esm2_gpu_fits(const struct vnp_model_config *c, const struct vnp_esm2_gpu_options *o, int batches,
                                  bool second_opinion, struct vnp_err *err)
{
    const struct vnp_gpu_memory m = vnp_gpu_memory(c, o, batches, second_opinion);
    const int64_t fixed = m.weights + m.margin, free_bytes = vnp_device_free(), room = free_bytes - fixed;
    if (o->tokens * m.per_token <= room)
        return VNP_OK;
    if (room / m.per_token < 1024)
        return vnp_error(err, VNP_OS,
                         "%s in %s takes %.1f GB of the GPU's memory before any batch, and %.1f GB are free", c->name,
                         vnp_gpu_type_name(o->type), (double)fixed * 1e-9, (double)free_bytes * 1e-9);
    return vnp_error(
        err, VNP_OS,
        "batches of %lld tokens need %.1f GB of the GPU's memory and %.1f GB are free: vnp-pack -b %lld fits",
        (long long)o->tokens, (double)(fixed + o->tokens * m.per_token) * 1e-9, (double)free_bytes * 1e-9,
        (long long)vnp_gpu_memory_tokens(&m, free_bytes));
}

static enum vnp_status check_shape(const struct vnp_model_config *c, struct vnp_err *err)
{
    if (c->arch != VNP_ESM2)
        return vnp_error(err, VNP_DATA, "%s: this stage runs ESM-2 models, and this is none", c->name);
    if (!vnp_attention_supports(c->head_dim))
        return vnp_error(err, VNP_DATA, "%s: heads of %d dimensions, and there are kernels for 16, 24, 32, 64 and 128",
                         c->name, c->head_dim);
    if (c->width % 8 || c->width > VNP_LAYERNORM_MAX_WIDTH || c->ffn % 8)
        return vnp_error(err, VNP_DATA,
                         "%s: width %d and feed-forward %d; both must be multiples of 8, the width at most %d", c->name,
                         c->width, c->ffn, VNP_LAYERNORM_MAX_WIDTH);
    return VNP_OK;
}

enum vnp_status vnp_esm2_gpu_reserve(struct vnp_esm2_gpu *m, int64_t tokens, struct vnp_err *err)
{
    const struct vnp_gpu_parts p = vnp_gpu_parts(&m->c, &m->o);
    char *slab;
    if (tokens <= m->cap)
        return VNP_OK;
    tokens = (tokens + 255) / 256 * 256; /* so that each part is aligned */
    const int64_t bytes = tokens * (p.x + p.h + p.wide + p.hidden + p.rotary);
    CUDA_CHECK(cudaStreamSynchronize(m->compute));
    if (cudaMalloc((void **)&slab, (size_t)bytes) != cudaSuccess) {
        cudaGetLastError();
        return vnp_error(err, VNP_OS, "a batch of %lld tokens takes %.2f GB of the GPU's memory, and %.2f GB are free",
                         (long long)tokens, (double)bytes * 1e-9, (double)vnp_device_free() * 1e-9);
    }
    CUDA_CHECK(cudaFree(m->d_workspace));
    m->d_workspace = slab;
    m->d_x = slab, slab += tokens * p.x;
    m->d_h = slab, slab += tokens * p.h;
    m->d_wide = slab, slab += tokens * p.wide;
    m->d_hidden = (float *)(void *)slab, slab += tokens * p.hidden;
    m->d_rotary = (float *)(void *)slab;
    m->cap = tokens;
    CUDA_CHECK((cudaError_t)vnp_rotary_table(m->d_rotary, tokens, m->c.head_dim, m->compute));
    return VNP_OK;
}

enum vnp_status vnp_esm2_gpu_open(struct vnp_esm2_gpu **out, const struct vnp_model *model,
                                  const struct vnp_esm2_gpu_options *options, struct vnp_err *err)
{
    const struct vnp_model_config *c = vnp_model_config(model);
    *out = NULL;
    if (check_shape(c, err) != VNP_OK)
        return err->status;
    struct vnp_esm2_gpu *m = xcalloc(1, sizeof *m);
    m->c = *c;
    m->o = *options;
    m->dtype = vnp_gpu_storage(options->type);
    m->residual = VNP_RESIDUAL_F32 ? VNP_F32 : m->dtype;
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->in, cudaStreamNonBlocking));
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->compute, cudaStreamNonBlocking));
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->out, cudaStreamNonBlocking));
    if (vnp_gpu_weights_load(&m->weights, model, m->dtype, options->layer, err) != VNP_OK ||
        vnp_esm2_gpu_reserve(m, options->tokens, err) != VNP_OK) {
        vnp_esm2_gpu_close(m);
        return err->status;
    }
    *out = m;
    return VNP_OK;
}

void vnp_esm2_gpu_close(struct vnp_esm2_gpu *m)
{
    if (!m)
        return;
    vnp_gpu_weights_free(&m->weights);
    CUDA_CHECK(cudaFree(m->d_workspace));
    CUDA_CHECK(cudaStreamDestroy(m->in));
    CUDA_CHECK(cudaStreamDestroy(m->compute));
    CUDA_CHECK(cudaStreamDestroy(m->out));
    free(m);
}

cudaStream_t vnp_esm2_gpu_stream(struct vnp_esm2_gpu *m)
{
    return m->compute;
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static void gemm(const struct vnp_esm2_gpu *m, struct vnp_gemm_params p)
{
    p.type = m->o.type;
    CUDA_CHECK((cudaError_t)vnp_gemm(&p, m->compute));
}

static void norm(const struct vnp_esm2_gpu *m, const float *w, const float *b, int64_t rows)
{
    const struct vnp_layernorm_params p = {.in = m->residual,
                                           .out = m->dtype,
                                           .d_x = m->d_x,
                                           .d_out = m->d_h,
                                           .d_w = w,
                                           .d_b = b,
                                           .rows = rows,
                                           .width = m->c.width,
                                           .eps = m->c.ln_eps};
    vnp_layernorm(&p, m->compute);
}

static struct vnp_gemm_params qkv_params(const struct vnp_esm2_gpu *m, const struct vnp_gpu_layer *l,
                                         const struct vnp_gpu_batch *b)
{
    const int64_t w = m->c.width;
    return (struct vnp_gemm_params){.type = m->o.type,
                                    .epilogue = VNP_GEMM_BIAS_ROTARY,
                                    .m = b->tokens,
                                    .n = 3 * w,
                                    .k = w,
                                    .d_a = m->d_h,
                                    .d_w = l->qkv_w,
                                    .d_bias = l->qkv_b,
                                    .d_out = m->d_wide,
                                    .d_pos = vnp_gpu_batch_device(b, b->position),
                                    .d_rotary = m->d_rotary,
                                    .head_dim = m->c.head_dim,
                                    .q_scale = 1 / sqrtf((float)m->c.head_dim)};
}

/* out = residual + a w^T + bias, on the residual stream. */
static struct vnp_gemm_params residual_params(const struct vnp_esm2_gpu *m, const void *a, const void *w,
                                              const float *bias, int64_t rows, int64_t k)
{
    return (struct vnp_gemm_params){.type = m->o.type,
                                    .epilogue = VNP_GEMM_BIAS_RESIDUAL,
                                    .m = rows,
                                    .n = m->c.width,
                                    .k = k,
                                    .d_a = a,
                                    .d_w = w,
                                    .d_bias = bias,
                                    .d_out = m->d_x,
                                    .d_residual = m->d_x,
                                    .residual_f32 = VNP_RESIDUAL_F32};
}

static struct vnp_gemm_params fc1_params(const struct vnp_esm2_gpu *m, const struct vnp_gpu_layer *l, int64_t rows)
{
    return (struct vnp_gemm_params){.type = m->o.type,
                                    .epilogue = VNP_GEMM_BIAS_GELU,
                                    .m = rows,
                                    .n = m->c.ffn,
                                    .k = m->c.width,
                                    .d_a = m->d_h,
                                    .d_w = l->fc1_w,
                                    .d_bias = l->fc1_b,
                                    .d_out = m->d_wide};
}

static void attend(const struct vnp_esm2_gpu *m, const struct vnp_gpu_batch *b)
{
    const struct vnp_attention_params p = {.dtype = m->dtype,
                                           .heads = m->c.heads,
                                           .head_dim = m->c.head_dim,
                                           .d_qkv = m->d_wide,
                                           .d_out = m->d_h,
                                           .d_tiles = vnp_gpu_batch_device(b, b->tiles),
                                           .n_tiles = b->n_tiles};
    vnp_attention(&p, m->compute);
}

static void embed(const struct vnp_esm2_gpu *m, const struct vnp_gpu_batch *b)
{
    const struct vnp_embed_params p = {.dtype = m->residual,
                                       .d_word = m->weights.word,
                                       .d_ids = vnp_gpu_batch_device(b, b->ids),
                                       .id_bytes = b->id_bytes,
                                       .d_out = m->d_x,
                                       .tokens = b->tokens,
                                       .width = m->c.width,
                                       .token_dropout = m->c.token_dropout,
                                       .mask_id = m->c.mask_id,
                                       .d_sequence = vnp_gpu_batch_device(b, b->sequence),
                                       .d_unmasked = vnp_gpu_batch_device(b, b->unmasked)};
    vnp_embed(&p, m->compute);
}

/* The residual stream to the representation in FP32, looked at for NaN and Inf; and pooled. */
static void finish(const struct vnp_esm2_gpu *m, const struct vnp_gpu_batch *b)
{
    const bool pooled = m->o.pool != VNP_POOL_NONE;
    const struct vnp_layernorm_params ln = {.in = m->residual,
                                            .out = VNP_F32,
                                            .d_x = m->d_x,
                                            .d_out = pooled ? m->d_hidden : b->d_out,
                                            .d_w = m->weights.final_ln_w, /* NULL before the last layer: only widened */
                                            .d_b = m->weights.final_ln_b,
                                            .rows = b->tokens,
                                            .width = m->c.width,
                                            .eps = m->c.ln_eps,
                                            .d_sequence = vnp_gpu_batch_device(b, b->sequence),
                                            .d_nonfinite = b->d_nonfinite};
    const struct vnp_pooling_params pooling = {.pool = m->o.pool,
                                               .d_hidden = m->d_hidden,
                                               .d_out = b->d_out,
                                               .d_cu = vnp_gpu_batch_device(b, b->cu),
                                               .n = b->n,
                                               .width = m->c.width,
                                               .prefix = m->o.prefix,
                                               .suffix = m->o.suffix};
    CUDA_CHECK(cudaMemsetAsync(b->d_nonfinite, 0, (size_t)b->n, m->compute));
    vnp_layernorm(&ln, m->compute);
    if (pooled)
        vnp_pooling(&pooling, m->compute);
}

/* Says that a step has been launched; only profiling listens. */
typedef void step_fn(struct vnp_esm2_gpu *m, enum vnp_esm2_step step, void *ctx);

static void walk(struct vnp_esm2_gpu *m, struct vnp_gpu_batch *b, step_fn *done, void *ctx)
{
    const int64_t w = m->c.width;
    embed(m, b);
    done(m, VNP_STEP_EMBED, ctx);
    for (int i = 0; i < m->o.layer; i++) {
        const struct vnp_gpu_layer *l = &m->weights.layer[i];
        norm(m, l->ln1_w, l->ln1_b, b->tokens);
        done(m, VNP_STEP_NORM, ctx);
        gemm(m, qkv_params(m, l, b));
        done(m, VNP_STEP_QKV, ctx);
        attend(m, b);
        done(m, VNP_STEP_ATTENTION, ctx);
        gemm(m, residual_params(m, m->d_h, l->out_w, l->out_b, b->tokens, w));
        done(m, VNP_STEP_OUT, ctx);
        norm(m, l->ln2_w, l->ln2_b, b->tokens);
        done(m, VNP_STEP_NORM, ctx);
        gemm(m, fc1_params(m, l, b->tokens));
        done(m, VNP_STEP_FC1, ctx);
        gemm(m, residual_params(m, m->d_wide, l->fc2_w, l->fc2_b, b->tokens, m->c.ffn));
        done(m, VNP_STEP_FC2, ctx);
    }
    finish(m, b);
    done(m, VNP_STEP_FINISH, ctx);
}

static void go_on(struct vnp_esm2_gpu *m, enum vnp_esm2_step step, void *ctx)
{
    (void)m, (void)step, (void)ctx;
}

void vnp_esm2_gpu_upload(struct vnp_esm2_gpu *m, struct vnp_gpu_batch *b)
{
    CUDA_CHECK(cudaMemcpyAsync(b->d_in, b->h_in, (size_t)b->in_bytes, cudaMemcpyHostToDevice, m->in));
}

void vnp_esm2_gpu_compute(struct vnp_esm2_gpu *m, struct vnp_gpu_batch *b)
{
    walk(m, b, go_on, NULL);
}

void vnp_esm2_gpu_download(struct vnp_esm2_gpu *m, struct vnp_gpu_batch *b)
{
    const size_t vectors = (size_t)(m->o.pool == VNP_POOL_NONE ? b->tokens : b->n);
    CUDA_CHECK(cudaMemcpyAsync(b->out, b->d_out, vectors * (size_t)m->c.width * 4, cudaMemcpyDeviceToHost, m->out));
    CUDA_CHECK(cudaMemcpyAsync(b->nonfinite, b->d_nonfinite, (size_t)b->n, cudaMemcpyDeviceToHost, m->out));
}

/* On a thread of CUDA's, where CUDA must not be called. */
static void CUDART_CB work_is_done(void *unused)
{
    (void)unused;
    vnp_telemetry_work(-1);
}

void vnp_esm2_gpu_enqueue(struct vnp_esm2_gpu *m, struct vnp_gpu_batch *b)
{
    vnp_telemetry_work(+1);
    vnp_esm2_gpu_upload(m, b);
    CUDA_CHECK(cudaEventRecord(b->uploaded, m->in));
    CUDA_CHECK(cudaStreamWaitEvent(m->compute, b->uploaded, 0));
    vnp_esm2_gpu_compute(m, b);
    CUDA_CHECK(cudaEventRecord(b->computed, m->compute));
    CUDA_CHECK(cudaStreamWaitEvent(m->out, b->computed, 0));
    vnp_esm2_gpu_download(m, b);
    CUDA_CHECK(cudaEventRecord(b->done, m->out));
    if (vnp_telemetry_active())
        CUDA_CHECK(cudaLaunchHostFunc(m->out, work_is_done, NULL));
}

struct profile {
    cudaEvent_t *event; /* one before the first step and one after each */
    enum vnp_esm2_step *step;
    int n;
};

static void note(struct vnp_esm2_gpu *m, enum vnp_esm2_step step, void *ctx)
{
    struct profile *p = ctx;
    p->step[p->n++] = step;
    CUDA_CHECK(cudaEventRecord(p->event[p->n], m->compute));
}

void vnp_esm2_gpu_profile(struct vnp_esm2_gpu *m, struct vnp_gpu_batch *b, double seconds[VNP_STEPS])
{
    const size_t steps = (size_t)m->o.layer * 7 + 2;
    struct profile p = {xcalloc(steps + 1, sizeof *p.event), xcalloc(steps, sizeof *p.step), 0};
    for (size_t i = 0; i <= steps; i++)
        CUDA_CHECK(cudaEventCreate(&p.event[i]));
    CUDA_CHECK(cudaEventRecord(p.event[0], m->compute));
    walk(m, b, note, &p);
    CUDA_CHECK(cudaStreamSynchronize(m->compute));
    for (int i = 0; i < p.n; i++) {
        float ms;
        CUDA_CHECK(cudaEventElapsedTime(&ms, p.event[i], p.event[i + 1]));
        seconds[p.step[i]] += ms * 1e-3;
    }
    for (size_t i = 0; i <= steps; i++)
        CUDA_CHECK(cudaEventDestroy(p.event[i]));
    free(p.event), free(p.step);
}

const char *vnp_esm2_step_name(enum vnp_esm2_step step)
{
    static const char *const names[] = {"embed", "layernorm", "qkv+rotary", "attention",
                                        "out",   "fc1+gelu",  "fc2",        "finish"};
    return names[step];
}

double vnp_esm2_gpu_flops(const struct vnp_model_config *c, int layer, int64_t tokens)
{
    const double w = c->width, t = (double)tokens;
    return layer * t * (2 * (4 * w * w + 2 * w * c->ffn) + 4 * t * w);
}

const char *vnp_esm2_gpu_report(struct vnp_esm2_gpu *m)
{
    const struct vnp_gpu_layer *l = &m->weights.layer[0];
    const struct vnp_gpu_batch b = {.tokens = 8192};
    const struct vnp_gemm_params p[] = {
        qkv_params(m, l, &b), residual_params(m, m->d_h, l->out_w, l->out_b, b.tokens, m->c.width),
        fc1_params(m, l, b.tokens), residual_params(m, m->d_wide, l->fc2_w, l->fc2_b, b.tokens, m->c.ffn)};
    const char *const names[] = {"qkv", "attention out", "fc1", "fc2"};
    int at = snprintf(m->report, sizeof m->report, "attention: %s", vnp_attention_kernel(m->dtype, m->c.head_dim));
    for (int i = 0; i < 4 && at < (int)sizeof m->report; i++)
        at +=
            snprintf(m->report + at, sizeof m->report - (size_t)at, "\n%s: %s", names[i], vnp_gemm_kernel_name(&p[i]));
    return m->report;
}
