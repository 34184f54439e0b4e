/* Rotary position embedding as a kernel of its own, for heads whose rotation no matrix kernel has fused; and its table.
 *
 *   q, k [row][head][i]       <- x1 cos - x2 sin      x1 = column i of the head, x2 = column i + d/2, q times q_scale
 *
 *   q, k [row][head][i + d/2] <- x2 cos + x1 sin      cos, sin = table[pos[row]][i]
 *
 * qkv [m][3 width] row-major, in place, v untouched; F16, BF16 or F32 storage, arithmetic in FP32, one rounding.
 *
 * Grid: a block of 256 threads a row; a thread takes pairs i, i + 256, ... of q and k. Reads and writes 2 width
 * elements a row, and d table entries. No alignment beyond the element's. NaN passes through; positions are not
 * checked. */
#include "rotary.h"

#include <math.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace
{

constexpr int block_threads = 256;

__device__ __forceinline__ float to_float(float v)
{
    return v;
}
__device__ __forceinline__ float to_float(__half v)
{
    return __half2float(v);
}
__device__ __forceinline__ float to_float(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}
__device__ __forceinline__ void store(float *p, float v)
{
    *p = v;
}
__device__ __forceinline__ void store(__half *p, float v)
{
    *p = __float2half_rn(v);
}
__device__ __forceinline__ void store(__nv_bfloat16 *p, float v)
{
    *p = __float2bfloat16_rn(v);
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    rotary_kernel(T *qkv, int64_t width, int head_dim, float q_scale, const int32_t *pos, const float2 *table)
{
    const int64_t row = blockIdx.x;
    const int half = head_dim / 2;
    const float2 *turn = table + (int64_t)pos[row] * half;
    for (int64_t pair = threadIdx.x; pair < width;
         pair += block_threads) { /* width / 2 pairs of q, then as many of k */
        const int64_t head = pair / half;
        const int i = (int)(pair - head * half);
        T *p = qkv + row * 3 * width + head * head_dim + i;
        const float scale = head * head_dim < width ? q_scale : 1.0f;
        const float x1 = to_float(p[0]) * scale, x2 = to_float(p[half]) * scale;
        const float2 cs = turn[i];
        store(p, x1 * cs.x - x2 * cs.y);
        store(p + half, x2 * cs.x + x1 * cs.y);
    }
}

/* The angle is a product of two FP32 numbers, as in the reference; its cosine and sine are taken in FP64. */
__global__ void __launch_bounds__(block_threads) table_kernel(float2 *table, int64_t positions, int head_dim)
{
    const int half = head_dim / 2;
    const int64_t at = (int64_t)blockIdx.x * block_threads + threadIdx.x;
    if (at >= positions * half)
        return;
    const int64_t pos = at / half;
    const int i = (int)(at - pos * half);
    const float frequency = (float)pow(10000.0, -2.0 * i / head_dim);
    const float angle = (float)pos * frequency;
    double s, c;
    sincos((double)angle, &s, &c);
    table[at] = make_float2((float)c, (float)s);
}

} // namespace

int vnp_rotary_table(float *d_table, int64_t positions, int32_t head_dim, cudaStream_t stream)
{
    if (d_table == nullptr || positions < 1 || head_dim < 2 || head_dim % 2)
        return cudaErrorInvalidValue;
    const int64_t blocks = (positions * (head_dim / 2) + block_threads - 1) / block_threads;
    if (blocks > INT32_MAX)
        return cudaErrorInvalidValue;
    table_kernel<<<(unsigned)blocks, block_threads, 0, stream>>>((float2 *)d_table, positions, head_dim);
    return cudaGetLastError();
}

int vnp_rotary(void *d_qkv, enum vnp_gemm_type type, int64_t m, int64_t width, int32_t head_dim, float q_scale,
               const int32_t *d_pos, const float *d_table, cudaStream_t stream)
{
    if (m < 1 || m > INT32_MAX || head_dim < 2 || head_dim % 2 || width < head_dim || width % head_dim)
        return cudaErrorInvalidValue;
    const float2 *table = (const float2 *)d_table;
    switch (type) {
    case VNP_GEMM_F16:
        rotary_kernel<<<(unsigned)m, block_threads, 0, stream>>>((__half *)d_qkv, width, head_dim, q_scale, d_pos,
                                                                 table);
        break;
    case VNP_GEMM_BF16:
        rotary_kernel<<<(unsigned)m, block_threads, 0, stream>>>((__nv_bfloat16 *)d_qkv, width, head_dim, q_scale,
                                                                 d_pos, table);
        break;
    case VNP_GEMM_F32:
    case VNP_GEMM_TF32:
        rotary_kernel<<<(unsigned)m, block_threads, 0, stream>>>((float *)d_qkv, width, head_dim, q_scale, d_pos,
                                                                 table);
        break;
    }
    return cudaGetLastError();
}
