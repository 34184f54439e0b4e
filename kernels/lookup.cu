/* Rows of a table by token id:
 *
 *   x[t] | qkv[t] = rows[id[t]],  scale[t], shift[t] = scales[id[t]]
 *
 * rows [vocab, x_bytes + qkv_bytes], x [tokens, x_bytes], qkv [tokens, qkv_bytes], 16-byte aligned; ids 1 or 2 bytes
 * each. One warp a token, eight a block; a lane copies every 32nd 16 bytes, six of them on their way at a time. No
 * shared memory. DNABERT-S in FP16: a table of 25 MB, each row read a few times by a batch; 6 KB a token written. */
#include "cuda_check.h"
#include "launch.cuh"
#include "lookup.h"

#define WARPS 8
#define EACH 6

template <typename Id>
static __global__ void __launch_bounds__(32 * WARPS)
    lookup(const uint4 *__restrict__ rows, const float2 *__restrict__ scales, const Id *__restrict__ ids, uint4 *x,
           uint4 *qkv, float *scale, float *shift, int64_t tokens, int x_words, int qkv_words)
{
    const int lane = threadIdx.x & 31;
    const int64_t token = static_cast<int64_t>(blockIdx.x) * WARPS + threadIdx.x / 32;
    vnp_let_next_start();
    vnp_await_results();
    if (token >= tokens)
        return;
    const int id = ids[token];
    const int words = x_words + qkv_words;
    const uint4 *from = rows + static_cast<int64_t>(id) * words;
    uint4 *to_x = x + token * x_words, *to_qkv = qkv + token * qkv_words - x_words;
    for (int first = lane; first < words; first += 32 * EACH) {
        uint4 v[EACH];
#pragma unroll
        for (int e = 0, i = first; e < EACH; e++, i += 32)
            if (i < words)
                v[e] = from[i];
#pragma unroll
        for (int e = 0, i = first; e < EACH; e++, i += 32)
            if (i < words)
                (i < x_words ? to_x : to_qkv)[i] = v[e];
    }
    if (lane == 0) {
        scale[token] = scales[id].x;
        shift[token] = scales[id].y;
    }
}

template <typename Id> static void launch(const vnp_lookup_params *p, cudaStream_t stream)
{
    const vnp_lookup_table *t = p->table;
    const bool brief = false; /* the first of a pass, it follows nothing that it could overtake */
    CUDA_CHECK(vnp_launch(brief, lookup<Id>, static_cast<unsigned>((p->tokens + WARPS - 1) / WARPS), 32 * WARPS, 0,
                          stream, static_cast<const uint4 *>(t->d_rows), reinterpret_cast<const float2 *>(t->d_scales),
                          static_cast<const Id *>(p->d_ids), static_cast<uint4 *>(p->d_x),
                          static_cast<uint4 *>(p->d_qkv), p->d_scale, p->d_shift, p->tokens, t->x_bytes / 16,
                          t->qkv_bytes / 16));
}

extern "C" void vnp_lookup(const vnp_lookup_params *p, cudaStream_t stream)
{
    if (p->tokens == 0)
        return;
    if (p->id_bytes == 1)
        launch<uint8_t>(p, stream);
    else
        launch<uint16_t>(p, stream);
}
