/* What a LayerNorm needs to know of a row: its division and its mean.
 *
 *   moments = sum(x), sum((x - mean(x))^2)
 *   scale = 1 / sqrt(mean((x - mean(x))^2) + eps), shift = -mean(x) scale, from moments of x's parts
 *
 * x [rows, width] of T, dense, 16-byte aligned; moments, scale, shift FP32.
 * One warp a row, 8 rows a block; a lane holds chunks lane, lane + 32, ... of 8 elements, up to C of them, so the row
 * is read once. No shared memory. Sums: over a lane's elements in order, then a butterfly over the warp: the same order
 * for every row, whatever is beside it. Reads rows * width * sizeof(T), writes 8 bytes a row. NaN and Inf make the
 * moments of their own row NaN. */
#include <type_traits>

#include "cuda_check.h"
#include "half.cuh"
#include "lanes.cuh"
#include "launch.cuh"
#include "layernorm.h"

#define WARPS 8

/* A lane's share of a row as it lies in memory: 16-bit rows stay packed, which leaves room for twice the warps. */
template <typename T, int C> struct share {
    uint4 w[C];
    __device__ __forceinline__ void load(int c, const T *p)
    {
        w[c] = *reinterpret_cast<const uint4 *>(p);
    }
    __device__ __forceinline__ void get(int c, float *v) const
    {
        vnp_load8(reinterpret_cast<const T *>(&w[c]), v);
    }
};
template <int C> struct share<float, C> {
    float w[C][8];
    __device__ __forceinline__ void load(int c, const float *p)
    {
        vnp_load8(p, w[c]);
    }
    __device__ __forceinline__ void get(int c, float *v) const
    {
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = w[c][i];
    }
};

/* The sum of the row in x, and that of squared deviations from its mean. */
template <typename T, int C>
static __device__ __forceinline__ float2 moments(const share<T, C> &x, int lane, int chunks)
{
    float sum = 0, squares = 0, v[8];
#pragma unroll
    for (int c = 0; c < C; c++) {
        if (c * 32 + lane >= chunks)
            continue;
        x.get(c, v);
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum += v[i];
    }
    sum = vnp_warp_sum(sum);
    const float mean = sum / static_cast<float>(chunks * 8);
#pragma unroll
    for (int c = 0; c < C; c++) {
        if (c * 32 + lane >= chunks)
            continue;
        x.get(c, v);
#pragma unroll
        for (int i = 0; i < 8; i++)
            squares = fmaf(v[i] - mean, v[i] - mean, squares);
    }
    return make_float2(sum, vnp_warp_sum(squares));
}

template <typename T, int C>
static __device__ __forceinline__ void load_row(share<T, C> &x, const T *row, int lane, int chunks)
{
#pragma unroll
    for (int c = 0; c < C; c++)
        if (c * 32 + lane < chunks)
            x.load(c, row + (c * 32 + lane) * 8);
}

/* Calls f with the chunks of a lane as a constant. */
template <class F> static void by_width(int width, F f)
{
    const int per_lane = (width / 8 + 31) / 32;
    if (per_lane <= 2)
        f(std::integral_constant<int, 2>());
    else if (per_lane == 3)
        f(std::integral_constant<int, 3>());
    else if (per_lane <= 5)
        f(std::integral_constant<int, 5>());
    else if (per_lane <= 10)
        f(std::integral_constant<int, 10>());
    else
        f(std::integral_constant<int, 20>());
}

template <typename T, int C>
static __global__ void __launch_bounds__(32 * WARPS)
    row_moments(const T *d_x, float2 *d_moments, int64_t rows, int chunks)
{
    const int lane = threadIdx.x & 31;
    const int64_t row = static_cast<int64_t>(blockIdx.x) * WARPS + threadIdx.x / 32;
    vnp_let_next_start();
    vnp_await_results();
    if (row >= rows)
        return;
    share<T, C> x;
    load_row(x, d_x + row * chunks * 8, lane, chunks);
    const float2 m = moments(x, lane, chunks);
    if (lane == 0)
        d_moments[row] = m;
}

template <typename T>
static void row_moments(const void *d_x, int64_t rows, int width, float *d_moments, cudaStream_t stream)
{
    const unsigned blocks = static_cast<unsigned>((rows + WARPS - 1) / WARPS);
    by_width(width, [=](auto c) {
        CUDA_CHECK(vnp_launch(vnp_is_brief(rows * width), row_moments<T, c>, blocks, 32 * WARPS, 0, stream,
                              static_cast<const T *>(d_x), reinterpret_cast<float2 *>(d_moments), rows, width / 8));
    });
}

extern "C" void vnp_row_moments(const void *d_x, vnp_dtype dtype, int64_t rows, int width, float *d_moments,
                                cudaStream_t stream)
{
    if (rows == 0)
        return;
    if (dtype == VNP_F32)
        row_moments<float>(d_x, rows, width, d_moments, stream);
    else if (dtype == VNP_F16)
        row_moments<__half>(d_x, rows, width, d_moments, stream);
    else
        row_moments<__nv_bfloat16>(d_x, rows, width, d_moments, stream);
}

/* Four lanes a row, each every fourth part. */
static __global__ void __launch_bounds__(256)
    row_scales(const float2 *d_moments, float *d_scale, float *d_shift, int64_t rows, int width, int columns, float eps)
{
    const int64_t row = (static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x) / 4;
    const int parts = (width + columns - 1) / columns, lane = threadIdx.x % 4;
    const float2 *part = d_moments + row * parts;
    float sum = 0, squares = 0;
    vnp_let_next_start();
    vnp_await_results();
    for (int i = lane; row < rows && i < parts; i += 4)
        sum += part[i].x;
    const float mean = vnp_quad_sum(sum) / static_cast<float>(width);
    for (int i = lane; row < rows && i < parts; i += 4) {
        const float n = static_cast<float>(min(columns, width - i * columns)), off = part[i].x / n - mean;
        squares += fmaf(n * off, off, part[i].y);
    }
    squares = vnp_quad_sum(squares);
    if (row >= rows || lane != 0)
        return;
    const float scale = 1 / sqrtf(squares / static_cast<float>(width) + eps);
    d_scale[row] = scale;
    d_shift[row] = -mean * scale;
}

extern "C" void vnp_row_scales(const float *d_moments, int columns, int64_t rows, int width, float eps, float *d_scale,
                               float *d_shift, cudaStream_t stream)
{
    if (rows == 0)
        return;
    const unsigned blocks = static_cast<unsigned>((rows + 63) / 64);
    CUDA_CHECK(vnp_launch(vnp_is_brief(rows * width), row_scales, blocks, 256, 0, stream,
                          reinterpret_cast<const float2 *>(d_moments), d_scale, d_shift, rows, width, columns, eps));
}
