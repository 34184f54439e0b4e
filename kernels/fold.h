/* LayerNorm as a part of the linear layers that read what it gives. */
#ifndef VNP_FOLD_H
#define VNP_FOLD_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

/* d_out [rows, width] of `out` and d_bias [rows] so that
 *
 *   W LayerNorm(x) + bias  =  d_out x / sqrt(variance(x) + eps) + d_bias
 *
 * where d_w [rows, width] of `in` is W, d_gain and d_shift [width] are LayerNorm's, and d_bias held `bias` before. One
 * rounding of each element. Any alignment of whole elements. */
void vnp_fold_layernorm(void *d_out, enum vnp_dtype out, const void *d_w, enum vnp_dtype in, int64_t rows, int width,
                        const float *d_gain, const float *d_shift, float *d_bias, cudaStream_t stream);

/* d_bias += d_shift, [width] both: the rest of a LayerNorm that VNP_GEMM_BIAS_NORMED makes of its residual. */
void vnp_fold_shift(float *d_bias, const float *d_shift, int width, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
