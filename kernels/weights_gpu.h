/* A language model's weights on the device: one slab, converted on the way up. */
#ifndef VNP_WEIGHTS_GPU_H
#define VNP_WEIGHTS_GPU_H

#include <stdint.h>

#include "model.h"
#include "status.h"

#define VNP_MAX_LAYERS 512

/* Device pointers into the slab. Matrices [out, in] of the storage type; vectors, and the word table, FP32. ESM-2's
 * LayerNorms are in the products behind them: its qkv_w, qkv_b, fc1_w and fc1_b are what vnp_fold_layernorm makes of
 * the model's. */
struct vnp_gpu_layer {
    const float *ln1_w, *ln1_b; /* [width] */
    const void *qkv_w;          /* [3 width, width]: q, k, v one below the other */
    const float *qkv_b;         /* [3 width] */
    const void *out_w;          /* [width, width] */
    const float *out_b;         /* [width] */
    const float *ln2_w, *ln2_b; /* [width] */
    const void *fc1_w;  /* [ffn, width]; DNABERT-S [2 ffn, width], see VNP_GEMM_GEGLU for the order of its rows */
    const float *fc1_b; /* [ffn]; DNABERT-S NULL */
    const void *fc2_w;  /* [width, ffn] */
    const float *fc2_b; /* [width] */
};

struct vnp_gpu_weights {
    void *d_slab;
    int64_t bytes;
    int layers;                           /* how many are there: as many as the wanted representation needs */
    const float *word;                    /* [vocab, width] */
    const float *type;                    /* DNABERT-S: [2, width] */
    const float *emb_ln_w, *emb_ln_b;     /* DNABERT-S: [width] */
    const float *final_ln_w, *final_ln_b; /* ESM-2: [width]; NULL when the last layer is not wanted */
    struct vnp_gpu_layer layer[VNP_MAX_LAYERS];
};

/* Reads the tensors of `layers` layers (all of them: the final LayerNorm too) through pinned buffers on several
 * threads, converts them on the device and returns when all are there. VNP_OS when the device has not the memory. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_weights_load(struct vnp_gpu_weights *w, const struct vnp_model *model,
                                                    enum vnp_dtype dtype, int layers, struct vnp_err *err);
void vnp_gpu_weights_free(struct vnp_gpu_weights *w);

#endif
