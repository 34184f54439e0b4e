/* attention over whole sequences of 65 to 192 tokens, 16-bit storage, wgmma, head dimension 64: Hopper (sm_90a). What
 * it computes, and of what: attention_wgmma.cu. Those of up to 128 tokens have a kernel of their own, of fewer registers.
 *
 * Block: one warpgroup, one sequence and head: its first 64 queries, then the next. Grid: sequences * heads, heads
 * fastest. All keys are one step, their number rounded up to 16: one softmax, and the sums begin when the scores have
 * become weights, so that they have the same registers.
 * Shared memory: q, k and v whole, up to 3 * 192 * 64 * 2 bytes, in panels (attention_wgmma.cuh).
 * Reads q, k and v once, which is what tiles of 64 queries don't: with them the L2 gives k and v twice, and it was the
 * limit. Writes out once.
 * Rows behind the end of the sequence are zeros in shared memory and -inf as scores: nothing crosses a border, NaN
 * included. */
#ifndef VNP_ATTENTION_WHOLE_CUH
#define VNP_ATTENTION_WHOLE_CUH

#include "attention_wgmma.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/* All copies but the newest PENDING groups are there, for the matrix units and in all threads. */
template <int PENDING> static __device__ __forceinline__ void await_copies(void)
{
    vnp_copy_wait<PENDING>();
    fence_async_shared();
    __syncthreads();
}

/* A sequence of N - 15 to N tokens, N at most 192. */
template <typename T, int N, class Scores>
static __device__ __forceinline__ void run_whole(const T *qkv, T *out, const vnp_attention_tile tile, int head,
                                                 int heads, Scores scores, uint8_t *smem)
{
    const int64_t width = static_cast<int64_t>(heads) * 64, stride = 3 * width;
    const int row = __shfl_sync(~0u, static_cast<int>(threadIdx.x / 32 * 16), 0);
    const T *from = qkv + tile.first * stride + head * 64;
    const uint32_t q = vnp_smem(smem), k = q + N * 128, v = k + N * 128;
    const vnp_loader<T, 64> load(stride);
    load.start(q, from, stride, 64);
    load.template start<N>(k, from + width, stride, tile.length);
    vnp_copy_commit();
    load.template start<N>(v, from + 2 * width, stride, tile.length);
    vnp_copy_commit();
    load.template start<N - 64>(q + PANEL, from + 64 * stride, stride, tile.length - 64);
    vnp_copy_commit();

    const float slope = scores.slope(head);
    const uint64_t to_q = descriptor(q), to_k = descriptor(k), to_v = descriptor(v);
    T *to = out + tile.first * width + head * 64;
#pragma unroll 1 /* more code would take more registers, and no less time */
    for (int part = 0; 64 * part < tile.length; part++) {
        const int rows = min(64, tile.length - 64 * part);
        float s[N / 8][4], top[2] = {-INFINITY, -INFINITY}, unused[2], sum[2] = {};
        if (part == 0)
            await_copies<2>();
        wgmma_fence();
#pragma unroll
        for (int i = 0; i < 4; i++)
            multiply<T>(s, to_q + part * (PANEL >> 4) + 2 * i, to_k + 2 * i, i);
        wgmma_end();
        if (row < rows) {
            scores.finish(s, slope, 64 * part + row, 0);
            vnp_softmax_step<N / 8, N / 8 - 2>(s, tile.length, scores.unit(), top, unused);
            sum_exponentials(sum, s);
        }
        uint32_t p[N / 16][4];
        pack_weights<T>(p, s);
        float o[1][8][4] = {};
        if (part == 0)
            await_copies<0>(); /* the other queries too */
        wgmma_fence();
#pragma unroll
        for (int g = 0; g < N / 16; g++)
            weigh<T>(o[0], p[g], to_v + g * (2048 >> 4));
        wgmma_end();
        if (row < rows)
            store<T, 64>(to + 64 * part * width, width, o, sum, q + part * PANEL, row, rows);
    }
}
#endif

/* Sequences of MOST - 63 to MOST tokens; MOST: 128 or 192. */
template <typename T, int MOST, class Scores>
static __global__ void __launch_bounds__(128, MOST == 128 ? 4 : 3)
    attention_whole(const T *__restrict__ qkv, T *__restrict__ out, const vnp_attention_tile *__restrict__ tiles,
                    int heads, bool last, Scores scores)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ __align__(1024) uint8_t smem[];
    if (!last)
        vnp_await_results();
    vnp_let_next_start(); /* not before: the kernel of the shorter ones begins with q, k and v at hand */
    const int head = blockIdx.x % heads;
    const vnp_attention_tile tile = tiles[MOST / 64 * (blockIdx.x / heads)];
    if (tile.length <= MOST - 48)
        run_whole<T, MOST - 48>(qkv, out, tile, head, heads, scores, smem);
    else if (tile.length <= MOST - 32)
        run_whole<T, MOST - 32>(qkv, out, tile, head, heads, scores, smem);
    else if (tile.length <= MOST - 16)
        run_whole<T, MOST - 16>(qkv, out, tile, head, heads, scores, smem);
    else
        run_whole<T, MOST>(qkv, out, tile, head, heads, scores, smem);
    if (last)
        vnp_await_results(); /* what began before it: for whom its end is the end of both */
#endif
}

/* `last`: another kernel of the same attention was launched just before, and says that q, k and v are there when it lets
 * this one start. They run beside each other, and this one ends last. It reads them without having waited, by cp.async.cg
 * alone, which goes past the L1: that may still hold what lay there in the layer before. */
template <typename T, int MOST, class Scores>
static cudaError_t launch_whole(const vnp_attention_params *p, Scores scores, bool last, cudaStream_t stream)
{
    const struct vnp_attention_whole *w = &p->work.whole[MOST / 64];
    const int rows = (w->longest + 15) / 16 * 16, shared = 3 * 128 * rows;
    if (MOST > 128) {
        const cudaError_t status = cudaFuncSetAttribute(attention_whole<T, MOST, Scores>,
                                                        cudaFuncAttributeMaxDynamicSharedMemorySize, 3 * 128 * MOST);
        if (status != cudaSuccess)
            return status;
    }
    return vnp_launch(last || vnp_attention_is_brief(p), attention_whole<T, MOST, Scores>,
                      static_cast<unsigned>(w->n * p->heads), 128, shared, stream,
                      static_cast<const T *>(p->d_qkv), static_cast<T *>(p->d_out), p->d_tiles + w->at,
                      p->heads, last, scores);
}

#endif
