/* The walk through DNABERT-S: post-LayerNorm, ALiBi, a gated feed-forward, nothing after the last layer. */
#include <math.h>

#include "cpu_embed.h"
#include "cpu_layernorm.h"
#include "net_cpu_steps.h"

static void embed(const struct vnp_cpu_net *m, float *x, const void *ids, int id_bytes, int64_t n)
{
    const struct vnp_model_config *c = m->config;
    const float *const *w = m->globals.role;
    vnp_cpu_embed_bert(x, w[VNP_EMB_WORD], w[VNP_EMB_TYPE], ids, id_bytes, n, c->width); /* all tokens are type 0 */
    vnp_cpu_layernorm(x, x, w[VNP_EMB_LN_W], w[VNP_EMB_LN_B], n, c->width, c->ln_eps);
}

/* big [tokens, ffn] = gelu(first half) * second half of FC1's output for x, which is never held as a whole. */
static void gated(struct vnp_cpu_net *m, const float *w)
{
    const int64_t width = m->config->width, ffn = m->config->ffn;
    const struct vnp_cpu_product p = {.matrices = 1,
                                      .w = {w},
                                      .n = ffn,
                                      .k = width,
                                      .in = m->x.p,
                                      .out = m->big.p,
                                      .epilogue = VNP_CPU_GEGLU,
                                      .w2 = w + ffn * width};
    vnp_cpu_net_product(m, &p);
}

static void layer(struct vnp_cpu_net *m, const float *const *w)
{
    const int64_t width = m->config->width, ffn = m->config->ffn;
    float *x = m->x.p, *y = m->y.p, *big = m->big.p;
    vnp_cpu_net_linear(m, x, width, w[VNP_QKV_W], w[VNP_QKV_B], big, 3 * width, VNP_CPU_BIAS);
    vnp_cpu_net_attention(m, (float)(1.0 / sqrt((double)m->config->head_dim)));
    vnp_cpu_net_linear(m, y, width, w[VNP_OUT_W], w[VNP_OUT_B], x, width, VNP_CPU_BIAS_ADD);
    vnp_cpu_net_norm(m, x, w[VNP_LN1_W], w[VNP_LN1_B]);
    gated(m, w[VNP_FC1_W]);
    vnp_cpu_net_linear(m, big, ffn, w[VNP_FC2_W], w[VNP_FC2_B], x, width, VNP_CPU_BIAS_ADD);
    vnp_cpu_net_norm(m, x, w[VNP_LN2_W], w[VNP_LN2_B]);
}

const struct vnp_cpu_walk vnp_dnabert_walk = {.embed = embed, .layer = layer};
