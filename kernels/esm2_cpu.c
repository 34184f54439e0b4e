/* The walk through ESM-2: pre-LayerNorm, rotary positions, exact GELU, a LayerNorm at the end. */
#include <math.h>

#include "cpu_embed.h"
#include "cpu_rotary.h"
#include "net_cpu_steps.h"

static enum vnp_status prepare(struct vnp_cpu_net *m, int64_t longest, struct vnp_err *err)
{
    const int d = m->config->head_dim;
    if (longest <= m->positions)
        return VNP_OK;
    m->positions = 0;
    if (vnp_cpu_area_grow(&m->rotary, longest * d, err) != VNP_OK)
        return err->status;
    vnp_cpu_rotary_table(m->rotary.p, longest, d);
    m->positions = longest;
    return VNP_OK;
}

static void embed(const struct vnp_cpu_net *m, float *x, const void *ids, int id_bytes, int64_t n)
{
    const struct vnp_model_config *c = m->config;
    vnp_cpu_embed_esm2(x, m->globals.role[VNP_EMB_WORD], ids, id_bytes, n, c->width, c->token_dropout,
                       (uint32_t)c->mask_id);
}

/* big [tokens, 3 width] = q | k | v of y. */
static void project_qkv(struct vnp_cpu_net *m, const float *const *w)
{
    struct vnp_cpu_product p = {.matrices = 3, .n = m->config->width, .k = m->config->width};
    p.in = m->y.p;
    p.out = m->big.p;
    for (int i = 0; i < 3; i++) { /* the roles are q, k, v, a weight and a bias each */
        p.w[i] = w[VNP_Q_W + 2 * i];
        p.bias[i] = w[VNP_Q_B + 2 * i];
    }
    p.epilogue = VNP_CPU_BIAS;
    vnp_cpu_net_product(m, &p);
}

/* big [tokens, 3 width]: the q and k columns, in place. */
static void rotary_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    struct vnp_cpu_net *m = ctx;
    const struct vnp_model_config *c = m->config;
    const struct vnp_cpu_tile *t = &m->tiles[task];
    float *qkv = m->big.p + t->row * 3 * c->width;
    const float scale = (float)(1.0 / sqrt((double)c->head_dim));
    vnp_cpu_rotary(qkv, 3 * c->width, t->rows, c->heads, c->head_dim, t->pos, scale, m->rotary.p);
    vnp_cpu_rotary(qkv + c->width, 3 * c->width, t->rows, c->heads, c->head_dim, t->pos, 1.0f, m->rotary.p);
}

static void layer(struct vnp_cpu_net *m, const float *const *w)
{
    const int64_t width = m->config->width, ffn = m->config->ffn;
    float *x = m->x.p, *y = m->y.p, *big = m->big.p;
    vnp_cpu_net_norm(m, y, w[VNP_LN1_W], w[VNP_LN1_B]);
    project_qkv(m, w);
    vnp_cpu_threads_run(m->threads, m->n_tiles, rotary_task, m);
    vnp_cpu_net_attention(m, 1.0f); /* q was scaled before it was rotated */
    vnp_cpu_net_linear(m, y, width, w[VNP_OUT_W], w[VNP_OUT_B], x, width, VNP_CPU_BIAS_ADD);
    vnp_cpu_net_norm(m, y, w[VNP_LN2_W], w[VNP_LN2_B]);
    vnp_cpu_net_linear(m, y, width, w[VNP_FC1_W], w[VNP_FC1_B], big, ffn, VNP_CPU_BIAS_GELU);
    vnp_cpu_net_linear(m, big, ffn, w[VNP_FC2_W], w[VNP_FC2_B], x, width, VNP_CPU_BIAS_ADD);
}

static void finish(struct vnp_cpu_net *m)
{
    vnp_cpu_net_norm(m, m->x.p, m->globals.role[VNP_FINAL_LN_W], m->globals.role[VNP_FINAL_LN_B]);
}

const struct vnp_cpu_walk vnp_esm2_walk = {.prepare = prepare, .embed = embed, .layer = layer, .finish = finish};
