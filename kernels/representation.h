/* What a network gives: its residual stream, widened to FP32, with the last LayerNorm where there is one, for every
 * token or pooled to one vector a sequence. */
#ifndef VNP_REPRESENTATION_H
#define VNP_REPRESENTATION_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"
#include "pool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vnp_representation_params {
    enum vnp_dtype dtype;           /* of x */
    const void *d_x;                /* [tokens, width], 16-byte aligned */
    const float *d_scale, *d_shift; /* [tokens] of vnp_row_scales() */
    const float *d_w, *d_b;         /* [width]; NULL both: the representation is x, and nothing is normalised */
    int64_t tokens;
    int width;           /* a multiple of 8 */
    const int32_t *d_cu; /* [n + 1] cumulative tokens */
    int64_t n;           /* sequences */
    enum vnp_pool pool;
    int prefix, suffix;   /* special tokens around the residues, which neither mean nor max counts */
    float *d_out;         /* [tokens, width], or pooled [n, width] */
    uint8_t *d_nonfinite; /* [n] set to 1 where the representation of any token holds NaN or Inf, pooled or not */
};

/* y = (x scale + shift) w + b, and of that, as pool says: all; the first token's; the mean or the largest of the
 * residues', by the same operations in the same order as vnp_pool_vectors(): the same bytes as from the vectors of all
 * tokens. */
void vnp_representation(const struct vnp_representation_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
