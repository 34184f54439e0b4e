/* A batch on its way through the GPU: pinned host memory, its image on the device, and the result. */
#ifndef VNP_BATCH_GPU_H
#define VNP_BATCH_GPU_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "attention.h"
#include "pool.h"
#include "status.h"

/* What a batch consists of, in one place so that it travels as one copy. Host pointers; vnp_gpu_batch_device() gives
 * the device's. */
struct vnp_gpu_batch {
    /* capacity; the result has a vector a token or, pooled, one a sequence */
    int64_t cap_tokens, cap_sequences;
    int width;
    enum vnp_pool pool;
    /* contents, after vnp_gpu_batch_fill() */
    int64_t tokens, n; /* n: sequences */
    int id_bytes;
    struct vnp_attention_work work;
    void *ids;                        /* [tokens] */
    int32_t *position;                /* [tokens] within the sequence */
    int32_t *sequence;                /* [tokens] which it is of */
    int32_t *cu;                      /* [n + 1] */
    float *unmasked;                  /* [n] share of tokens that are not <mask>; 0 without tokens */
    struct vnp_attention_tile *tiles; /* [work.tiles] */
    int64_t in_bytes;
    /* results: valid after vnp_gpu_batch_wait() */
    float *out;         /* [tokens or n, width] */
    uint8_t *nonfinite; /* [n] */
    /* for the walk */
    char *h_in, *d_in;
    float *d_out;
    uint8_t *d_nonfinite;
    int32_t *order; /* scratch */
    cudaEvent_t uploaded, computed, done;
};

/* Makes room (vnp_gpu_batch_bytes()). VNP_OS when the device or the system has not got it; *b is then empty. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_batch_init(struct vnp_gpu_batch *b, int64_t tokens, int64_t sequences, int width,
                                                  enum vnp_pool pool, struct vnp_err *err);
void vnp_gpu_batch_free(struct vnp_gpu_batch *b);

/* Fills the host side from n sequences of lengths[i] tokens (0 too; within the capacity). `ids`: their
 * tokens, one after the other, id_bytes each. */
void vnp_gpu_batch_fill(struct vnp_gpu_batch *b, int64_t n, const uint32_t *lengths, const void *ids, int id_bytes,
                        uint32_t mask_id);

/* Where a host pointer's data is on the device. */
static inline const void *vnp_gpu_batch_device(const struct vnp_gpu_batch *b, const void *host)
{
    return b->d_in + ((const char *)host - b->h_in);
}

/* Waits for the results. */
void vnp_gpu_batch_wait(struct vnp_gpu_batch *b);

#endif
