#include "net_steps_gpu.h"

#include <math.h>
#include <stdlib.h>

#include "attention.h"
#include "block.h"
#include "cuda_check.h"
#include "layernorm.h"
#include "xmalloc.h"

static void multiply(const struct vnp_gpu_net *m, const struct vnp_gemm_params *p)
{
    CUDA_CHECK((cudaError_t)vnp_gemm(p, m->compute));
}

/* d_h = attention of q | k | v in d_wide; with ALiBi where the net has slopes. */
static void attend(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
{
    const struct vnp_attention_params p = {.dtype = m->dtype,
                                           .heads = m->c.heads,
                                           .head_dim = m->c.head_dim,
                                           .d_qkv = m->d_wide,
                                           .d_out = m->d_h,
                                           .d_tiles = vnp_gpu_batch_device(b, b->tiles),
                                           .n_tiles = b->n_tiles,
                                           .d_slopes = m->d_slopes,
                                           .scale = m->d_slopes ? 1 / sqrtf((float)m->c.head_dim) : 1};
    vnp_attention(&p, m->compute);
}

/* All that is left of a LayerNorm before a product (weights_gpu.h): its division and its mean, from the moments of
 * parts of `columns` columns of d_x. */
static void scale(const struct vnp_gpu_net *m, int columns, int64_t rows)
{
    vnp_row_scales(m->d_moments, columns, rows, m->c.width, m->c.ln_eps, m->d_scale, m->d_shift, m->compute);
}

struct vnp_gemm_params vnp_gpu_net_residual(const struct vnp_gpu_net *m, const void *a, const void *w,
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
                                    .d_moments = m->d_moments};
}

static void embed(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
{
    m->arch->embed(m, b);
    vnp_row_moments(m->d_x, m->dtype, b->tokens, m->c.width, m->d_moments, m->compute);
    scale(m, m->c.width, b->tokens);
}

static void look_up(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
{
    const struct vnp_lookup_params p = {.table = &m->by_id,
                                        .d_ids = vnp_gpu_batch_device(b, b->ids),
                                        .id_bytes = b->id_bytes,
                                        .tokens = b->tokens,
                                        .d_x = m->d_x,
                                        .d_qkv = m->d_wide,
                                        .d_scale = m->d_scale,
                                        .d_shift = m->d_shift};
    vnp_lookup(&p, m->compute);
}

void vnp_gpu_net_embed(const struct vnp_gpu_pass *p)
{
    p->m->by_id.d_rows ? look_up(p->m, p->b) : embed(p->m, p->b);
    vnp_gpu_done(p, VNP_STEP_EMBED);
}

/* `rows` rows of `bytes` each into a table, which is wider. */
static void copy(const struct vnp_gpu_net *m, void *table, int64_t pitch, const void *from, int64_t bytes, int64_t rows)
{
    CUDA_CHECK(cudaMemcpy2DAsync(table, (size_t)pitch, from, (size_t)bytes, (size_t)bytes, (size_t)rows,
                                 cudaMemcpyDeviceToDevice, m->compute));
}

/* Tokens `first` and those behind it, as many as the batch has. */
static void tabulate(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b, int64_t first)
{
    const struct vnp_lookup_table *t = &m->by_id;
    const int64_t pitch = t->x_bytes + t->qkv_bytes;
    char *row = (char *)t->d_rows + first * pitch;
    struct vnp_gemm_params product[4];
    embed(m, b);
    m->arch->products(m, &m->weights.layer[0], b, product);
    multiply(m, &product[0]);
    copy(m, row, pitch, m->d_x, t->x_bytes, b->tokens);
    copy(m, row + t->x_bytes, pitch, m->d_wide, t->qkv_bytes, b->tokens);
    copy(m, t->d_scales + 2 * first, 8, m->d_scale, 4, b->tokens);
    copy(m, t->d_scales + 2 * first + 1, 8, m->d_shift, 4, b->tokens);
}

enum vnp_status vnp_gpu_net_tabulate(struct vnp_gpu_net *m, struct vnp_err *err)
{
    const int64_t rows = vnp_gpu_table_rows(&m->c, &m->o), bytes = vnp_gpu_table_bytes(&m->c, &m->o);
    const int64_t x = m->c.width * (int64_t)vnp_dtype_bytes(m->dtype);
    const int64_t most = rows < m->cap ? rows : m->cap; /* at a time */
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
        CUDA_CHECK(cudaMemcpyAsync(b.d_in, b.h_in, (size_t)b.in_bytes, cudaMemcpyHostToDevice, m->compute));
        tabulate(m, &b, first);
        CUDA_CHECK(cudaStreamSynchronize(m->compute));
    }
    free(ids);
    vnp_gpu_batch_free(&b);
    return VNP_OK;
}

void vnp_gpu_net_layer(const struct vnp_gpu_pass *p, const struct vnp_gpu_layer *l)
{
    const struct vnp_gpu_net *m = p->m;
    struct vnp_gemm_params product[4];
    m->arch->products(m, l, p->b, product);
    if (l != m->weights.layer || !m->by_id.d_rows) {
        multiply(m, &product[0]);
        vnp_gpu_done(p, VNP_STEP_QKV);
    }
    attend(m, p->b);
    vnp_gpu_done(p, VNP_STEP_ATTENTION);
    multiply(m, &product[1]);
    vnp_gpu_done(p, VNP_STEP_OUT);
    scale(m, vnp_gemm_moments_columns(&product[1]), p->b->tokens);
    vnp_gpu_done(p, VNP_STEP_NORM);
    multiply(m, &product[2]);
    vnp_gpu_done(p, VNP_STEP_FC1);
    multiply(m, &product[3]);
    vnp_gpu_done(p, VNP_STEP_FC2);
    scale(m, vnp_gemm_moments_columns(&product[3]), p->b->tokens);
    vnp_gpu_done(p, VNP_STEP_NORM);
}
