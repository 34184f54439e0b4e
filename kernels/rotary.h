/* Rotary position embedding, half-rotation (fair-esm esm/rotary_embedding.py): x cos + cat(-x2, x1) sin, base 10000. */
#ifndef VNP_ROTARY_H
#define VNP_ROTARY_H

#include "gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills d_table [positions][head_dim / 2][2] with cos and sin of p * 10000^(-2i / head_dim): the frequency and the
 * angle rounded to FP32 as the reference has them, cos and sin of that angle exact to FP32. Returns a cudaError_t. */
int vnp_rotary_table(float *d_table, int64_t positions, int32_t head_dim, cudaStream_t stream);

/* The columns q and k of d_qkv [m][3 * width] in place: q by q_scale, then both rotated, in FP32, one rounding to the
 * storage type. `type` F32 and TF32 are the same here. Heads of any even dimension that divides width. Returns a
 * cudaError_t. */
int vnp_rotary(void *d_qkv, enum vnp_gemm_type type, int64_t m, int64_t width, int32_t head_dim, float q_scale,
               const int32_t *d_pos, const float *d_table, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
