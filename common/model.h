/* A language model's weights, read from any of the files that users hold, without executing or trusting anything in
 * them. Hugging Face directories (config.json; model.safetensors, its sharded index, or pytorch_model.bin), lone
 * .safetensors, fair-esm .pt. Memory-mapped: opening costs no more than reading the headers. */
#ifndef VNP_MODEL_H
#define VNP_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "status.h"

enum vnp_arch { VNP_ESM2, VNP_DNABERT_S };

/* One tensor of a file. `data` is borrowed until the model is closed and may be unaligned. */
struct vnp_tensor {
    const char *name;     /* as in the file */
    enum vnp_dtype dtype; /* F32, F16 or BF16 */
    int ndim;             /* 1 or 2 */
    int64_t shape[2];     /* row-major: a Linear's weight is [out, in]; shape[1] = 1 for a vector */
    const void *data;
    uint64_t bytes;
};

/* What a tensor is for, whatever the file calls it. Weights are [out, in]. */
enum vnp_role {
    VNP_EMB_WORD,                 /* [vocab, width] */
    VNP_EMB_LN_W, VNP_EMB_LN_B,   /* DNABERT-S: [width] */
    VNP_EMB_TYPE,                 /* DNABERT-S: [2, width] */
    VNP_FINAL_LN_W, VNP_FINAL_LN_B, /* ESM-2: [width] */
    VNP_N_GLOBAL_ROLES,
    /* per layer */
    VNP_LN1_W = VNP_N_GLOBAL_ROLES, VNP_LN1_B, /* [width]; ESM-2 before attention, DNABERT-S after it */
    VNP_Q_W, VNP_Q_B, VNP_K_W, VNP_K_B, VNP_V_W, VNP_V_B, /* ESM-2: [width, width], [width] */
    VNP_QKV_W, VNP_QKV_B,                                 /* DNABERT-S: [3 width, width], [3 width] */
    VNP_OUT_W, VNP_OUT_B,         /* [width, width], [width] */
    VNP_LN2_W, VNP_LN2_B,         /* [width] */
    VNP_FC1_W, VNP_FC1_B,         /* ESM-2 [ffn, width], [ffn]; DNABERT-S [2 ffn, width] (gate half first), no bias */
    VNP_FC2_W, VNP_FC2_B,         /* [width, ffn], [width] */
    VNP_N_ROLES
};

struct vnp_model_config {
    enum vnp_arch arch;
    char name[128];       /* last part of the path, without its extension */
    char fingerprint[32]; /* of shapes and contents; equal for equal weights in whatever file format and dtype they came */
    int layers, heads, width, ffn, vocab;
    int head_dim;         /* width / heads */
    float ln_eps;
    bool token_dropout;   /* ESM-2: the 0.88 scale of the embedding */
    int mask_id, pad_id;  /* ESM-2: 32, 1; -1 for a DNABERT-S */
    int64_t parameters;   /* elements of all tensors that the forward pass uses */
};

struct vnp_model;

/* Opens `path`: a file, a directory or, when neither exists, a bare name looked for in the Hugging Face and torch
 * caches. NULL: $VNP_MODEL. Every offset, size, shape and dtype is checked; the tensors that the forward pass needs are
 * all there when this returns VNP_OK. Values are not read (vnp-model verify does). */
VNP_MUST_CHECK enum vnp_status vnp_model_open(struct vnp_model **out, const char *path, struct vnp_err *err);
const struct vnp_model_config *vnp_model_config(const struct vnp_model *m);
/* The tokenizer.json beside the weights, or NULL. Borrowed until the model is closed. */
const char *vnp_model_tokenizer(const struct vnp_model *m);

/* The tensor for a role; `layer` from 0, ignored for global roles. NULL for a role this architecture does not have. */
const struct vnp_tensor *vnp_model_tensor(const struct vnp_model *m, enum vnp_role role, int layer);

/* Converts elements [first, first + count) to float32. Exact: FP16 and BF16 are subsets. */
void vnp_tensor_f32(const struct vnp_tensor *t, int64_t first, int64_t count, float *dst);

void vnp_model_close(struct vnp_model *m);

#endif
