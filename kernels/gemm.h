/* The matrix products of the transformers, out = epilogue(A x W^T): one entry for every device, element type and shape.
 *
 * A row of the result depends on that row of A, on W and on the epilogue's inputs for that row alone: the products are
 * summed over k in one fixed order whatever m, the row's position, its neighbours and the tile shape (batch
 * invariance). */
#ifndef VNP_GEMM_H
#define VNP_GEMM_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "gemm_type.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything happens in FP32 on v = sum * row scale + bias (sum + bias where there is a residual); one rounding to the
 * output type at the end. */
enum vnp_gemm_epilogue {
    VNP_GEMM_BIAS,          /* v */
    VNP_GEMM_BIAS_GELU,     /* v * 0.5 * (1 + erf(v / sqrt 2)), relative error under 2^-13 (FP16 rounding: 2^-11) */
    VNP_GEMM_BIAS_RESIDUAL, /* v + residual */
    VNP_GEMM_BIAS_NORMED, /* v + gain (residual * row scale + row shift): LayerNorm(residual) with its shift in bias */
    VNP_GEMM_GEGLU,       /* the GELU of columns 16 i to 16 i + 7 times the next eight: n / 2 columns */
    VNP_GEMM_BIAS_ROTARY /* columns are q | k | v, each n/3 wide: q by q_scale, then q and k rotated in halves of a head
                          */
};

/* Every matrix is row-major and dense, 16-byte aligned; n and k are multiples of 8; m is any number from 1, with no
 * padding: rows past m are neither read nor written. Buffers are borrowed until the stream has passed the call. */
struct vnp_gemm_params {
    enum vnp_gemm_type type;
    enum vnp_gemm_epilogue epilogue;
    int64_t m;              /* rows: tokens */
    int64_t n;              /* columns of the product, rows of W; GEGLU: a multiple of 16 */
    int64_t k;              /* columns of A and of W */
    const void *d_a;        /* [m][k] */
    const void *d_w;        /* [n][k], as checkpoints store it */
    const float *d_bias;    /* [n] FP32, or NULL for none; BIAS_NORMED has one */
    void *d_out;            /* [m][n], GEGLU [m][n / 2]; must not overlap d_a or d_w */
    const void *d_residual; /* [m][n], BIAS_RESIDUAL and _NORMED only; may be d_out itself */
    float *d_moments; /* with a residual, or NULL: [m][parts][2], for each row of out and vnp_gemm_moments_columns() of
                       * its columns (the last part may have fewer) the sum, and the sum of squared deviations from
                       * its mean */
    const float *d_row_scale; /* [m] what a row's sums are multiplied with, NULL for 1; BIAS_NORMED: what its residual
                               * is; BIAS_RESIDUAL: NULL */
    const float *d_row_shift; /* [m] BIAS_NORMED only */
    const float *d_gain;      /* [n] BIAS_NORMED only */
    const int32_t *d_pos;     /* [m] each row's position in its sequence, a row of d_rotary; BIAS_ROTARY only */
    const float *d_rotary;    /* [positions][head_dim / 2][2] cos, sin; see vnp_rotary_table */
    int32_t head_dim;         /* columns of a head: even; n/3 is a multiple of it */
    float q_scale;            /* head_dim^-0.5 for ESM-2 */
};

/* Enqueues the product on `stream`. Returns a cudaError_t: cudaErrorInvalidValue for sizes or pointers outside the
 * contract above (nothing is launched), else the launch's own. Nothing is allocated and nothing waits.
 *
 * Hopper (sm_90) runs TMA + wgmma kernels for F16 and BF16; other devices from sm_80 on mma.sync. BIAS_ROTARY is fused
 * for head dimensions 16, 32, 64 (and 128 on Hopper); for the others vnp_rotary follows: q and k are then rounded to
 * the storage type before and after the rotation. */
int vnp_gemm(const struct vnp_gemm_params *params, cudaStream_t stream);

/* The columns of a part of d_moments, for these parameters on the current device. */
int32_t vnp_gemm_moments_columns(const struct vnp_gemm_params *params);

/* The kernel that vnp_gemm would choose for these parameters on the current device, for --report: "sm90 wgmma 256x192
 * f16 in turn". */
const char *vnp_gemm_kernel_name(const struct vnp_gemm_params *params);

#ifdef __cplusplus
}
#endif

#endif
