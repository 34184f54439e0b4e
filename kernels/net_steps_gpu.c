#include "net_steps_gpu.h"

#include <math.h>

#include "attention.h"
#include "cuda_check.h"
#include "layernorm.h"

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

void vnp_gpu_net_embed(const struct vnp_gpu_pass *p)
{
    const struct vnp_gpu_net *m = p->m;
    m->arch->embed(m, p->b);
    vnp_row_moments(m->d_x, m->dtype, p->b->tokens, m->c.width, m->d_moments, m->compute);
    scale(m, m->c.width, p->b->tokens);
    vnp_gpu_done(p, VNP_STEP_EMBED);
}

void vnp_gpu_net_layer(const struct vnp_gpu_pass *p, const struct vnp_gpu_layer *l)
{
    const struct vnp_gpu_net *m = p->m;
    struct vnp_gemm_params product[4];
    m->arch->products(m, l, p->b, product);
    multiply(m, &product[0]);
    vnp_gpu_done(p, VNP_STEP_QKV);
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
