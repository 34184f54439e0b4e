/* The kernels behind vnp_gemm, which has checked the parameters and chosen. Each returns a cudaError_t. Only
 * vnp_gemm_sm90 makes moments. */
#ifndef VNP_GEMM_IMPL_H
#define VNP_GEMM_IMPL_H

#include "gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tiles of vnp_gemm_sm90, by their columns: two warpgroups have one together, or each has its own in turn. */
enum vnp_sm90_tile {
    VNP_SM90_NONE,
    VNP_SM90_TOGETHER_256,
    VNP_SM90_TOGETHER_160,
    VNP_SM90_TURN_192,
    VNP_SM90_TURN_160
};

/* Hopper, F16 and BF16. The result is the same whatever the tile; GEGLU has TURN_192 alone. */
int vnp_gemm_sm90(const struct vnp_gemm_params *params, enum vnp_sm90_tile tile, cudaStream_t stream);
/* The tile to take for these parameters, or VNP_SM90_NONE when their epilogue is not fused there. */
enum vnp_sm90_tile vnp_gemm_sm90_tile(const struct vnp_gemm_params *params);
int32_t vnp_gemm_sm90_columns(enum vnp_sm90_tile tile); /* of a tile, and so of a part of the moments */

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
