#include "net_steps_gpu.h"

#include <math.h>

#include "attention.h"
#include "cuda_check.h"

void vnp_gpu_net_gemm(const struct vnp_gpu_net *m, struct vnp_gemm_params p)
{
    p.type = m->o.type;
    CUDA_CHECK((cudaError_t)vnp_gemm(&p, m->compute));
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
                                    .d_residual = m->d_x};
}

void vnp_gpu_net_attend(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
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
