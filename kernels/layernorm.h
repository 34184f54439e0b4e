/* LayerNorm over packed rows: the last of a network, which widens them to FP32 and looks for NaN and Inf; and its
 * moments alone, for those that are a part of a product. */
#ifndef VNP_LAYERNORM_H
#define VNP_LAYERNORM_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VNP_LAYERNORM_MAX_WIDTH 5120 /* and a multiple of 8 */

struct vnp_layernorm_params {
    enum vnp_dtype dtype;   /* of x */
    const void *d_x;        /* [rows, width], 16-byte aligned */
    float *d_out;           /* [rows, width] */
    const float *d_w, *d_b; /* [width] both; NULL both: out = x, nothing is normalised */
    int64_t rows;
    int width;
    float eps;
    const int32_t *d_sequence; /* [rows] each row's sequence; used with d_nonfinite alone */
    uint8_t *d_nonfinite;      /* [sequences] set to 1 where a row of the result holds NaN or Inf; NULL: nobody asks */
};

/* out = (x - mean) / sqrt(mean((x - mean)^2) + eps) * w + b, two passes over the row, which stays in registers. NaN or
 * Inf in a row makes that row NaN. */
void vnp_layernorm(const struct vnp_layernorm_params *p, cudaStream_t stream);

/* d_moments [rows, 2]: of each row of d_x [rows, width] the sum, and the sum of squared deviations from its mean. */
void vnp_row_moments(const void *d_x, enum vnp_dtype dtype, int64_t rows, int width, float *d_moments,
                     cudaStream_t stream);

/* d_scale[row] = 1 / sqrt(variance + eps) and, unless that is NULL, d_shift[row] = -mean * d_scale[row], from the
 * moments of the row's parts of `columns` columns, [rows, parts, 2]; the last part may have fewer. vnp_row_moments
 * makes one part of a row, vnp_gemm one or more (gemm.h). */
void vnp_row_scales(const float *d_moments, int columns, int64_t rows, int width, float eps, float *d_scale,
                    float *d_shift, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
