#include "net_gpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "alibi.h"
#include "attention.h"
#include "cuda_check.h"
#include "device_gpu.h"
#include "layernorm.h"
#include "net_steps_gpu.h"
#include "pooling.h"
#include "rotary.h"
#include "telemetry.h"
#include "xmalloc.h"

enum vnp_status vnp_gpu_net_fits(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o, int batches,
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
    if (!vnp_attention_supports(c->head_dim))
        return vnp_error(err, VNP_DATA, "%s: heads of %d dimensions, and there are kernels for 16, 24, 32, 64 and 128",
                         c->name, c->head_dim);
    if (c->width % 8 || c->width > VNP_LAYERNORM_MAX_WIDTH || c->ffn % 8)
        return vnp_error(err, VNP_DATA,
                         "%s: width %d and feed-forward %d; both must be multiples of 8, the width at most %d", c->name,
                         c->width, c->ffn, VNP_LAYERNORM_MAX_WIDTH);
    return VNP_OK;
}

enum vnp_status vnp_gpu_net_reserve(struct vnp_gpu_net *m, int64_t tokens, struct vnp_err *err)
{
    const struct vnp_gpu_parts p = vnp_gpu_parts(&m->c, &m->o);
    char *slab;
    if (tokens <= m->cap)
        return VNP_OK;
    tokens = (tokens + 255) / 256 * 256; /* so that each part is aligned */
    const int64_t bytes = tokens * vnp_gpu_parts_sum(&p);
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
    m->d_moments = (float *)(void *)slab, slab += tokens * p.moments;
    m->d_scale = (float *)(void *)slab, slab += tokens * p.scale;
    m->d_shift = p.shift ? (float *)(void *)slab : NULL, slab += tokens * p.shift;
    m->d_hidden = (float *)(void *)slab, slab += tokens * p.hidden;
    m->d_rotary = (float *)(void *)slab;
    m->cap = tokens;
    if (p.rotary > 0)
        CUDA_CHECK((cudaError_t)vnp_rotary_table(m->d_rotary, tokens, m->c.head_dim, m->compute));
    return VNP_OK;
}

/* Once; a few bytes. */
static void upload_slopes(struct vnp_gpu_net *m)
{
    const size_t bytes = (size_t)m->c.heads * sizeof *m->d_slopes;
    float *slopes = xmalloc(bytes);
    vnp_alibi_slopes(slopes, m->c.heads);
    CUDA_CHECK(cudaMalloc((void **)&m->d_slopes, bytes));
    CUDA_CHECK(cudaMemcpy(m->d_slopes, slopes, bytes, cudaMemcpyHostToDevice));
    free(slopes);
}

enum vnp_status vnp_gpu_net_open(struct vnp_gpu_net **out, const struct vnp_model *model,
                                 const struct vnp_gpu_net_options *options, struct vnp_err *err)
{
    static const struct vnp_gpu_arch *const archs[] = {[VNP_ESM2] = &vnp_esm2_gpu, [VNP_DNABERT_S] = &vnp_dnabert_gpu};
    const struct vnp_model_config *c = vnp_model_config(model);
    *out = NULL;
    if (check_shape(c, err) != VNP_OK)
        return err->status;
    struct vnp_gpu_net *m = xcalloc(1, sizeof *m);
    m->c = *c;
    m->o = *options;
    m->arch = archs[c->arch];
    m->dtype = vnp_gemm_storage(options->type);
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->in, cudaStreamNonBlocking));
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->compute, cudaStreamNonBlocking));
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->out, cudaStreamNonBlocking));
    if (vnp_gpu_weights_load(&m->weights, model, m->dtype, options->layer, err) != VNP_OK ||
        vnp_gpu_net_reserve(m, options->tokens, err) != VNP_OK) {
        vnp_gpu_net_close(m);
        return err->status;
    }
    if (c->arch == VNP_DNABERT_S)
        upload_slopes(m);
    if (vnp_gpu_table_rows(c, options) > 0 && vnp_gpu_net_tabulate(m, err) != VNP_OK) {
        vnp_gpu_net_close(m);
        return err->status;
    }
    *out = m;
    return VNP_OK;
}

void vnp_gpu_net_close(struct vnp_gpu_net *m)
{
    if (!m)
        return;
    vnp_gpu_weights_free(&m->weights);
    CUDA_CHECK(cudaFree(m->d_workspace));
    CUDA_CHECK(cudaFree(m->d_slopes));
    CUDA_CHECK(cudaFree(m->by_id.d_rows));
    CUDA_CHECK(cudaStreamDestroy(m->in));
    CUDA_CHECK(cudaStreamDestroy(m->compute));
    CUDA_CHECK(cudaStreamDestroy(m->out));
    free(m);
}

cudaStream_t vnp_gpu_net_stream(struct vnp_gpu_net *m)
{
    return m->compute;
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

/* The residual stream to the representation in FP32, looked at for NaN and Inf; and pooled. */
static void finish(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
{
    const bool pooled = m->o.pool != VNP_POOL_NONE;
    const struct vnp_layernorm_params ln = {.dtype = m->dtype,
                                            .d_x = m->d_x,
                                            .d_out = pooled ? m->d_hidden : b->d_out,
                                            .d_w = m->weights.last.w, /* NULL: only widened */
                                            .d_b = m->weights.last.b,
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

static void walk(const struct vnp_gpu_pass *p)
{
    vnp_gpu_net_embed(p);
    for (int i = 0; i < p->m->o.layer; i++)
        vnp_gpu_net_layer(p, &p->m->weights.layer[i]);
    finish(p->m, p->b);
    vnp_gpu_done(p, VNP_STEP_FINISH);
}

static void go_on(struct vnp_gpu_net *m, enum vnp_gpu_step step, void *ctx)
{
    (void)m, (void)step, (void)ctx;
}

void vnp_gpu_net_upload(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
{
    CUDA_CHECK(cudaMemcpyAsync(b->d_in, b->h_in, (size_t)b->in_bytes, cudaMemcpyHostToDevice, m->in));
}

void vnp_gpu_net_compute(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
{
    walk(&(struct vnp_gpu_pass){m, b, go_on, NULL});
}

void vnp_gpu_net_download(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
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

void vnp_gpu_net_enqueue(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
{
    vnp_telemetry_work(+1);
    vnp_gpu_net_upload(m, b);
    CUDA_CHECK(cudaEventRecord(b->uploaded, m->in));
    CUDA_CHECK(cudaStreamWaitEvent(m->compute, b->uploaded, 0));
    vnp_gpu_net_compute(m, b);
    CUDA_CHECK(cudaEventRecord(b->computed, m->compute));
    CUDA_CHECK(cudaStreamWaitEvent(m->out, b->computed, 0));
    vnp_gpu_net_download(m, b);
    CUDA_CHECK(cudaEventRecord(b->done, m->out));
    if (vnp_telemetry_active())
        CUDA_CHECK(cudaLaunchHostFunc(m->out, work_is_done, NULL));
}

struct profile {
    cudaEvent_t *event; /* one before the first step and one after each */
    enum vnp_gpu_step *step;
    int n;
};

static void note(struct vnp_gpu_net *m, enum vnp_gpu_step step, void *ctx)
{
    struct profile *p = ctx;
    p->step[p->n++] = step;
    CUDA_CHECK(cudaEventRecord(p->event[p->n], m->compute));
}

void vnp_gpu_net_profile(struct vnp_gpu_net *m, struct vnp_gpu_batch *b, double seconds[VNP_STEPS])
{
    const size_t steps = (size_t)m->o.layer * VNP_GPU_LAYER_STEPS + 2;
    struct profile p = {xcalloc(steps + 1, sizeof *p.event), xcalloc(steps, sizeof *p.step), 0};
    for (size_t i = 0; i <= steps; i++)
        CUDA_CHECK(cudaEventCreate(&p.event[i]));
    CUDA_CHECK(cudaEventRecord(p.event[0], m->compute));
    walk(&(struct vnp_gpu_pass){m, b, note, &p});
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

const char *vnp_gpu_net_step_name(const struct vnp_gpu_net *m, enum vnp_gpu_step step)
{
    return m->arch->steps[step];
}

const char *vnp_gpu_net_report(struct vnp_gpu_net *m)
{
    static const char *const names[] = {"qkv", "attention out", "fc1", "fc2"};
    const struct vnp_gpu_batch b = {.tokens = 8192};
    struct vnp_gemm_params p[4];
    m->arch->products(m, &m->weights.layer[0], &b, p);
    int at = snprintf(m->report, sizeof m->report, "attention: %s%s", vnp_attention_kernel(m->dtype, m->c.head_dim),
                      m->arch->scores ? m->arch->scores : "");
    for (int i = 0; i < 4 && at < (int)sizeof m->report; i++)
        at +=
            snprintf(m->report + at, sizeof m->report - (size_t)at, "\n%s: %s", names[i], vnp_gemm_kernel_name(&p[i]));
    return m->report;
}
