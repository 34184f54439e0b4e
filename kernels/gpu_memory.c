#include "gpu_memory.h"

#include "attention_work.h"

#define MARGIN ((int64_t)512 << 20)
#define SECOND_TOKENS 2048 /* of a batch of the second opinion */

const char *vnp_gpu_type_name(enum vnp_gemm_type type)
{
    static const char *const names[] = {
        [VNP_GEMM_F16] = "fp16", [VNP_GEMM_BF16] = "bf16", [VNP_GEMM_F32] = "fp32", [VNP_GEMM_TF32] = "tf32"};
    return names[type];
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct vnp_gpu_parts vnp_gpu_parts(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o)
{
    const enum vnp_dtype dtype = vnp_gemm_storage(o->type);
    const int64_t w = c->width, s = (int64_t)vnp_dtype_bytes(dtype);
    const bool esm2 = c->arch == VNP_ESM2;
    return (struct vnp_gpu_parts){.x = w * s,
                                  .h = w * s,
                                  .wide = larger(3 * w, c->ffn) * s,
                                  .moments = VNP_MOMENTS_PARTS(w) * 8,
                                  .scale = 4,
                                  .shift = 4,
                                  .rotary = esm2 ? c->head_dim * 4 : 0};
}

int64_t vnp_gpu_weights_bytes(const struct vnp_model_config *c, enum vnp_dtype dtype, int layers)
{
    const int64_t w = c->width, f = c->ffn;
    const bool gated = c->arch == VNP_DNABERT_S;
    const int64_t matrices = 4 * w * w + (gated ? 3 : 2) * w * f, vectors = 9 * w + (gated ? 2 : 1) * f;
    const int64_t rows = c->vocab + (gated ? 4 : 2); /* two token types and a LayerNorm, or a LayerNorm */
    return layers * (matrices * (int64_t)vnp_dtype_bytes(dtype) + vectors * 4 + 12 * VNP_GPU_ALIGN) + rows * w * 4 +
           4 * VNP_GPU_ALIGN;
}

int64_t vnp_gpu_table_rows(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o)
{
    const int64_t ids = 65536; /* of a stream, at most: two bytes each */
    return c->arch != VNP_DNABERT_S || o->layer == 0 ? 0 : c->vocab < ids ? c->vocab : ids;
}

int64_t vnp_gpu_table_bytes(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o)
{
    const int64_t x = c->width * (int64_t)vnp_dtype_bytes(vnp_gemm_storage(o->type));
    return vnp_gpu_table_rows(c, o) * (4 * x + 8); /* x, q, k, v; a scale and a shift */
}

/* Every section with its padding. */
int64_t vnp_gpu_batch_in_bytes(int64_t tokens, int64_t sequences)
{
    const int64_t tiles = tokens / VNP_ATTENTION_ROWS + sequences;
    return vnp_gpu_aligned(tokens * 2) + 2 * vnp_gpu_aligned(tokens * 4) + vnp_gpu_aligned((sequences + 1) * 4) +
           vnp_gpu_aligned(sequences * 4) + vnp_gpu_aligned(tiles * (int64_t)sizeof(struct vnp_attention_tile));
}

int64_t vnp_gpu_batch_out_bytes(int64_t tokens, int64_t sequences, int width, enum vnp_pool pool)
{
    return (pool == VNP_POOL_NONE ? tokens : sequences) * width * (int64_t)sizeof(float);
}

int64_t vnp_gpu_batch_bytes(int64_t tokens, int64_t sequences, int width, enum vnp_pool pool)
{
    return vnp_gpu_batch_in_bytes(tokens, sequences) + vnp_gpu_batch_out_bytes(tokens, sequences, width, pool) +
           vnp_gpu_aligned(sequences);
}

/* What the weights take, and what the rest takes for each token of a batch. */
static void bytes_of(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o, int batches,
                     int64_t *weights, int64_t *per_token)
{
    const struct vnp_gpu_parts p = vnp_gpu_parts(c, o);
    const int64_t many = 1 << 16;
    *weights = vnp_gpu_weights_bytes(c, vnp_gemm_storage(o->type), o->layer) + vnp_gpu_table_bytes(c, o);
    *per_token = o->workspaces * vnp_gpu_parts_sum(&p) +
                 batches * vnp_gpu_batch_bytes(many, many / 2, c->width, o->pool) / many;
}

struct vnp_gpu_memory vnp_gpu_memory(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o, int batches,
                                     bool second_opinion)
{
    struct vnp_gpu_net_options exact = *o;
    int64_t weights, per_token, weights32 = 0, per_token32 = 0;
    bytes_of(c, o, batches, &weights, &per_token);
    exact.type = VNP_GEMM_F32, exact.workspaces = 1;
    if (second_opinion)
        bytes_of(c, &exact, 1, &weights32, &per_token32);
    return (struct vnp_gpu_memory){
        .weights = weights + weights32 + SECOND_TOKENS * per_token32, .margin = MARGIN, .per_token = per_token};
}

struct vnp_gpu_memory vnp_gpu_memory_fit(const struct vnp_model_config *c, struct vnp_gpu_net_options *o, int batches,
                                         bool second_opinion, int64_t bytes)
{
    struct vnp_gpu_memory m = vnp_gpu_memory(c, o, batches, second_opinion);
    while (o->workspaces > 1 && m.weights + m.margin + o->tokens * m.per_token > bytes) {
        o->workspaces--;
        m = vnp_gpu_memory(c, o, batches, second_opinion);
    }
    return m;
}

int64_t vnp_gpu_memory_tokens(const struct vnp_gpu_memory *m, int64_t bytes)
{
    const int64_t room = bytes - m->weights - m->margin;
    return room < 0 ? -1 : room / m->per_token / 512 * 512;
}
