/* The kernels behind vnp_gemm, which has checked the parameters and chosen. Each returns a cudaError_t. */
#ifndef VNP_GEMM_IMPL_H
#define VNP_GEMM_IMPL_H

#include "gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Hopper, F16 and BF16. `tile_n` forces a tile width (256 or 160; 0: by the shape), for tests: the result is the same.
 */
int vnp_gemm_sm90(const struct vnp_gemm_params *params, int tile_n, cudaStream_t stream);
/* The tile width that vnp_gemm_sm90 takes for these parameters, or 0 when their epilogue is not fused there. */
int vnp_gemm_sm90_tile(const struct vnp_gemm_params *params);

/* Any device from sm_80: F16, BF16, TF32. */
int vnp_gemm_mma(const struct vnp_gemm_params *params, cudaStream_t stream);
/* 1 when vnp_gemm_mma rotates heads of this dimension itself. */
int vnp_gemm_mma_rotates(int32_t head_dim);

/* Any device: F32 by multiply-add. BIAS_ROTARY is not fused. */
int vnp_gemm_fp32(const struct vnp_gemm_params *params, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
