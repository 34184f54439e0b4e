/* From what a user calls a model to the files that hold it. */
#ifndef VNP_MODEL_FIND_H
#define VNP_MODEL_FIND_H

#include "status.h"

enum vnp_weights_kind { VNP_WEIGHTS_SAFETENSORS, VNP_WEIGHTS_TORCH };

struct vnp_model_files {
    char name[128];             /* what to call the model */
    char *config;               /* config.json, or NULL */
    char *vocab;                /* vocab.txt, or NULL */
    char *tokenizer;            /* tokenizer.json, or NULL */
    enum vnp_weights_kind kind; /* told by the file's first bytes */
    char **weights;             /* n_weights files: one, or the shards that an index names */
    int n_weights;
    char *index; /* the shards' index, or NULL: one file, or shards told by their names */
};

/* `path`: a file, a directory or, when neither exists, a bare name looked for in the Hugging Face and torch caches
 * ($HF_HOME/hub or ~/.cache/huggingface/hub, $TORCH_HOME/hub/checkpoints or ~/.cache/torch/hub/checkpoints, where
 * $XDG_CACHE_HOME takes the place of ~/.cache). NULL:
 * $VNP_MODEL. VNP_NOINPUT when there is no such model, VNP_USAGE when neither says which. Free with
 * vnp_model_files_free(). */
VNP_MUST_CHECK enum vnp_status vnp_model_find(struct vnp_model_files *f, const char *path, struct vnp_err *err);

/* The directory of the Hugging Face cache that holds facebook/NAME: $HF_HOME/hub/models--facebook--NAME, or as
 * above. NULL when none of $HF_HOME, $XDG_CACHE_HOME and $HOME is set. The caller frees it. */
char *vnp_model_cache(const char *name);

/* The i-th of all its files, from 0: the weights, then what lies beside them. NULL behind the last. */
const char *vnp_model_file(const struct vnp_model_files *f, int i);

void vnp_model_files_free(struct vnp_model_files *f);

#endif
