#include "net_steps_gpu.h"

#include <math.h>
#include <stdlib.h>

#include "attention.h"
#include "block.h"
#include "cuda_check.h"
#include "layernorm.h"
#include "xmalloc.h"

static void multiply(const struct vnp_gpu_workspace *ws, const struct vnp_gemm_params *p)
{
    CUDA_CHECK((cudaError_t)vnp_gemm(p, ws->stream));
}

/* d_h = attention of q | k | v in d_wide; with ALiBi where the net has slopes. */
static void attend(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b)
{
    const struct vnp_gpu_net *m = ws->net;
    const struct vnp_attention_params p = {.dtype = m->dtype,
                                           .heads = m->c.heads,
                                           .head_dim = m->c.head_dim,
                                           .d_qkv = ws->d_wide,
                                           .d_out = ws->d_h,
                                           .d_tiles = vnp_gpu_batch_device(b, b->tiles),
                                           .work = b->work,
                                           .d_slopes = m->d_slopes,
                                           .scale = m->d_slopes ? 1 / sqrtf((float)m->c.head_dim) : 1};
    vnp_attention(&p, ws->stream);
}

/* All that is left of a LayerNorm before a product (weights_gpu.h): its division and its mean, from the moments of
 * parts of `columns` columns of d_x. */
static void scale(const struct vnp_gpu_workspace *ws, int columns, int64_t rows)
{
    const struct vnp_model_config *c = &ws->net->c;
    vnp_row_scales(ws->d_moments, columns, rows, c->width, c->ln_eps, ws->d_scale, ws->d_shift, ws->stream);
}

struct vnp_gemm_params vnp_gpu_net_residual(const struct vnp_gpu_workspace *ws, const void *a, const void *w,
                                            const float *bias, int64_t rows, int64_t k)
{
    return (struct vnp_gemm_params){.type = ws->net->o.type,
                                    .epilogue = VNP_GEMM_BIAS_RESIDUAL,
                                    .m = rows,
                                    .n = ws->net->c.width,
                                    .k = k,
                                    .d_a = a,
                                    .d_w = w,
                                    .d_bias = bias,
                                    .d_out = ws->d_x,
                                    .d_residual = ws->d_x,
                                    .d_moments = ws->d_moments};
}

static void embed(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b)
{
    ws->net->arch->embed(ws, b);
    vnp_row_moments(ws->d_x, ws->net->dtype, b->tokens, ws->net->c.width, ws->d_moments, ws->stream);
    scale(ws, ws->net->c.width, b->tokens);
}

static void look_up(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b)
{
    const struct vnp_lookup_params p = {.table = &ws->net->by_id,
                                        .d_ids = vnp_gpu_batch_device(b, b->ids),
                                        .id_bytes = b->id_bytes,
                                        .tokens = b->tokens,
                                        .d_x = ws->d_x,
                                        .d_qkv = ws->d_wide,
                                        .d_scale = ws->d_scale,
                                        .d_shift = ws->d_shift};
    vnp_lookup(&p, ws->stream);
}

void vnp_gpu_net_embed(const struct vnp_gpu_pass *p)
{
    p->ws->net->by_id.d_rows ? look_up(p->ws, p->b) : embed(p->ws, p->b);
    vnp_gpu_done(p, VNP_STEP_EMBED);
}

/* `rows` rows of `bytes` each into a table, which is wider. */
static void copy(const struct vnp_gpu_workspace *ws, void *table, int64_t pitch, const void *from, int64_t bytes,
                 int64_t rows)
{
    CUDA_CHECK(cudaMemcpy2DAsync(table, (size_t)pitch, from, (size_t)bytes, (size_t)bytes, (size_t)rows,
                                 cudaMemcpyDeviceToDevice, ws->stream));
}

/* Tokens `first` and those behind it, as many as the batch has. */
static void tabulate(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b, int64_t first)
{
    const struct vnp_lookup_table *t = &ws->net->by_id;
    const int64_t pitch = t->x_bytes + t->qkv_bytes;
    char *row = (char *)t->d_rows + first * pitch;
    struct vnp_gemm_params product[4];
    embed(ws, b);
    ws->net->arch->products(ws, &ws->net->weights.layer[0], b, product);
    multiply(ws, &product[0]);
    copy(ws, row, pitch, ws->d_x, t->x_bytes, b->tokens);
    copy(ws, row + t->x_bytes, pitch, ws->d_wide, t->qkv_bytes, b->tokens);
    copy(ws, t->d_scales + 2 * first, 8, ws->d_scale, 4, b->tokens);
    copy(ws, t->d_scales + 2 * first + 1, 8, ws->d_shift, 4, b->tokens);
}

enum vnp_status vnp_gpu_net_tabulate(struct vnp_gpu_net *m, struct vnp_err *err)
{
    const struct vnp_gpu_workspace *ws = &m->workspace[0];
    const int64_t rows = vnp_gpu_table_rows(&m->c, &m->o), bytes = vnp_gpu_table_bytes(&m->c, &m->o);
    const int64_t x = m->c.width * (int64_t)vnp_dtype_bytes(m->dtype);
    const int64_t most = rows < ws->cap ? rows : ws->cap; /* at a time */
    struct vnp_gpu_batch b;
    if (vnp_gpu_batch_init(&b, most, 1, m->c.width, VNP_POOL_MEAN, err) != VNP_OK)
        return err->status;
    if (cudaMalloc(&m->by_id.d_rows, (size_t)bytes) != cudaSuccess) {
        cudaGetLastError();
        vnp_gpu_batch_free(&b);
        return vnp_error(err, VNP_OS, "no memory for a table of %lld tokens (%.2f GB on the GPU)", (long long)rows,
                         (double)bytes * 1e-9);
    }
    m->by_id.d_scales = (float *)(void *)((char *)m->by_id.d_rows + rows * 4 * x);
    m->by_id.x_bytes = (int)x, m->by_id.qkv_bytes = (int)(3 * x);
    uint16_t *ids = xmalloc((size_t)rows * sizeof *ids);
    for (int64_t i = 0; i < rows; i++)
        ids[i] = (uint16_t)i;
    for (int64_t first = 0; first < rows; first += most) {
        const uint32_t length = (uint32_t)(rows - first < most ? rows - first : most);
        vnp_gpu_batch_fill(&b, 1, &length, ids + first, 2, UINT32_MAX);
        CUDA_CHECK(cudaMemcpyAsync(b.d_in, b.h_in, (size_t)b.in_bytes, cudaMemcpyHostToDevice, ws->stream));
        tabulate(ws, &b, first);
        CUDA_CHECK(cudaStreamSynchronize(ws->stream));
    }
    free(ids);
    vnp_gpu_batch_free(&b);
    return VNP_OK;
}

void vnp_gpu_net_layer(const struct vnp_gpu_pass *p, const struct vnp_gpu_layer *l)
{
    const struct vnp_gpu_workspace *ws = p->ws;
    struct vnp_gemm_params product[4];
    ws->net->arch->products(ws, l, p->b, product);
    if (l != ws->net->weights.layer || !ws->net->by_id.d_rows) {
        multiply(ws, &product[0]);
        vnp_gpu_done(p, VNP_STEP_QKV);
    }
    attend(ws, p->b);
    vnp_gpu_done(p, VNP_STEP_ATTENTION);
    multiply(ws, &product[1]);
    vnp_gpu_done(p, VNP_STEP_OUT);
    scale(ws, vnp_gemm_moments_columns(&product[1]), p->b->tokens);
    vnp_gpu_done(p, VNP_STEP_NORM);
    multiply(ws, &product[2]);
    vnp_gpu_done(p, VNP_STEP_FC1);
    multiply(ws, &product[3]);
    vnp_gpu_done(p, VNP_STEP_FC2);
    scale(ws, vnp_gemm_moments_columns(&product[3]), p->b->tokens);
    vnp_gpu_done(p, VNP_STEP_NORM);
}
