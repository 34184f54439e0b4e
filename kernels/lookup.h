/* What a token is before it meets others, looked up by its id: where that depends on nothing else (DNABERT-S), it is
 * made once for the whole vocabulary. */
#ifndef VNP_LOOKUP_H
#define VNP_LOOKUP_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* By id. */
struct vnp_lookup_table {
    void *d_rows;    /* [vocab] rows of x_bytes and, behind them, qkv_bytes: multiples of 16; 16-byte aligned */
    float *d_scales; /* [vocab, 2] scale, shift; 8-byte aligned */
    int x_bytes, qkv_bytes;
};

struct vnp_lookup_params {
    const struct vnp_lookup_table *table;
    const void *d_ids; /* [tokens], all < vocab, id_bytes (1 or 2) wide */
    int id_bytes;
    int64_t tokens;           /* 0: nothing happens */
    void *d_x;                /* [tokens, x_bytes], 16-byte aligned */
    void *d_qkv;              /* [tokens, qkv_bytes], 16-byte aligned */
    float *d_scale, *d_shift; /* [tokens] each */
};

/* Copies each token's row of the table to its places: the same bits. */
void vnp_lookup(const struct vnp_lookup_params *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
