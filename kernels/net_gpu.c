#include "net_gpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "alibi.h"
#include "attention.h"
#include "cuda_check.h"
#include "device_gpu.h"
#include "layernorm.h"
#include "net_steps_gpu.h"
#include "representation.h"
#include "telemetry.h"
#include "xmalloc.h"

enum vnp_status vnp_gpu_net_fits(const struct vnp_model_config *c, struct vnp_gpu_net_options *o, int batches,
                                 bool second_opinion, struct vnp_err *err)
{
    const int64_t free_bytes = vnp_device_free();
    const struct vnp_gpu_memory m = vnp_gpu_memory_fit(c, o, batches, second_opinion, free_bytes);
    const int64_t fixed = m.weights + m.margin, room = free_bytes - fixed;
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

/* The workspace for a batch of `tokens`: the one whose turn it is, unless only another has room; NULL when none has. */
static struct vnp_gpu_workspace *workspace_for(struct vnp_gpu_net *m, int64_t tokens)
{
    for (int i = 0; i < m->o.workspaces; i++) {
        struct vnp_gpu_workspace *ws = &m->workspace[(m->turn + i) % m->o.workspaces];
        if (tokens <= ws->cap)
            return ws;
    }
    return NULL;
}

static enum vnp_status make_room(struct vnp_gpu_net *m, struct vnp_gpu_workspace *ws, int64_t tokens,
                                 struct vnp_err *err)
{
    const struct vnp_gpu_parts parts = vnp_gpu_parts(&m->c, &m->o);
    return vnp_gpu_workspace_reserve(ws, &parts, m->c.head_dim, tokens, err);
}

enum vnp_status vnp_gpu_net_reserve(struct vnp_gpu_net *m, int64_t tokens, struct vnp_err *err)
{
    struct vnp_gpu_workspace *largest = m->workspace;
    for (int i = 1; i < m->o.workspaces; i++)
        if (m->workspace[i].cap > largest->cap)
            largest = &m->workspace[i];
    return make_room(m, largest, tokens, err);
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

/* The weights, the workspaces, and what is made with both. */
static enum vnp_status fill(struct vnp_gpu_net *m, const struct vnp_model *model, struct vnp_err *err)
{
    if (vnp_gpu_weights_load(&m->weights, model, m->dtype, m->o.layer, err) != VNP_OK)
        return err->status;
    for (int i = 0; i < m->o.workspaces; i++) {
        vnp_gpu_workspace_init(&m->workspace[i], m);
        if (make_room(m, &m->workspace[i], m->o.tokens, err) != VNP_OK)
            return err->status;
    }
    if (m->c.arch == VNP_DNABERT_S)
        upload_slopes(m);
    CUDA_CHECK(cudaDeviceSynchronize()); /* the streams of batches don't wait for what was copied on others */
    return vnp_gpu_table_rows(&m->c, &m->o) > 0 ? vnp_gpu_net_tabulate(m, err) : VNP_OK;
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
    CUDA_CHECK(cudaStreamCreateWithFlags(&m->out, cudaStreamNonBlocking));
    if (fill(m, model, err) != VNP_OK) {
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
    for (int i = 0; i < m->o.workspaces; i++)
        vnp_gpu_workspace_free(&m->workspace[i]);
    CUDA_CHECK(cudaFree(m->d_slopes));
    CUDA_CHECK(cudaFree(m->by_id.d_rows));
    CUDA_CHECK(cudaStreamDestroy(m->in));
    CUDA_CHECK(cudaStreamDestroy(m->out));
    free(m);
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

/* d_x to the representation, pooled where it is to be. */
static void finish(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b)
{
    const struct vnp_gpu_net *m = ws->net;
    const struct vnp_representation_params p = {.dtype = m->dtype,
                                                .d_x = ws->d_x,
                                                .d_scale = ws->d_scale,
                                                .d_shift = ws->d_shift,
                                                .d_w = m->weights.last.w, /* NULL: only widened */
                                                .d_b = m->weights.last.b,
                                                .tokens = b->tokens,
                                                .width = m->c.width,
                                                .d_cu = vnp_gpu_batch_device(b, b->cu),
                                                .n = b->n,
                                                .pool = m->o.pool,
                                                .prefix = m->o.prefix,
                                                .suffix = m->o.suffix,
                                                .d_out = b->d_out,
                                                .d_nonfinite = b->d_nonfinite};
    vnp_representation(&p, ws->stream);
}

static void walk(const struct vnp_gpu_pass *p)
{
    CUDA_CHECK(cudaMemsetAsync(p->b->d_nonfinite, 0, (size_t)p->b->n, p->ws->stream));
    vnp_gpu_net_embed(p);
    for (int i = 0; i < p->ws->net->o.layer; i++)
        vnp_gpu_net_layer(p, &p->ws->net->weights.layer[i]);
    finish(p->ws, p->b);
    vnp_gpu_done(p, VNP_STEP_FINISH);
}

static void go_on(const struct vnp_gpu_workspace *ws, enum vnp_gpu_step step, void *ctx)
{
    (void)ws, (void)step, (void)ctx;
}

void vnp_gpu_net_upload(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
{
    CUDA_CHECK(cudaMemcpyAsync(b->d_in, b->h_in, (size_t)b->in_bytes, cudaMemcpyHostToDevice, m->in));
    CUDA_CHECK(cudaEventRecord(b->uploaded, m->in));
}

void vnp_gpu_net_compute(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
{
    struct vnp_gpu_workspace *ws = workspace_for(m, b->tokens);
    m->turn = (int)(ws - m->workspace + 1) % m->o.workspaces;
    CUDA_CHECK(cudaStreamWaitEvent(ws->stream, b->uploaded, 0));
    walk(&(struct vnp_gpu_pass){ws, b, go_on, NULL});
    CUDA_CHECK(cudaEventRecord(b->computed, ws->stream));
}

void vnp_gpu_net_download(struct vnp_gpu_net *m, struct vnp_gpu_batch *b)
{
    const size_t vectors = (size_t)(m->o.pool == VNP_POOL_NONE ? b->tokens : b->n);
    CUDA_CHECK(cudaStreamWaitEvent(m->out, b->computed, 0));
    CUDA_CHECK(cudaMemcpyAsync(b->out, b->d_out, vectors * (size_t)m->c.width * 4, cudaMemcpyDeviceToHost, m->out));
    CUDA_CHECK(cudaMemcpyAsync(b->nonfinite, b->d_nonfinite, (size_t)b->n, cudaMemcpyDeviceToHost, m->out));
    CUDA_CHECK(cudaEventRecord(b->done, m->out));
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
    vnp_gpu_net_compute(m, b);
    vnp_gpu_net_download(m, b);
    if (vnp_telemetry_active())
        CUDA_CHECK(cudaLaunchHostFunc(m->out, work_is_done, NULL));
}

struct profile {
    cudaEvent_t *event; /* one before the first step and one after each */
    enum vnp_gpu_step *step;
    int n;
};

static void note(const struct vnp_gpu_workspace *ws, enum vnp_gpu_step step, void *ctx)
{
    struct profile *p = ctx;
    p->step[p->n++] = step;
    CUDA_CHECK(cudaEventRecord(p->event[p->n], ws->stream));
}

void vnp_gpu_net_profile(struct vnp_gpu_net *m, struct vnp_gpu_batch *b, double seconds[VNP_STEPS])
{
    const size_t steps = (size_t)m->o.layer * VNP_GPU_LAYER_STEPS + 2;
    const struct vnp_gpu_workspace *ws = &m->workspace[0];
    struct profile p = {xcalloc(steps + 1, sizeof *p.event), xcalloc(steps, sizeof *p.step), 0};
    for (size_t i = 0; i <= steps; i++)
        CUDA_CHECK(cudaEventCreate(&p.event[i]));
    CUDA_CHECK(cudaEventRecord(p.event[0], ws->stream));
    walk(&(struct vnp_gpu_pass){ws, b, note, &p});
    CUDA_CHECK(cudaStreamSynchronize(ws->stream));
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
    m->arch->products(&m->workspace[0], &m->weights.layer[0], &b, p);
    int at = snprintf(m->report, sizeof m->report, "attention: %s%s", vnp_attention_kernel(m->dtype, m->c.head_dim),
                      m->arch->scores ? m->arch->scores : "");
    for (int i = 0; i < 4 && at < (int)sizeof m->report; i++)
        at +=
            snprintf(m->report + at, sizeof m->report - (size_t)at, "\n%s: %s", names[i], vnp_gemm_kernel_name(&p[i]));
    return m->report;
}
