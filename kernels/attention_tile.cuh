/* What the two matrix-unit attention kernels share: swizzled tiles in shared memory, their asynchronous loads, and the
 * online softmax. */
#ifndef VNP_ATTENTION_TILE_CUH
#define VNP_ATTENTION_TILE_CUH

#include <stdint.h>

#include "attention.h"

#define VNP_LOG2E 1.4426950408889634f
#define VNP_KEYS 64 /* keys of a step: fixed, because it decides in which order a row's sums are made */

/* Byte offset of 16-byte chunk `chunk` of row `row` in a tile of rows of CHUNKS chunks (2, 4 or 8). Eight rows of one
 * column of chunks fall in eight different groups of banks. With 8 chunks it is the matrix units' 128-byte swizzle. */
template <int CHUNKS> static __device__ __forceinline__ uint32_t vnp_swizzle(int row, int chunk)
{
    constexpr int rows_per_line = 8 / CHUNKS;
    return static_cast<uint32_t>(row * CHUNKS + (chunk ^ ((row / rows_per_line) & (CHUNKS - 1)))) * 16;
}

static __device__ __forceinline__ uint32_t vnp_smem(const void *p)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/* 16 bytes from global to shared memory, or 16 zero bytes; `src` must be readable either way. */
static __device__ __forceinline__ void vnp_copy16(uint32_t dst, const void *src, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(valid ? 16 : 0) : "memory");
}
static __device__ __forceinline__ void vnp_copy_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int PENDING> static __device__ __forceinline__ void vnp_copy_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

/* Largest (sum) of a value over the four lanes that hold one row of an accumulator. fmaxf drops NaN: it comes back with
 * the exponentials. */
static __device__ __forceinline__ float vnp_quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(~0u, v, 1));
    return fmaxf(v, __shfl_xor_sync(~0u, v, 2));
}
static __device__ __forceinline__ float vnp_quad_sum(float v)
{
    v += __shfl_xor_sync(~0u, v, 1);
    return v + __shfl_xor_sync(~0u, v, 2);
}

/* ex2.approx: 2 ulp, denormals kept. */
static __device__ __forceinline__ float vnp_exp2(float x)
{
    float y;
    asm("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* One step of the online softmax over a warp's 16 rows x 64 keys of scores in the accumulator layout of m16n8: s[j][0..1]
 * row lane / 4, s[j][2..3] row lane / 4 + 8, keys 8 j + 2 (lane % 4) and the next. Keys from `valid` on don't count.
 * Turns s into exponentials, updates each row's largest score (times log2 e) and this lane's share of its sum, and returns
 * in scale[] what the sums so far must be multiplied with. */
static __device__ __forceinline__ void vnp_softmax_step(float (&s)[VNP_KEYS / 8][4], int valid, float (&top)[2],
                                                        float (&sum)[2], float (&scale)[2])
{
    constexpr int n8 = VNP_KEYS / 8;
    if (valid < VNP_KEYS) {
        const int key = (threadIdx.x & 3) * 2;
#pragma unroll
        for (int j = 0; j < n8; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (j * 8 + key + (e & 1) >= valid)
                    s[j][e] = -INFINITY;
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float m = fmaxf(s[0][2 * r], s[0][2 * r + 1]);
#pragma unroll
        for (int j = 1; j < n8; j++)
            m = fmaxf(m, fmaxf(s[j][2 * r], s[j][2 * r + 1]));
        m = fmaxf(top[r], vnp_quad_max(m) * VNP_LOG2E);
        scale[r] = vnp_exp2(top[r] - m);
        top[r] = m;
        float total = 0;
#pragma unroll
        for (int j = 0; j < n8; j++) {
            s[j][2 * r] = vnp_exp2(fmaf(s[j][2 * r], VNP_LOG2E, -m));
            s[j][2 * r + 1] = vnp_exp2(fmaf(s[j][2 * r + 1], VNP_LOG2E, -m));
            total += s[j][2 * r] + s[j][2 * r + 1];
        }
        sum[r] = fmaf(sum[r], scale[r], total);
    }
}

#endif
