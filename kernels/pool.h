/* One vector a sequence from its tokens' vectors, on the device. */
#ifndef VNP_POOL_H
#define VNP_POOL_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vnp_pooling {
    VNP_POOL_MEAN, /* over the residues: special tokens don't count */
    VNP_POOL_CLS,  /* the first token */
    VNP_POOL_MAX   /* over the residues */
};

struct vnp_pool_params {
    enum vnp_pooling pooling;
    const float *d_hidden; /* [tokens, width] */
    float *d_out;          /* [n, width] */
    const int32_t *d_cu;   /* [n + 1] cumulative tokens */
    int64_t n;
    int width;             /* a multiple of 4 */
    int prefix, suffix;    /* special tokens around the residues */
};

/* Sums run in double over a sequence's rows in order. A sequence without residues: zeros, but for CLS. NaN in a row makes
 * NaN in the vector. */
void vnp_pool(const struct vnp_pool_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
