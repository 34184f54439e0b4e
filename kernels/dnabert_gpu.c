/* DNABERT-S on the GPU: post-LayerNorm, ALiBi, a gated feed-forward. What a LayerNorm gives is read twice, by the
 * product behind it and as the residual of the next but one: each normalises d_x for itself. */
#include "embed.h"
#include "net_steps_gpu.h"

static void embed(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b)
{
    const struct vnp_embed_params p = {.dtype = ws->net->dtype,
                                       .d_word = ws->net->weights.word,
                                       .d_type = ws->net->weights.type,
                                       .d_ids = vnp_gpu_batch_device(b, b->ids),
                                       .id_bytes = b->id_bytes,
                                       .d_out = ws->d_x,
                                       .tokens = b->tokens,
                                       .width = ws->net->c.width};
    vnp_embed(&p, ws->stream);
}

/* d_wide [rows, n] = LayerNorm(d_x) w^T + bias, where w and bias have the LayerNorm in them; GEGLU [rows, n / 2] */
static struct vnp_gemm_params linear(const struct vnp_gpu_workspace *ws, enum vnp_gemm_epilogue epilogue,
                                     const void *w, const float *bias, int64_t rows, int64_t n)
{
    return (struct vnp_gemm_params){.type = ws->net->o.type,
                                    .epilogue = epilogue,
                                    .m = rows,
                                    .n = n,
                                    .k = ws->net->c.width,
                                    .d_a = ws->d_x,
                                    .d_w = w,
                                    .d_bias = bias,
                                    .d_out = ws->d_wide,
                                    .d_row_scale = ws->d_scale};
}

/* d_x = LayerNorm(d_x) + a w^T + bias, and the moments of its rows; the LayerNorm's shift is in the bias. */
static struct vnp_gemm_params residual(const struct vnp_gpu_workspace *ws, const void *a, const void *w,
                                       const float *bias, const float *gain, int64_t rows, int64_t k)
{
    struct vnp_gemm_params p = vnp_gpu_net_residual(ws, a, w, bias, rows, k);
    p.epilogue = VNP_GEMM_BIAS_NORMED;
    p.d_row_scale = ws->d_scale;
    p.d_row_shift = ws->d_shift;
    p.d_gain = gain;
    return p;
}

static void products(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_layer *l, const struct vnp_gpu_batch *b,
                     struct vnp_gemm_params p[4])
{
    p[0] = linear(ws, VNP_GEMM_BIAS, l->qkv_w, l->qkv_b, b->tokens, 3 * (int64_t)ws->net->c.width);
    p[1] = residual(ws, ws->d_h, l->out_w, l->out_b, l->before_qkv.w, b->tokens, ws->net->c.width);
    p[2] = linear(ws, VNP_GEMM_GEGLU, l->fc1_w, l->fc1_b, b->tokens, 2 * (int64_t)ws->net->c.ffn);
    p[3] = residual(ws, ws->d_wide, l->fc2_w, l->fc2_b, l->before_fc1.w, b->tokens, ws->net->c.ffn);
}

const struct vnp_gpu_arch vnp_dnabert_gpu = {
    .scores = " with ALiBi",
    .steps = {"embed", "row scale", "qkv", "attention", "out", "fc1+geglu", "fc2", "finish"},
    .embed = embed,
    .products = products,
};
