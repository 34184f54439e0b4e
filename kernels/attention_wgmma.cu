/* attention, 16-bit storage, wgmma: Hopper (sm_90a), head dimensions 64 and 128.
 *
 *   out[t, h] = sum_j softmax_j(q[t, h] . k[j, h]) v[j, h]      j over the tokens of t's sequence
 *   with ALiBi: softmax_j(scale q[t, h] . k[j, h] - slope[h] |t - j|)
 *
 * qkv [tokens, 3, heads, D], out [tokens, heads, D], both T = __half or __nv_bfloat16, rows dense, 16-byte aligned.
 * Sequences of 65 to 192 tokens with heads of 64 are taken whole (attention_whole.cuh), the others in tiles:
 * Block: one warpgroup, 64 query rows of one head. Grid: tiles * heads, heads fastest.
 * Shared memory: q of the tile and two stages of 64 keys and values, 5 * 64 * D * 2 bytes in panels of 64 dimensions
 * with the 128-byte swizzle: the matrix unit reads k and v there once for all 64 rows, which is what mma.sync can't.
 * Reads q once, k and v once a tile of 64 rows (the L2 serves all but the first); writes out once.
 * Keys behind the end of the sequence are zeros in shared memory and -inf as scores: nothing crosses a border, NaN
 * included. NaN or Inf in q, k or v of a sequence makes NaN in the rows that see it. */
#include "attention_whole.cuh"
#include "attention_wgmma.h"
#include "cuda_check.h"

/* For other targets the kernel is empty, and vnp_attention() never launches it there. */
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
/* o's two rows of this lane by their scales, unless these are 1 in all lanes: then the same values without the work. */
template <int D> static __device__ __forceinline__ void scale_rows(float (&o)[D / 64][8][4], const float (&scale)[2])
{
    if (__any_sync(~0u, scale[0] != 1 || scale[1] != 1)) {
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            float *c = o[n / 8][n % 8];
            c[0] *= scale[0], c[1] *= scale[0], c[2] *= scale[1], c[3] *= scale[1];
        }
    }
}

template <typename T, int D, class Scores>
static __device__ __forceinline__ void run(const T *qkv, T *out, const vnp_attention_tile tile, int head, int heads,
                                           Scores scores, uint8_t *smem)
{
    constexpr int panels = D / 64, bytes = panels * PANEL;
    const int64_t width = static_cast<int64_t>(heads) * D, stride = 3 * width;
    const int rows = min(VNP_ATTENTION_ROWS, tile.length - tile.query), steps = (tile.length + VNP_KEYS - 1) / VNP_KEYS;
    const bool active = static_cast<int>(threadIdx.x / 32 * 16) < rows;
    const T *base = qkv + tile.first * stride + head * D;
    const uint32_t q = vnp_smem(smem), kv = q + bytes;
    const float slope = scores.slope(head);
    const vnp_loader<T, D> load(stride);
    const auto fetch = [&](int step) { /* its keys and values */
        const uint32_t to = kv + (step & 1) * 2 * bytes;
        const T *from = base + width + step * VNP_KEYS * stride;
        load.start(to, from, stride, tile.length - step * VNP_KEYS);
        load.start(to + bytes, from + width, stride, tile.length - step * VNP_KEYS);
        vnp_copy_commit();
    };
    load.start(q, base + tile.query * stride, stride, rows);
    fetch(0);
    if (steps > 1)
        fetch(1);

    float o[panels][8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    for (int step = 0; step < steps; step++) {
        if (step == 0 && steps > 1)
            vnp_copy_wait<1>();
        else
            vnp_copy_wait<0>();
        fence_async_shared();
        __syncthreads();
        const uint32_t k = kv + (step & 1) * 2 * bytes, v = k + bytes;
        if (step > 0 && step + 1 < steps)
            fetch(step + 1); /* where the step before lay: all warps are through with it */
        float s[8][4], scale[2];
        wgmma_fence();
#pragma unroll
        for (int i = 0; i < D / 16; i++) {
            const uint32_t at = i / 4 * PANEL + i % 4 * 32;
            multiply<T>(s, descriptor(q + at), descriptor(k + at), i);
        }
        wgmma_end();
        if (active) {
            scores.finish(s, slope, tile.query + static_cast<int>(threadIdx.x / 32 * 16), step * VNP_KEYS);
            vnp_softmax_step<8>(s, tile.length - step * VNP_KEYS, scores.unit(), top, scale);
            float more[2];
            sum_exponentials(more, s);
            sum[0] = fmaf(sum[0], scale[0], more[0]), sum[1] = fmaf(sum[1], scale[1], more[1]);
            scale_rows<D>(o, scale);
        }
        uint32_t p[4][4];
        pack_weights<T>(p, s);
        wgmma_fence();
#pragma unroll
        for (int g = 0; g < 4; g++)
#pragma unroll
            for (int n = 0; n < panels; n++)
                weigh<T>(o[n], p[g], descriptor(v + n * PANEL + g * 2048));
        wgmma_end();
    }
    if (active)
        store<T, D>(out + (static_cast<int64_t>(tile.first) + tile.query) * width + head * D, width, o, sum, q,
                    static_cast<int>(threadIdx.x / 32 * 16), rows);
}

#endif

template <typename T, int D, class Scores>
static __global__ void __launch_bounds__(128, D == 64 ? 5 : 2)
    attention_wgmma(const T *__restrict__ qkv, T *__restrict__ out, const vnp_attention_tile *__restrict__ tiles,
                    int heads, int gap_at, int gap, Scores scores)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ __align__(1024) uint8_t smem[];
    vnp_await_results();
    vnp_let_next_start(); /* not before: attention_whole begins with q, k and v at hand */
    const int index = blockIdx.x / heads;
    run<T, D>(qkv, out, tiles[index < gap_at ? index : index + gap], blockIdx.x % heads, heads, scores, smem);
#endif
}

template <typename T, int D, class Scores>
static void launch(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    const int smem = 5 * 64 * D * 2;
    if (smem > 48 * 1024)
        CUDA_CHECK(
            cudaFuncSetAttribute(attention_wgmma<T, D, Scores>, cudaFuncAttributeMaxDynamicSharedMemorySize, smem));
    const struct vnp_attention_whole *w = p->work.whole;
    const int64_t gap = D == 64 ? 2 * w[2].n + 3 * w[3].n : 0, rest = p->work.tiles - gap;
    if (rest > 0)
        CUDA_CHECK(vnp_launch(vnp_attention_is_brief(p), attention_wgmma<T, D, Scores>,
                              static_cast<unsigned>(rest * p->heads), 128, smem, stream,
                              static_cast<const T *>(p->d_qkv), static_cast<T *>(p->d_out), p->d_tiles, p->heads,
                              static_cast<int>(w[3].n ? w[3].at : w[2].at), static_cast<int>(gap), scores));
    if (gap > 0 && w[3].n > 0)
        CUDA_CHECK((launch_whole<T, 192>(p, scores, rest > 0, stream)));
    if (gap > 0 && w[2].n > 0)
        CUDA_CHECK((launch_whole<T, 128>(p, scores, rest > 0 || w[3].n > 0, stream)));
}

template <typename T, class Scores>
static void by_dimension(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    p->head_dim == 64 ? launch<T, 64>(p, scores, stream) : launch<T, 128>(p, scores, stream);
}

template <typename T> static void by_scores(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->d_slopes != nullptr)
        by_dimension<T>(p, vnp_alibi_scores(p), stream);
    else
        by_dimension<T>(p, vnp_scores{}, stream);
}

extern "C" void vnp_attention_wgmma(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->dtype == VNP_F16)
        by_scores<__half>(p, stream);
    else
        by_scores<__nv_bfloat16>(p, stream);
}
