/* The walk through DNABERT-S on the GPU: post-LayerNorm, ALiBi, a gated feed-forward, nothing after the last layer. */
#include "embed.h"
#include "layernorm.h"
#include "net_steps_gpu.h"

/* d_x = LayerNorm(x), x [rows, width] of `from`. */
static void norm(const struct vnp_gpu_net *m, enum vnp_dtype from, const void *x, const float *w, const float *b,
                 int64_t rows)
{
    const struct vnp_layernorm_params p = {.in = from,
                                           .out = m->dtype,
                                           .d_x = x,
                                           .d_out = m->d_x,
                                           .d_w = w,
                                           .d_b = b,
                                           .rows = rows,
                                           .width = m->c.width,
                                           .eps = m->c.ln_eps};
    vnp_layernorm(&p, m->compute);
}

/* The sum of the vectors in FP32, in d_wide (which has room for more), then its LayerNorm. */
static void embed(const struct vnp_gpu_net *m, const struct vnp_gpu_batch *b)
{
    const struct vnp_embed_bert_params p = {.d_word = m->weights.word,
                                            .d_type = m->weights.type,
                                            .d_ids = vnp_gpu_batch_device(b, b->ids),
                                            .id_bytes = b->id_bytes,
                                            .d_out = m->d_wide,
                                            .tokens = b->tokens,
                                            .width = m->c.width};
    vnp_embed_bert(&p, m->compute);
    norm(m, VNP_F32, m->d_wide, m->weights.emb_ln_w, m->weights.emb_ln_b, b->tokens);
}

/* out [rows, n] = input w^T + bias; without where that is NULL. */
static struct vnp_gemm_params linear(const struct vnp_gpu_net *m, const void *w, const float *bias, int64_t rows,
                                     int64_t n)
{
    return (struct vnp_gemm_params){.type = m->o.type,
                                    .epilogue = VNP_GEMM_BIAS,
                                    .m = rows,
                                    .n = n,
                                    .k = m->c.width,
                                    .d_a = m->d_x,
                                    .d_w = w,
                                    .d_bias = bias,
                                    .d_out = m->d_wide};
}

static void products(const struct vnp_gpu_net *m, const struct vnp_gpu_layer *l, const struct vnp_gpu_batch *b,
                     struct vnp_gemm_params p[4])
{
    p[0] = linear(m, l->qkv_w, l->qkv_b, b->tokens, 3 * (int64_t)m->c.width);
    p[1] = vnp_gpu_net_residual(m, m->d_h, l->out_w, l->out_b, b->tokens, m->c.width);
    p[2] = linear(m, l->fc1_w, l->fc1_b, b->tokens, 2 * (int64_t)m->c.ffn);
    p[2].epilogue = VNP_GEMM_GEGLU;
    p[3] = vnp_gpu_net_residual(m, m->d_wide, l->fc2_w, l->fc2_b, b->tokens, m->c.ffn);
}

static void layer(const struct vnp_gpu_pass *p, const struct vnp_gpu_layer *l)
{
    struct vnp_gpu_net *m = p->m;
    const int64_t rows = p->b->tokens;
    struct vnp_gemm_params product[4];
    products(m, l, p->b, product);
    vnp_gpu_net_gemm(m, product[0]);
    vnp_gpu_done(p, VNP_STEP_QKV);
    vnp_gpu_net_attend(m, p->b);
    vnp_gpu_done(p, VNP_STEP_ATTENTION);
    vnp_gpu_net_gemm(m, product[1]);
    vnp_gpu_done(p, VNP_STEP_OUT);
    norm(m, m->dtype, m->d_x, l->ln1_w, l->ln1_b, rows);
    vnp_gpu_done(p, VNP_STEP_NORM);
    vnp_gpu_net_gemm(m, product[2]);
    vnp_gpu_done(p, VNP_STEP_FC1);
    vnp_gpu_net_gemm(m, product[3]);
    vnp_gpu_done(p, VNP_STEP_FC2);
    norm(m, m->dtype, m->d_x, l->ln2_w, l->ln2_b, rows);
    vnp_gpu_done(p, VNP_STEP_NORM);
}

const struct vnp_gpu_walk vnp_dnabert_gpu_walk = {
    .scores = " with ALiBi",
    .steps = {"embed", "layernorm", "qkv", "attention", "out", "fc1+geglu", "fc2", "finish"},
    .embed = embed,
    .layer = layer,
    .products = products,
};
