#include "net_cpu_steps.h"

#include "cpu_attention.h"
#include "cpu_layernorm.h"

struct norm_step {
    struct vnp_cpu_net *m;
    float *out;
    const float *w, *b;
};

static void norm_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    const struct norm_step *s = ctx;
    const struct vnp_cpu_tile *t = &s->m->tiles[task];
    const int64_t width = s->m->config->width;
    vnp_cpu_layernorm(s->out + t->row * width, s->m->x.p + t->row * width, s->w, s->b, t->rows, width,
                      s->m->config->ln_eps);
}

void vnp_cpu_net_norm(struct vnp_cpu_net *m, float *out, const float *w, const float *b)
{
    struct norm_step s = {m, out, w, b};
    vnp_cpu_threads_run(m->threads, m->n_tiles, norm_task, &s);
}

struct product_step {
    struct vnp_cpu_net *m;
    const struct vnp_cpu_product *p;
    int64_t part, parts; /* columns of a matrix are cut into `parts` of `part` */
};

static void product_task(void *ctx, int64_t task, int worker)
{
    const struct product_step *s = ctx;
    const struct vnp_cpu_product *p = s->p;
    /* Neighbouring tasks share the weights' columns: they stay in the cache while the rows go by. */
    const struct vnp_cpu_tile *t = &s->m->tiles[task % s->m->n_tiles];
    const int64_t column = task / s->m->n_tiles;
    const int64_t matrix = column / s->parts, first = column % s->parts * s->part;
    const int64_t stride = p->n * p->matrices;
    const struct vnp_cpu_linear linear = {
        .rows = t->rows,
        .n = p->n - first < s->part ? p->n - first : s->part,
        .k = p->k,
        .x = p->in + t->row * p->k,
        .w = p->w[matrix] + first * p->k,
        .bias = p->bias[matrix] ? p->bias[matrix] + first : NULL,
        .out = p->out + t->row * stride + matrix * p->n + first,
        .out_stride = stride,
        .epilogue = p->epilogue,
        .scratch = s->m->scratch[worker].p,
        .w2 = p->w2 ? p->w2 + first * p->k : NULL,
    };
    vnp_cpu_linear(&linear);
}

void vnp_cpu_net_product(struct vnp_cpu_net *m, const struct vnp_cpu_product *p)
{
    struct product_step s = {.m = m, .p = p};
    s.parts = vnp_cpu_split(p->n, VNP_CPU_COLUMNS, 16, &s.part);
    vnp_cpu_threads_run(m->threads, m->n_tiles * s.parts * p->matrices, product_task, &s);
}

void vnp_cpu_net_linear(struct vnp_cpu_net *m, const float *in, int64_t k, const float *w, const float *bias,
                        float *out, int64_t n, enum vnp_cpu_epilogue epilogue)
{
    const struct vnp_cpu_product p = {
        .matrices = 1, .w = {w}, .bias = {bias}, .n = n, .k = k, .in = in, .out = out, .epilogue = epilogue};
    vnp_cpu_net_product(m, &p);
}

struct attention_step {
    struct vnp_cpu_net *m;
    float scale;
};

static void attention_task(void *ctx, int64_t task, int worker)
{
    const struct attention_step *s = ctx;
    struct vnp_cpu_net *m = s->m;
    const struct vnp_model_config *c = m->config;
    const struct vnp_cpu_tile *t = &m->queries[task / c->heads];
    const int64_t head = task % c->heads, column = head * c->head_dim, stride = 3 * c->width;
    const float *keys = m->big.p + (t->row - t->pos) * stride + c->width + column;
    const struct vnp_cpu_attention p = {
        .queries = t->rows,
        .keys = t->length,
        .head_dim = c->head_dim,
        .q = m->big.p + t->row * stride + column,
        .k = keys,
        .v = keys + c->width,
        .stride = stride,
        .out = m->y.p + t->row * c->width + column,
        .out_stride = c->width,
        .scores = m->scratch[worker].p,
        .scale = s->scale,
        .slope = m->slopes[head],
        .pos = t->pos,
    };
    vnp_cpu_attention(&p);
}

void vnp_cpu_net_attention(struct vnp_cpu_net *m, float scale)
{
    struct attention_step s = {m, scale};
    vnp_cpu_threads_run(m->threads, m->n_queries * m->config->heads, attention_task, &s);
}
