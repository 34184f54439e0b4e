/* The input of the network: word vectors by token id, with ESM-2's "token dropout" scale or BERT's token type. */
#ifndef VNP_EMBED_H
#define VNP_EMBED_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vnp_embed_params {
    enum vnp_dtype dtype; /* of out */
    const float *d_word;  /* [vocab, width] */
    const float *d_type;  /* [width] BERT's, that of every token; NULL without */
    const void *d_ids;    /* [tokens], all < vocab, id_bytes (1 or 2) wide */
    int id_bytes;
    void *d_out; /* [tokens, width] */
    int64_t tokens;
    int width;         /* a multiple of 8 */
    int token_dropout; /* ESM-2's. 0: the rest is not looked at */
    int mask_id;
    const int32_t *d_sequence; /* [tokens] each token's sequence */
    const float *d_unmasked;   /* [sequences] 1 - share of mask_id among its tokens */
};

/* out = word[id] * 0.88 / unmasked, rows of mask_id 0 (fair-esm esm/model/esm2.py), or word[id] + type, before the
 * LayerNorm that follows it: FP32, then one rounding. The same operations in the same order as vnp_cpu_embed_esm2() and
 * vnp_cpu_embed_bert(): equal bits in FP32. */
void vnp_embed(const struct vnp_embed_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
