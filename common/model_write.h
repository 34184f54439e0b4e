/* Writes a model as a Hugging Face directory: config.json, model.safetensors (the tensors of the forward pass and, for
 * versions of transformers that want them, the rotary frequencies), for ESM-2 vocab.txt, and a tokenizer.json. */
#ifndef VNP_MODEL_WRITE_H
#define VNP_MODEL_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

/* Writes elements [first, first + count) of a role's tensor into dst. Called from several threads at once. */
typedef void vnp_fill_fn(void *ctx, enum vnp_role role, int layer, int64_t first, int64_t count, float *dst);

struct vnp_model_write {
    const char *dir; /* must not exist, or be empty; appears whole or not at all */
    const struct vnp_model_config *config;
    const char *tokenizer; /* a tokenizer.json to lie beside the weights, or NULL */
    enum vnp_dtype dtype;
    bool saturate; /* values too large for dtype become its largest; otherwise they are an error */
    vnp_fill_fn *fill;
    void *ctx;
};

struct vnp_model_written {
    uint64_t bytes;      /* of model.safetensors */
    uint64_t overflowed; /* finite values too large for the dtype */
};

/* VNP_DATA when values overflow and are not to be saturated (then *done says how many), VNP_CANTCREAT, VNP_IO. */
VNP_MUST_CHECK enum vnp_status vnp_model_write(const struct vnp_model_write *w, struct vnp_model_written *done,
                                               struct vnp_err *err);

#endif
