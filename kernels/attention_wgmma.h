/* The Hopper kernel behind vnp_attention(): FP16 and BF16, head dimensions 64 and 128, compute capability 9.0 alone. */
#ifndef VNP_ATTENTION_WGMMA_H
#define VNP_ATTENTION_WGMMA_H

#include "attention.h"

#ifdef __cplusplus
extern "C" {
#endif

void vnp_attention_wgmma(const struct vnp_attention_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
