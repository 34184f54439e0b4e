#include "batch_gpu.h"

#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "cuda_check.h"
#include "gpu_memory.h"
#include "xmalloc.h"

enum vnp_status vnp_gpu_batch_init(struct vnp_gpu_batch *b, int64_t tokens, int64_t sequences, int width,
                                   enum vnp_pool pool, struct vnp_err *err)
{
    const size_t in = (size_t)vnp_gpu_batch_in_bytes(tokens, sequences),
                 out = (size_t)vnp_gpu_batch_out_bytes(tokens, sequences, width, pool);
    const size_t flags = (size_t)sequences;
    *b = (struct vnp_gpu_batch){.cap_tokens = tokens, .cap_sequences = sequences, .width = width, .pool = pool};
    if (cudaMalloc((void **)&b->d_in, in) != cudaSuccess || cudaMalloc((void **)&b->d_out, out) != cudaSuccess ||
        cudaMalloc((void **)&b->d_nonfinite, flags) != cudaSuccess ||
        cudaHostAlloc((void **)&b->h_in, in, cudaHostAllocDefault) != cudaSuccess ||
        cudaHostAlloc((void **)&b->out, out, cudaHostAllocDefault) != cudaSuccess ||
        cudaHostAlloc((void **)&b->nonfinite, flags, cudaHostAllocDefault) != cudaSuccess) {
        cudaGetLastError();
        vnp_gpu_batch_free(b);
        return vnp_error(err, VNP_OS,
                         "no memory for a batch of %lld tokens (%.2f GB on the GPU and as much on the host)",
                         (long long)tokens, (double)(in + out) * 1e-9);
    }
    CUDA_CHECK(cudaEventCreateWithFlags(&b->uploaded, cudaEventDisableTiming));
    CUDA_CHECK(cudaEventCreateWithFlags(&b->computed, cudaEventDisableTiming));
    CUDA_CHECK(cudaEventCreateWithFlags(&b->done, cudaEventDisableTiming | cudaEventBlockingSync));
    b->order = xmalloc((size_t)sequences * sizeof *b->order);
    return VNP_OK;
}

void vnp_gpu_batch_free(struct vnp_gpu_batch *b)
{
    CUDA_CHECK(cudaFree(b->d_in));
    CUDA_CHECK(cudaFree(b->d_out));
    CUDA_CHECK(cudaFree(b->d_nonfinite));
    CUDA_CHECK(cudaFreeHost(b->h_in));
    CUDA_CHECK(cudaFreeHost(b->out));
    CUDA_CHECK(cudaFreeHost(b->nonfinite));
    if (b->done) {
        CUDA_CHECK(cudaEventDestroy(b->uploaded));
        CUDA_CHECK(cudaEventDestroy(b->computed));
        CUDA_CHECK(cudaEventDestroy(b->done));
    }
    free(b->order);
    *b = (struct vnp_gpu_batch){0};
}

/* Lays the sections out for what the batch holds. */
static void lay_out(struct vnp_gpu_batch *b)
{
    char *at = b->h_in;
    b->ids = at, at += vnp_gpu_aligned(b->tokens * b->id_bytes);
    b->position = (int32_t *)(void *)at, at += vnp_gpu_aligned(b->tokens * 4);
    b->sequence = (int32_t *)(void *)at, at += vnp_gpu_aligned(b->tokens * 4);
    b->cu = (int32_t *)(void *)at, at += vnp_gpu_aligned((b->n + 1) * 4);
    b->unmasked = (float *)(void *)at, at += vnp_gpu_aligned(b->n * 4);
    b->tiles = (struct vnp_attention_tile *)(void *)at;
}

void vnp_gpu_batch_fill(struct vnp_gpu_batch *b, int64_t n, const uint32_t *lengths, const void *ids, int id_bytes,
                        uint32_t mask_id)
{
    b->n = n;
    b->id_bytes = id_bytes;
    b->tokens = (int64_t)vnp_sum(lengths, n);
    lay_out(b);
    memcpy(b->ids, ids, (size_t)b->tokens * (size_t)id_bytes);
    int32_t at = b->cu[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t length = (int32_t)lengths[i];
        int32_t masks = 0;
        for (int32_t t = 0; t < length; t++) {
            b->position[at + t] = t;
            b->sequence[at + t] = (int32_t)i;
            masks += vnp_token(ids, id_bytes, at + t) == mask_id;
        }
        b->unmasked[i] = length > 0 ? 1.0f - (float)masks / (float)length : 0.0f;
        b->cu[i + 1] = at += length;
    }
    b->work = vnp_attention_tiles(b->cu, n, b->order, b->tiles);
    b->in_bytes = (const char *)(b->tiles + b->work.tiles) - b->h_in;
}

void vnp_gpu_batch_wait(struct vnp_gpu_batch *b)
{
    CUDA_CHECK(cudaEventSynchronize(b->done));
}
