/* ESM-2 on the GPU: pre-LayerNorm, rotary positions, GELU, a LayerNorm at the end. */
#include <math.h>

#include "embed.h"
#include "net_steps_gpu.h"

static void embed(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
{
    const struct vnp_embed_params p = {.dtype = m->dtype,
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

static struct vnp_gemm_params qkv_params(const struct vnp_gpu_net *m, const struct vnp_gpu_layer *l,
                                         const struct vnp_gpu_batch *b)
{
    const int64_t w = m->c.width;
    return (struct vnp_gemm_params){.type = m->o.type,
                                    .epilogue = VNP_GEMM_BIAS_ROTARY,
                                    .m = b->tokens,
                                    .n = 3 * w,
                                    .k = w,
                                    .d_a = m->d_x,
                                    .d_w = l->qkv_w,
                                    .d_bias = l->qkv_b,
                                    .d_out = m->d_wide,
                                    .d_row_scale = m->d_scale,
                                    .d_pos = vnp_gpu_batch_device(b, b->position),
                                    .d_rotary = m->d_rotary,
                                    .head_dim = m->c.head_dim,
                                    .q_scale = 1 / sqrtf((float)m->c.head_dim)};
}

static struct vnp_gemm_params fc1_params(const struct vnp_gpu_net *m, const struct vnp_gpu_layer *l, int64_t rows)
{
    return (struct vnp_gemm_params){.type = m->o.type,
                                    .epilogue = VNP_GEMM_BIAS_GELU,
                                    .m = rows,
                                    .n = m->c.ffn,
                                    .k = m->c.width,
                                    .d_a = m->d_x,
                                    .d_w = l->fc1_w,
                                    .d_bias = l->fc1_b,
                                    .d_out = m->d_wide,
                                    .d_row_scale = m->d_scale};
}

static void products(const struct vnp_gpu_net *m, const struct vnp_gpu_layer *l, const struct vnp_gpu_batch *b,
                     struct vnp_gemm_params p[4])
{
    p[0] = qkv_params(m, l, b);
    p[1] = vnp_gpu_net_residual(m, m->d_h, l->out_w, l->out_b, b->tokens, m->c.width);
    p[2] = fc1_params(m, l, b->tokens);
    p[3] = vnp_gpu_net_residual(m, m->d_wide, l->fc2_w, l->fc2_b, b->tokens, m->c.ffn);
}

const struct vnp_gpu_arch vnp_esm2_gpu = {
    .steps = {"embed", "row scale", "qkv+rotary", "attention", "out", "fc1+gelu", "fc2", "finish"},
    .embed = embed,
    .products = products,
};
