/* Pooling.
 *
 *   out[i] = mean, or largest, of hidden[t] over the residues t of sequence i; or hidden of its first token
 *
 * hidden [tokens, width], out [n, width], FP32, dense, 16-byte aligned.
 * A thread: 4 columns of one sequence, over its rows in order, so that nothing but the sequence decides the sum's order.
 * Block: 64 threads; grid: n * ceil(width / 256). No shared memory. Reads each residue's row once, writes out once.
 * NaN in a row makes the column NaN, in the largest too. */
#include "cuda_check.h"
#include "pool.h"

static __device__ __forceinline__ float larger(float a, float b)
{
    return a > b || a != a ? a : b;
}

/* Rows in groups of 8, so that several loads are under way; the order of the sum stays. */
static __device__ __forceinline__ float4 mean(const float *src, int64_t stride, int rows)
{
    double sum[4] = {};
#pragma unroll 8
    for (int t = 0; t < rows; t++) {
        const float4 v = *reinterpret_cast<const float4 *>(src + t * stride);
        sum[0] += v.x, sum[1] += v.y, sum[2] += v.z, sum[3] += v.w;
    }
    return make_float4(static_cast<float>(sum[0] / rows), static_cast<float>(sum[1] / rows),
                       static_cast<float>(sum[2] / rows), static_cast<float>(sum[3] / rows));
}

static __device__ __forceinline__ float4 largest(const float *src, int64_t stride, int rows)
{
    float4 top = *reinterpret_cast<const float4 *>(src);
#pragma unroll 8
    for (int t = 1; t < rows; t++) {
        const float4 v = *reinterpret_cast<const float4 *>(src + t * stride);
        top = make_float4(larger(v.x, top.x), larger(v.y, top.y), larger(v.z, top.z), larger(v.w, top.w));
    }
    return top;
}

static __global__ void __launch_bounds__(64) pool(vnp_pool_params p, int parts)
{
    const int64_t i = blockIdx.x / parts;
    const int column = (blockIdx.x % parts * 64 + threadIdx.x) * 4;
    if (column >= p.width)
        return;
    const int first = p.d_cu[i], residues = p.d_cu[i + 1] - first - p.prefix - p.suffix;
    const float *src = p.d_hidden + static_cast<int64_t>(first) * p.width + column;
    float4 v = make_float4(0, 0, 0, 0);
    if (p.pooling == VNP_POOL_CLS)
        v = *reinterpret_cast<const float4 *>(src);
    else if (residues > 0 && p.pooling == VNP_POOL_MEAN)
        v = mean(src + static_cast<int64_t>(p.prefix) * p.width, p.width, residues);
    else if (residues > 0)
        v = largest(src + static_cast<int64_t>(p.prefix) * p.width, p.width, residues);
    *reinterpret_cast<float4 *>(p.d_out + i * p.width + column) = v;
}

extern "C" void vnp_pool(const vnp_pool_params *p, cudaStream_t stream)
{
    const int parts = (p->width + 255) / 256;
    if (p->n == 0)
        return;
    pool<<<static_cast<unsigned>(p->n * parts), 64, 0, stream>>>(*p, parts);
    CUDA_CHECK_LAUNCH();
}
