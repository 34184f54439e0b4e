/* What a LayerNorm needs to know of packed rows, when it is a part of what comes next: of a product (gemm.h), or of the
 * representation (representation.h). */
#ifndef VNP_LAYERNORM_H
#define VNP_LAYERNORM_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VNP_LAYERNORM_MAX_WIDTH 5120 /* and a multiple of 8 */

/* d_moments [rows, 2]: of each row of d_x [rows, width] the sum, and the sum of squared deviations from its mean. */
void vnp_row_moments(const void *d_x, enum vnp_dtype dtype, int64_t rows, int width, float *d_moments,
                     cudaStream_t stream);

/* d_scale[row] = 1 / sqrt(variance + eps) and d_shift[row] = -mean * d_scale[row], from the moments of the row's parts
 * of `columns` columns, [rows, parts, 2]; the last part may have fewer. vnp_row_moments makes one part of a row,
 * vnp_gemm one or more (gemm.h). */
void vnp_row_scales(const float *d_moments, int columns, int64_t rows, int width, float eps, float *d_scale,
                    float *d_shift, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
