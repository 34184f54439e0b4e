/* attention in true FP32: the GPU's own oracle, no tensor cores, no approximate exponential.
 *
 *   out[t, h] = sum_j softmax_j(q[t, h] . k[j, h]) v[j, h]      j over the tokens of t's sequence
 *   with ALiBi: softmax_j(scale q[t, h] . k[j, h] - slope[h] |t - j|)
 *
 * qkv [tokens, 3, heads, D], out [tokens, heads, D], float, rows dense, 16-byte aligned.
 * Block: 64 query rows of one head, D / DT threads a row (DT = D up to 32 dimensions in registers each). Grid: tiles
 * * heads. Shared memory: 32 keys and values, 2 * 32 * D * 4 bytes, read as broadcasts. Reads q once, k and v once a
 * tile of 64 rows; writes out once. Keys behind the end of the sequence are never looked at; NaN and Inf spread within
 * their sequence and head alone. */
#include "attention.h"
#include "cuda_check.h"

#define KEYS 32 /* keys of a step in shared memory */
#define BATCH 8 /* scores in registers between two updates of the running maximum */

template <int D> struct split {
    static constexpr int DT = D > 32 ? 32 : D, PARTS = D / DT, THREADS = VNP_ATTENTION_ROWS * PARTS;
};

/* One row's state for this thread's DT dimensions. */
template <int DT> struct row_state {
    float q[DT], o[DT], top, sum;
};

/* What becomes of a product before the softmax: nothing, as q came scaled; or ALiBi. `ahead`: query less key. */
struct plain {
    __device__ __forceinline__ float slope(int) const
    {
        return 0;
    }
    __device__ __forceinline__ float finish(float dot, float, int) const
    {
        return dot;
    }
};
struct alibi {
    const float *slopes; /* [heads] */
    float scale;
    __device__ __forceinline__ float slope(int head) const
    {
        return slopes[head];
    }
    __device__ __forceinline__ float finish(float dot, float slope, int ahead) const
    {
        return fmaf(dot, scale, -(slope * fabsf(static_cast<float>(ahead))));
    }
};

/* BATCH keys from shared memory; those from `valid` on don't count. `ahead`: the query's place less the first key's.
 * They are summed up before they join the rest: one by one, ALiBi's many small terms would be rounded away. */
template <int D, class Scores>
static __device__ __forceinline__ void attend(row_state<split<D>::DT> &r, const float *k, const float *v, int valid,
                                              Scores scores, float slope, int ahead)
{
    constexpr int DT = split<D>::DT;
    float s[BATCH], top = r.top;
#pragma unroll
    for (int j = 0; j < BATCH; j++) {
        float dot = 0;
#pragma unroll
        for (int d = 0; d < DT; d += 4) {
            const float4 x = *reinterpret_cast<const float4 *>(k + j * D + d);
            dot = fmaf(r.q[d], x.x, dot), dot = fmaf(r.q[d + 1], x.y, dot);
            dot = fmaf(r.q[d + 2], x.z, dot), dot = fmaf(r.q[d + 3], x.w, dot);
        }
#pragma unroll
        for (int lanes = 1; lanes < split<D>::PARTS; lanes *= 2)
            dot += __shfl_xor_sync(~0u, dot, lanes);
        s[j] = j < valid ? scores.finish(dot, slope, ahead - j) : -INFINITY;
        top = fmaxf(top, s[j]);
    }
    const float scale = expf(r.top - top);
    float sum = 0;
    r.top = top;
#pragma unroll
    for (int j = 0; j < BATCH; j++) {
        s[j] = expf(s[j] - top);
        sum += s[j];
    }
    r.sum = fmaf(r.sum, scale, sum);
#pragma unroll
    for (int d = 0; d < DT; d += 4) {
        float4 part = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            const float4 x = *reinterpret_cast<const float4 *>(v + j * D + d);
            part.x = fmaf(s[j], x.x, part.x), part.y = fmaf(s[j], x.y, part.y);
            part.z = fmaf(s[j], x.z, part.z), part.w = fmaf(s[j], x.w, part.w);
        }
        r.o[d] = fmaf(r.o[d], scale, part.x), r.o[d + 1] = fmaf(r.o[d + 1], scale, part.y);
        r.o[d + 2] = fmaf(r.o[d + 2], scale, part.z), r.o[d + 3] = fmaf(r.o[d + 3], scale, part.w);
    }
}

template <int D, class Scores>
static __global__ void __launch_bounds__(split<D>::THREADS)
    attention_fp32(const float *__restrict__ qkv, float *__restrict__ out, const vnp_attention_tile *__restrict__ tiles,
                   int heads, Scores scores)
{
    constexpr int DT = split<D>::DT, PARTS = split<D>::PARTS;
    __shared__ __align__(16) float k[KEYS * D], v[KEYS * D];
    const vnp_attention_tile tile = tiles[blockIdx.x / heads];
    const int head = blockIdx.x % heads, part = threadIdx.x % PARTS;
    const int64_t width = static_cast<int64_t>(heads) * D, stride = 3 * width;
    const int row = tile.query + threadIdx.x / PARTS;
    const float *base = qkv + tile.first * stride + head * D;
    const float slope = scores.slope(head);
    row_state<DT> r;
    r.top = -INFINITY, r.sum = 0;
#pragma unroll
    for (int d = 0; d < DT; d++) {
        r.q[d] = row < tile.length ? base[row * stride + part * DT + d] : 0;
        r.o[d] = 0;
    }
    for (int key = 0; key < tile.length; key += KEYS) {
        const int here = min(KEYS, tile.length - key);
        __syncthreads();
        for (int i = threadIdx.x; i < KEYS * D / 4; i += split<D>::THREADS) {
            const int j = i / (D / 4), d = i % (D / 4) * 4;
            const bool ok = j < here; /* zeros, not what the next sequence has there: 0 * NaN is NaN */
            const float *src = base + (key + (ok ? j : 0)) * stride + d;
            const float4 zero = make_float4(0, 0, 0, 0);
            *reinterpret_cast<float4 *>(k + j * D + d) = ok ? *reinterpret_cast<const float4 *>(src + width) : zero;
            *reinterpret_cast<float4 *>(v + j * D + d) = ok ? *reinterpret_cast<const float4 *>(src + 2 * width) : zero;
        }
        __syncthreads();
        for (int j = 0; j < here; j += BATCH)
            attend<D>(r, k + j * D + part * DT, v + j * D + part * DT, here - j, scores, slope, row - key - j);
    }
    if (row >= tile.length)
        return;
    float *dst = out + (static_cast<int64_t>(tile.first) + row) * width + head * D + part * DT;
    const float inv = 1 / r.sum;
#pragma unroll
    for (int d = 0; d < DT; d += 4)
        *reinterpret_cast<float4 *>(dst + d) =
            make_float4(r.o[d] * inv, r.o[d + 1] * inv, r.o[d + 2] * inv, r.o[d + 3] * inv);
}

template <int D, class Scores> static void launch(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    attention_fp32<D><<<static_cast<unsigned>(p->work.tiles * p->heads), split<D>::THREADS, 0, stream>>>(
        static_cast<const float *>(p->d_qkv), static_cast<float *>(p->d_out), p->d_tiles, p->heads, scores);
    CUDA_CHECK_LAUNCH();
}

template <class Scores> static void by_dimension(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    switch (p->head_dim) {
    case 16:
        launch<16>(p, scores, stream);
        break;
    case 24:
        launch<24>(p, scores, stream);
        break;
    case 32:
        launch<32>(p, scores, stream);
        break;
    case 64:
        launch<64>(p, scores, stream);
        break;
    default:
        launch<128>(p, scores, stream);
    }
}

extern "C" void vnp_attention_fp32(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->d_slopes != nullptr)
        by_dimension(p, alibi{p->d_slopes, p->scale}, stream);
    else
        by_dimension(p, plain{}, stream);
}
