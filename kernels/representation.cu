/* The representation of tokens, and its pooling.
 *
 *   y[t] = (x[t] scale[t] + shift[t]) w + b      or x[t]
 *   out  = y; or for each sequence y of its first token, or the mean or the largest over its residues
 *
 * x [tokens, width] of T, out FP32, dense, 16-byte aligned.
 * Block: 256 columns of one sequence, 8 a lane; its 8 warps take runs of VNP_POOL_RUN tokens in turn, and what they
 * come to is put together in the order of the runs: nothing but the sequence decides the order of a sum. Grid: n *
 * ceil(width / 256). Shared memory: 16 KB for a mean. Reads x once, writes out once.
 * NaN or Inf in x makes its element so, and a NaN in a column makes that column of the mean and of the largest NaN. */
#include <float.h>
#include <math.h>

#include "cuda_check.h"
#include "half.cuh"
#include "launch.cuh"
#include "representation.h"

#define WARPS 8
#define COLUMNS 256 /* of a block */

/* Eight columns of a sequence's tokens. */
template <typename T> struct columns {
    const T *x; /* the first token's */
    const float *scale, *shift;
    int64_t stride;
    float w[8], b[8];
    bool normed;
    bool finite = true; /* all that was looked at */

    __device__ __forceinline__ columns(const vnp_representation_params &p, int64_t first, int column)
        : x(static_cast<const T *>(p.d_x) + first * p.width + column), scale(p.d_scale + first),
          shift(p.d_shift + first), stride(p.width), normed(p.d_w != nullptr)
    {
        if (normed)
            vnp_load8(p.d_w + column, w), vnp_load8(p.d_b + column, b);
    }
    __device__ __forceinline__ void get(int t, float (&v)[8])
    {
        vnp_load8(x + t * stride, v);
        if (normed) {
            const float by = scale[t], and_by = shift[t];
#pragma unroll
            for (int i = 0; i < 8; i++)
                v[i] = fmaf(fmaf(v[i], by, and_by), w[i], b[i]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++)
            finite = finite && fabsf(v[i]) <= FLT_MAX;
    }
};

/* What is kept of a column of several tokens: `begin` of none, `add` of four more, `join` of one more, or of a run. */
struct mean {
    typedef double kept;
    static __device__ __forceinline__ double begin(void)
    {
        return 0;
    }
    static __device__ __forceinline__ double add(double sum, float a, float b, float c, float d)
    {
        return sum + ((static_cast<double>(a) + b) + (static_cast<double>(c) + d));
    }
    static __device__ __forceinline__ double join(double sum, double x)
    {
        return sum + x;
    }
    static __device__ __forceinline__ float end(double sum, int count)
    {
        return static_cast<float>(sum / count);
    }
};
struct largest {
    typedef float kept;
    static __device__ __forceinline__ float begin(void)
    {
        return -INFINITY;
    }
    static __device__ __forceinline__ float join(float top, float x)
    {
        return x > top || x != x ? x : top;
    }
    static __device__ __forceinline__ float add(float top, float a, float b, float c, float d)
    {
        return join(join(join(join(top, a), b), c), d);
    }
    static __device__ __forceinline__ float end(float top, int)
    {
        return top;
    }
};

/* Tokens [from, to). */
template <class Pool, typename T>
static __device__ __forceinline__ void pool_run(columns<T> &y, int from, int to, typename Pool::kept (&kept)[8])
{
    int t = from;
    float v[4][8];
#pragma unroll
    for (int i = 0; i < 8; i++)
        kept[i] = Pool::begin();
#pragma unroll 2
    for (; t + 4 <= to; t += 4) {
#pragma unroll
        for (int k = 0; k < 4; k++)
            y.get(t + k, v[k]);
#pragma unroll
        for (int i = 0; i < 8; i++)
            kept[i] = Pool::add(kept[i], v[0][i], v[1][i], v[2][i], v[3][i]);
    }
    for (; t < to; t++) {
        y.get(t, v[0]);
#pragma unroll
        for (int i = 0; i < 8; i++)
            kept[i] = Pool::join(kept[i], v[0][i]);
    }
}

/* The block's columns of out from tokens [from, to). `here`: this lane has columns. */
template <class Pool, typename T>
static __device__ __forceinline__ void pool_all(columns<T> &y, int from, int to, bool here, float *out, int width)
{
    __shared__ typename Pool::kept run[WARPS][8][32]; /* [column of a lane][lane] */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = threadIdx.x;
    typename Pool::kept all = Pool::begin();
    for (int base = from; base < to; base += WARPS * VNP_POOL_RUN) {
        const int mine = base + warp * VNP_POOL_RUN, runs = min(WARPS, (to - base + VNP_POOL_RUN - 1) / VNP_POOL_RUN);
        typename Pool::kept kept[8];
        if (here && warp < runs) {
            pool_run<Pool>(y, mine, min(mine + VNP_POOL_RUN, to), kept);
#pragma unroll
            for (int i = 0; i < 8; i++)
                run[warp][i][lane] = kept[i];
        }
        __syncthreads();
        for (int r = 0; r < runs; r++)
            all = Pool::join(all, run[r][column % 8][column / 8]);
        __syncthreads();
    }
    if (column < width)
        out[column] = to > from ? Pool::end(all, to - from) : 0.0f;
}

template <typename T, vnp_pool POOL>
static __global__ void __launch_bounds__(32 * WARPS) representation(vnp_representation_params p, int parts)
{
    vnp_let_next_start();
    vnp_await_results();
    const int64_t i = blockIdx.x / parts;
    const int base = blockIdx.x % parts * COLUMNS, warp = threadIdx.x / 32, column = base + threadIdx.x % 32 * 8;
    const int first = p.d_cu[i], length = p.d_cu[i + 1] - first;
    const bool here = column < p.width, pooled = POOL == VNP_POOL_MEAN || POOL == VNP_POOL_MAX;
    const int from = pooled ? min(p.prefix, length) : length, to = pooled ? max(length - p.suffix, from) : length;
    columns<T> y(p, first, here ? column : 0);
    if (POOL == VNP_POOL_MEAN)
        pool_all<mean>(y, from, to, here, p.d_out + i * p.width + base, p.width - base);
    if (POOL == VNP_POOL_MAX)
        pool_all<largest>(y, from, to, here, p.d_out + i * p.width + base, p.width - base);
    const auto look_at = [&](int t) {
        float v[8];
        y.get(t, v);
        if (POOL == VNP_POOL_NONE)
            vnp_store8(p.d_out + (first + static_cast<int64_t>(t)) * p.width + column, v);
        if (POOL == VNP_POOL_CLS && t == 0)
            vnp_store8(p.d_out + i * p.width + column, v);
    };
    for (int t = warp; here && t < from; t += WARPS)
        look_at(t);
    for (int t = to + warp; here && t < length; t += WARPS)
        look_at(t);
    if (!__all_sync(~0u, y.finite) && threadIdx.x % 32 == 0)
        p.d_nonfinite[i] = 1;
}

template <typename T, vnp_pool POOL> static void launch(const vnp_representation_params *p, cudaStream_t stream)
{
    const int parts = (p->width + COLUMNS - 1) / COLUMNS;
    CUDA_CHECK(vnp_launch(vnp_is_brief(p->tokens * p->width), representation<T, POOL>,
                          static_cast<unsigned>(p->n * parts), 32 * WARPS, 0, stream, *p, parts));
}

template <typename T> static void by_pool(const vnp_representation_params *p, cudaStream_t stream)
{
    switch (p->pool) {
    case VNP_POOL_NONE: return launch<T, VNP_POOL_NONE>(p, stream);
    case VNP_POOL_MEAN: return launch<T, VNP_POOL_MEAN>(p, stream);
    case VNP_POOL_CLS: return launch<T, VNP_POOL_CLS>(p, stream);
    case VNP_POOL_MAX: return launch<T, VNP_POOL_MAX>(p, stream);
    }
}

extern "C" void vnp_representation(const vnp_representation_params *p, cudaStream_t stream)
{
    if (p->n == 0)
        return;
    if (p->dtype == VNP_F32)
        by_pool<float>(p, stream);
    else if (p->dtype == VNP_F16)
        by_pool<__half>(p, stream);
    else
        by_pool<__nv_bfloat16>(p, stream);
}
