/* What a model's files say of it apart from the tensors, and what the tensors' shapes say; the two must agree. */
#ifndef VNP_MODEL_CONFIG_H
#define VNP_MODEL_CONFIG_H

#include "model.h"
#include "model_roles.h"
#include "stored.h"

/* Said by config.json, a safetensors file's metadata or a fair-esm file's settings; 0 (-1 where it says so) is unsaid.
 */
struct vnp_hints {
    char source[512]; /* where it was said, for messages */
    int layers, heads, width, ffn, vocab;
    double ln_eps;
    int token_dropout;   /* 0, 1; -1 unsaid */
    int mask_id, pad_id; /* -1 unsaid */
    int arch;            /* enum vnp_arch; -1 unsaid */
};
#define VNP_NO_HINTS ((struct vnp_hints){.token_dropout = -1, .mask_id = -1, .pad_id = -1, .arch = -1})

/* Reads a Hugging Face config.json. What is not there has the default of transformers' EsmConfig or BertConfig.
 * VNP_DATA for an architecture that is not supported, with the reason. */
VNP_MUST_CHECK enum vnp_status vnp_config_json(struct vnp_hints *h, const char *path, struct vnp_err *err);

/* Reads what vnp-model itself writes into a safetensors file's metadata (num_attention_heads, ...). */
void vnp_config_metadata(struct vnp_hints *h, const json_t *metadata, const char *file);

/* Fills *c (but for name, fingerprint and parameters) from the shapes in `s`, and compares with the hints. Heads that
 * nobody says are taken from the published ESM-2 of that depth and width; VNP_DATA when there is none. */
VNP_MUST_CHECK enum vnp_status vnp_config_settle(struct vnp_model_config *c, const struct vnp_stored_set *s,
                                                 const struct vnp_scheme *scheme, const struct vnp_hints *h,
                                                 struct vnp_err *err);

/* A published size: "8M" ... "15B". */
struct vnp_published {
    const char *size, *name; /* "650M", "esm2_t33_650M_UR50D" */
    int layers, heads, width;
};
/* By size or name; NULL when it is not one. */
const struct vnp_published *vnp_published_find(const char *name);

#endif
