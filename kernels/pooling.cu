/* Pooling.
 *
 *   out[i] = mean, or largest, of hidden[t] over the residues t of sequence i; or hidden of its first token
 *
 * hidden [tokens, width], out [n, width], FP32, dense, 16-byte aligned.
 * A thread: 4 columns of one sequence, over its rows in vnp_pool_vectors()'s order: nothing but the sequence decides
 * it. Block: 64 threads; grid: n * ceil(width / 256). No shared memory. Reads each residue's row once, writes out once.
 * NaN in a row makes the column NaN, in the largest too. */
#include "cuda_check.h"
#include "pooling.h"

static __device__ __forceinline__ float4 row(const float *src)
{
    return *reinterpret_cast<const float4 *>(src);
}

static __device__ __forceinline__ double four(float a, float b, float c, float d)
{
    return (static_cast<double>(a) + b) + (static_cast<double>(c) + d);
}

static __device__ __forceinline__ float4 mean(const float *src, int64_t stride, int rows)
{
    double sum[4] = {};
    int t = 0;
#pragma unroll 2
    for (; t + 4 <= rows; t += 4) {
        const float *at = src + t * stride;
        const float4 a = row(at), b = row(at + stride), c = row(at + 2 * stride), d = row(at + 3 * stride);
        sum[0] += four(a.x, b.x, c.x, d.x), sum[1] += four(a.y, b.y, c.y, d.y);
        sum[2] += four(a.z, b.z, c.z, d.z), sum[3] += four(a.w, b.w, c.w, d.w);
    }
    for (; t < rows; t++) {
        const float4 a = row(src + t * stride);
        sum[0] += a.x, sum[1] += a.y, sum[2] += a.z, sum[3] += a.w;
    }
    return make_float4(static_cast<float>(sum[0] / rows), static_cast<float>(sum[1] / rows),
                       static_cast<float>(sum[2] / rows), static_cast<float>(sum[3] / rows));
}

static __device__ __forceinline__ float larger(float m, float x)
{
    return x > m || x != x ? x : m;
}

static __device__ __forceinline__ float4 largest(const float *src, int64_t stride, int rows)
{
    float4 top = row(src);
#pragma unroll 8
    for (int t = 1; t < rows; t++) {
        const float4 v = row(src + t * stride);
        top = make_float4(larger(top.x, v.x), larger(top.y, v.y), larger(top.z, v.z), larger(top.w, v.w));
    }
    return top;
}

static __global__ void __launch_bounds__(64) pooling(vnp_pooling_params p, int parts)
{
    const int64_t i = blockIdx.x / parts;
    const int column = (blockIdx.x % parts * 64 + threadIdx.x) * 4;
    if (column >= p.width)
        return;
    const int first = p.d_cu[i], residues = p.d_cu[i + 1] - first - p.prefix - p.suffix;
    const float *src = p.d_hidden + static_cast<int64_t>(first) * p.width + column;
    float4 v = make_float4(0, 0, 0, 0);
    if (p.pool == VNP_POOL_CLS)
        v = row(src);
    else if (residues > 0 && p.pool == VNP_POOL_MEAN)
        v = mean(src + static_cast<int64_t>(p.prefix) * p.width, p.width, residues);
    else if (residues > 0)
        v = largest(src + static_cast<int64_t>(p.prefix) * p.width, p.width, residues);
    *reinterpret_cast<float4 *>(p.d_out + i * p.width + column) = v;
}

extern "C" void vnp_pooling(const vnp_pooling_params *p, cudaStream_t stream)
{
    const int parts = (p->width + 255) / 256;
    if (p->n == 0)
        return;
    pooling<<<static_cast<unsigned>(p->n * parts), 64, 0, stream>>>(*p, parts);
    CUDA_CHECK_LAUNCH();
}
