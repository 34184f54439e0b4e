/* The gate of DNABERT-S's feed-forward: GELU of one half times the other. */
#ifndef VNP_GEGLU_H
#define VNP_GEGLU_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vnp_geglu_params {
    enum vnp_dtype dtype; /* of in and out */
    const void *d_in;     /* [rows, 2 width]: what passes the GELU, then what it is multiplied with; 16-byte aligned */
    void *d_out;          /* [rows, width], 16-byte aligned; must not overlap d_in */
    int64_t rows;
    int64_t width; /* a multiple of 8 */
};

/* out = gelu(first half of the row) * second half, in FP32, one rounding at the end. GELU as VNP_GEMM_BIAS_GELU has it:
 * exact for F32, with a relative error under 2^-13 for F16 and BF16. NaN or Inf in either half makes its element NaN
 * or Inf. */
void vnp_geglu(const struct vnp_geglu_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
