/* ESM-2 on the GPU: pre-LayerNorm, rotary positions, GELU, a LayerNorm at the end. */
#include <math.h>

#include "embed.h"
#include "net_steps_gpu.h"

static void embed(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b)
{
    const struct vnp_embed_params p = {.dtype = ws->net->dtype,
                                       .d_word = ws->net->weights.word,
                                       .d_ids = vnp_gpu_batch_device(b, b->ids),
                                       .id_bytes = b->id_bytes,
                                       .d_out = ws->d_x,
                                       .tokens = b->tokens,
                                       .width = ws->net->c.width,
                                       .token_dropout = ws->net->c.token_dropout,
                                       .mask_id = ws->net->c.mask_id,
                                       .d_sequence = vnp_gpu_batch_device(b, b->sequence),
                                       .d_unmasked = vnp_gpu_batch_device(b, b->unmasked)};
    vnp_embed(&p, ws->stream);
}

static struct vnp_gemm_params qkv_params(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_layer *l,
                                         const struct vnp_gpu_batch *b)
{
    const int64_t w = ws->net->c.width;
    return (struct vnp_gemm_params){.type = ws->net->o.type,
                                    .epilogue = VNP_GEMM_BIAS_ROTARY,
                                    .m = b->tokens,
                                    .n = 3 * w,
                                    .k = w,
                                    .d_a = ws->d_x,
                                    .d_w = l->qkv_w,
                                    .d_bias = l->qkv_b,
                                    .d_out = ws->d_wide,
                                    .d_row_scale = ws->d_scale,
                                    .d_pos = vnp_gpu_batch_device(b, b->position),
                                    .d_rotary = ws->d_rotary,
                                    .head_dim = ws->net->c.head_dim,
                                    .q_scale = 1 / sqrtf((float)ws->net->c.head_dim)};
}

static struct vnp_gemm_params fc1_params(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_layer *l,
                                         int64_t rows)
{
    return (struct vnp_gemm_params){.type = ws->net->o.type,
                                    .epilogue = VNP_GEMM_BIAS_GELU,
                                    .m = rows,
                                    .n = ws->net->c.ffn,
                                    .k = ws->net->c.width,
                                    .d_a = ws->d_x,
                                    .d_w = l->fc1_w,
                                    .d_bias = l->fc1_b,
                                    .d_out = ws->d_wide,
                                    .d_row_scale = ws->d_scale};
}

static void products(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_layer *l, const struct vnp_gpu_batch *b,
                     struct vnp_gemm_params p[4])
{
    p[0] = qkv_params(ws, l, b);
    p[1] = vnp_gpu_net_residual(ws, ws->d_h, l->out_w, l->out_b, b->tokens, ws->net->c.width);
    p[2] = fc1_params(ws, l, b->tokens);
    p[3] = vnp_gpu_net_residual(ws, ws->d_wide, l->fc2_w, l->fc2_b, b->tokens, ws->net->c.ffn);
}

const struct vnp_gpu_arch vnp_esm2_gpu = {
    .steps = {"embed", "row scale", "qkv+rotary", "attention", "out", "fc1+gelu", "fc2", "finish"},
    .embed = embed,
    .products = products,
};
