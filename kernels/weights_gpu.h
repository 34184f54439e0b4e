/* A language model's weights on the device: one slab, converted on the way up. */
#ifndef VNP_WEIGHTS_GPU_H
#define VNP_WEIGHTS_GPU_H

#include <stdint.h>

#include "model.h"
#include "status.h"

#define VNP_MAX_LAYERS 512

/* Device pointers into the slab. Matrices [out, in] of the storage type; vectors, and the word table, FP32. */
struct vnp_gpu_norm {
    const float *w, *b; /* [width] */
};

/* LayerNorms are in the products that read what they give: qkv_w, qkv_b, fc1_w and fc1_b are what vnp_fold_layernorm
 * makes of the model's. DNABERT-S adds such a result to a later product too (VNP_GEMM_BIAS_NORMED): out_b has the shift
 * of before_qkv in it, and fc2_b that of before_fc1. */
struct vnp_gpu_layer {
    struct vnp_gpu_norm before_qkv, before_fc1;
    struct vnp_gpu_norm after; /* DNABERT-S: before_qkv of the next layer */
    const void *qkv_w;         /* [3 width, width]: q, k, v one below the other */
    float *qkv_b;              /* [3 width] */
    const void *out_w;         /* [width, width] */
    float *out_b;              /* [width] */
    const void *fc1_w; /* [ffn, width]; DNABERT-S [2 ffn, width], see VNP_GEMM_GEGLU for the order of its rows */
    float *fc1_b;      /* [ffn]; DNABERT-S [2 ffn], in the same order */
    const void *fc2_w; /* [width, ffn] */
    float *fc2_b;      /* [width] */
};

struct vnp_gpu_weights {
    void *d_slab;
    int64_t bytes;
    int layers;               /* how many are there: as many as the wanted representation needs */
    const float *word;        /* [vocab, width] */
    const float *type;        /* DNABERT-S: [2, width] */
    struct vnp_gpu_norm last; /* what makes the wanted representation of the residual stream; NULL both, an ESM-2 below
                               * its last layer: it is that already */
    struct vnp_gpu_layer layer[VNP_MAX_LAYERS];
};

/* Reads the tensors of `layers` layers (all of them: the final LayerNorm too) through pinned buffers on several
 * threads, converts them on the device and returns when all are there. VNP_OS when the device has not the memory. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_weights_load(struct vnp_gpu_weights *w, const struct vnp_model *model,
                                                    enum vnp_dtype dtype, int layers, struct vnp_err *err);
void vnp_gpu_weights_free(struct vnp_gpu_weights *w);

#endif
