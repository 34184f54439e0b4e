/* What the GPU stage takes of the device's memory: arithmetic without CUDA, so that it can be told where there is no
 * device. */
#ifndef VNP_GPU_MEMORY_H
#define VNP_GPU_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "gemm_type.h"
#include "model.h"
#include "pool.h"

#define VNP_SLOTS 4      /* batches in flight */
#define VNP_WORKSPACES 2 /* of them, so many are computed at a time */

struct vnp_gpu_net_options {
    enum vnp_gemm_type type; /* numbers: F16, BF16, F32 or TF32 */
    int layer;          /* representation: 0 the embedding, n the raw output of layer n, the last after its LayerNorm */
    enum vnp_pool pool; /* none: a vector a token */
    int prefix, suffix; /* tokens at either end that pooling leaves out */
    int workspaces;     /* batches computed at a time: 1 to VNP_WORKSPACES */
    int64_t tokens;     /* of a batch, at most */
};

/* "fp16", "bf16", "fp32", "tf32" */
const char *vnp_gpu_type_name(enum vnp_gemm_type type);

/* What begins on its own is aligned so, in bytes. */
#define VNP_GPU_ALIGN 256
static inline int64_t vnp_gpu_aligned(int64_t bytes)
{
    return (bytes + VNP_GPU_ALIGN - 1) / VNP_GPU_ALIGN * VNP_GPU_ALIGN;
}

/* The parts of a workspace, in bytes for each token. */
struct vnp_gpu_parts {
    int64_t x;       /* the residual stream: a width */
    int64_t h;       /* what attention gives: a width */
    int64_t wide;    /* q, k and v: three; or the feed-forward's hidden layer */
    int64_t moments; /* of its row of x, in parts */
    int64_t scale;   /* what they come to: 1 / its deviation */
    int64_t shift;   /* -its mean / its deviation */
    int64_t rotary;  /* ESM-2: cos and sin of its position, for half a head's columns */
};
struct vnp_gpu_parts vnp_gpu_parts(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o);
static inline int64_t vnp_gpu_parts_sum(const struct vnp_gpu_parts *p)
{
    return p->x + p->h + p->wide + p->moments + p->scale + p->shift + p->rotary;
}

/* Bytes of the weights for `layers` layers with matrices of `dtype`. */
int64_t vnp_gpu_weights_bytes(const struct vnp_model_config *c, enum vnp_dtype dtype, int layers);

/* Rows of the table of what a token is up to the first attention, by its id (lookup.h): DNABERT-S's, into which no
 * position goes and whose tokens are all of one type; 0 where there is none. And its bytes. */
int64_t vnp_gpu_table_rows(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o);
int64_t vnp_gpu_table_bytes(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o);

/* Memory that a batch of this capacity takes, on the device and, pinned, on the host: its inputs at most, its results,
 * and both with a flag a sequence. */
int64_t vnp_gpu_batch_in_bytes(int64_t tokens, int64_t sequences);
int64_t vnp_gpu_batch_out_bytes(int64_t tokens, int64_t sequences, int width, enum vnp_pool pool);
int64_t vnp_gpu_batch_bytes(int64_t tokens, int64_t sequences, int width, enum vnp_pool pool);

/* The whole: weights + margin + per_token x the tokens of a batch. */
struct vnp_gpu_memory {
    int64_t weights;   /* bytes, with the table by token id; with a second opinion, those in FP32 too, and its batch */
    int64_t margin;    /* bytes left to the driver and to fragmentation */
    int64_t per_token; /* bytes */
};
/* For `batches` of them in flight. second_opinion: the same model in FP32 beside it. */
struct vnp_gpu_memory vnp_gpu_memory(const struct vnp_model_config *c, const struct vnp_gpu_net_options *o, int batches,
                                     bool second_opinion);

/* The same for as many of o->workspaces, 1 at least, as leave room in `bytes` for batches of o->tokens: sets it. */
struct vnp_gpu_memory vnp_gpu_memory_fit(const struct vnp_model_config *c, struct vnp_gpu_net_options *o, int batches,
                                         bool second_opinion, int64_t bytes);

/* Tokens of the largest batch that fits `bytes` of memory, a multiple of 512 unless it is negative: not even the
 * weights fit. */
int64_t vnp_gpu_memory_tokens(const struct vnp_gpu_memory *m, int64_t bytes);

#endif
