/* What goes into the first layer: ESM-2's word vectors with the "token dropout" scale; BERT's with the token type. */
#ifndef VNP_CPU_EMBED_H
#define VNP_CPU_EMBED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out [n, width] = word[id] * (1 - 0.15 * 0.8) / (1 - share of <mask> among the n tokens), rows of <mask> 0 (fair-esm
 * esm/model/esm2.py; Hugging Face EsmEmbeddings): 0.88 without masks. With token_dropout 0: out = word[id].
 * ids: one whole sequence, special tokens included, id_bytes (1 or 2) wide, all < the vocabulary.
 * A sequence of nothing but <mask> is 0 / 0: NaN, as there. */
void vnp_cpu_embed_esm2(float *out, const float *word, const void *ids, int id_bytes, int64_t n, int64_t width,
                        int token_dropout, uint32_t mask_id);

/* out [n, width] = word[id] + type: all tokens of one type, type [width] its vector. ids as above. DNABERT-S's input,
 * before its LayerNorm. */
void vnp_cpu_embed_bert(float *out, const float *word, const float *type, const void *ids, int id_bytes, int64_t n,
                        int64_t width);

#ifdef __cplusplus
}
#endif
#endif
