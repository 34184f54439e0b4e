/* One vector a sequence from its tokens' vectors, on the device. */
#ifndef VNP_POOLING_H
#define VNP_POOLING_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "pool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vnp_pooling_params {
    enum vnp_pool pool;    /* mean, cls or max */
    const float *d_hidden; /* [tokens, width] */
    float *d_out;          /* [n, width] */
    const int32_t *d_cu;   /* [n + 1] cumulative tokens */
    int64_t n;
    int width;          /* a multiple of 4 */
    int prefix, suffix; /* special tokens around the residues */
};

/* The same operations in the same order as vnp_pool_vectors(): the same bytes. */
void vnp_pooling(const struct vnp_pooling_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
