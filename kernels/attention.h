/* Self-attention over packed sequences of any length, without padding and without a score matrix. */
#ifndef VNP_ATTENTION_H
#define VNP_ATTENTION_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "attention_work.h"
#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tiles that `n` sequences with cumulative token offsets cu[n + 1] need. */
int64_t vnp_attention_count(const int32_t *cu, int64_t n);
/* Writes them, longest sequences first (to 64 tokens), so that the last blocks to run are short ones; of these the last
 * in the batch first, as the product before has just written it and the L2 has some of it still. tiles[] holds
 * vnp_attention_count() entries; order[n] is scratch. */
struct vnp_attention_work vnp_attention_tiles(const int32_t *cu, int64_t n, int32_t *order,
                                              struct vnp_attention_tile *tiles);

struct vnp_attention_params {
    enum vnp_dtype dtype; /* of qkv and out */
    int heads, head_dim;  /* head_dim 16, 24, 32, 64 or 128 */
    const void *d_qkv;    /* [tokens, 3, heads, head_dim]; ESM-2: q scaled, q and k rotated; 16-byte aligned */
    void *d_out;          /* [tokens, heads, head_dim] */
    const struct vnp_attention_tile *d_tiles; /* [work.tiles] */
    struct vnp_attention_work work;           /* vnp_attention_tiles() */
    const float *d_slopes; /* [heads] ALiBi (alibi.h); NULL: without, and q comes scaled */
    float scale;           /* of q k^T, with d_slopes alone */
};

/* out = softmax(q k^T) v within each sequence, for every head; with ALiBi softmax(scale q k^T - slope |i - j|), i and j
 * the places of query and key in their sequence, exact up to 2^24 tokens. F16 and BF16: products on the matrix units,
 * scores, softmax and sums in FP32, probabilities rounded to the storage type for the second product. F32: FP32
 * throughout. A row depends on its own sequence alone, and its bytes on nothing else: key steps start at the sequence's
 * beginning. Non-finite values spread over the rows of their own sequence and head, never to another sequence. */
void vnp_attention(const struct vnp_attention_params *p, cudaStream_t stream);

/* Whether there is a kernel for this head dimension; the name of the one that vnp_attention() runs on the current
 * device, or of the two, by the lengths of the sequences (static text). */
int vnp_attention_supports(int head_dim);
const char *vnp_attention_kernel(enum vnp_dtype dtype, int head_dim);

/* The FP32 kernel behind vnp_attention(), in a file of its own. */
void vnp_attention_fp32(const struct vnp_attention_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
