/* What the two matrix-unit attention kernels share: swizzled tiles in shared memory, their asynchronous loads, and the
 * online softmax. */
#ifndef VNP_ATTENTION_TILE_CUH
#define VNP_ATTENTION_TILE_CUH

#include <stdint.h>

#include "attention.h"
#include "lanes.cuh"
#include "launch.cuh"

#define VNP_LOG2E 1.4426950408889634f
#define VNP_KEYS 64 /* keys of a step: fixed, because it decides in which order a row's sums are made */

/* For vnp_launch(). */
static inline bool vnp_attention_is_brief(const vnp_attention_params *p)
{
    return vnp_is_brief(p->work.tiles * VNP_ATTENTION_ROWS * p->heads * p->head_dim);
}

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

/* 16 bytes from global to shared memory, or 16 zero bytes without looking at `src`. */
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

/* Largest of a value over the four lanes that hold one row of an accumulator. fmaxf drops NaN: it comes back with
 * the exponentials. */
static __device__ __forceinline__ float vnp_quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(~0u, v, 1));
    return fmaxf(v, __shfl_xor_sync(~0u, v, 2));
}

/* 2 ulp; under 2^-126, which is nothing beside the row's largest exponential of 1, it is 0: keeping denormals would
 * take four instructions for one. */
static __device__ __forceinline__ float vnp_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Largest of a row's 2 N scores in this lane, as a tree: short chains. */
template <int N> static __device__ __forceinline__ float vnp_lane_max(const float (&s)[N][4], int r)
{
    float m[N];
#pragma unroll
    for (int j = 0; j < N; j++)
        m[j] = fmaxf(s[j][2 * r], s[j][2 * r + 1]);
#pragma unroll
    for (int n = 1; n < N; n *= 2)
#pragma unroll
        for (int j = 0; j + n < N; j += 2 * n)
            m[j] = fmaxf(m[j], m[j + n]);
    return m[0];
}

/* What becomes of the products q k^T before the softmax, in which a score counts `unit` binary orders of magnitude.
 * Nothing: q came scaled. */
struct vnp_scores {
    __device__ __forceinline__ float unit() const
    {
        return VNP_LOG2E;
    }
    __device__ __forceinline__ float slope(int) const
    {
        return 0;
    }
    template <int N> __device__ __forceinline__ void finish(float (&)[N][4], float, int, int) const
    {
    }
};

/* Or ALiBi: scale s - slope |i - j|, symmetric; over `scale`, which the unit has in it. */
struct vnp_scores_alibi {
    const float *slopes; /* [heads] */
    float scale, inverse;

    __device__ __forceinline__ float unit() const
    {
        return scale * VNP_LOG2E;
    }
    __device__ __forceinline__ float slope(int head) const
    {
        return slopes[head] * inverse;
    }
    /* s: 16 rows x 8 N keys in the layout of vnp_softmax_step(), the first of them `row` and `key` of the sequence. */
    template <int N> __device__ __forceinline__ void finish(float (&s)[N][4], float slope, int row, int key) const
    {
        const int lane = threadIdx.x & 31;
        const float ahead = slope * static_cast<float>(row + lane / 4 - key - (lane & 3) * 2);
#pragma unroll
        for (int j = 0; j < N; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                s[j][e] -= fabsf(fmaf(slope, static_cast<float>(e / 2 * 8 - j * 8 - e % 2), ahead));
    }
};

static inline vnp_scores_alibi vnp_alibi_scores(const vnp_attention_params *p)
{
    return {p->d_slopes, p->scale, 1 / p->scale};
}

/* One step of the online softmax over a warp's 16 rows x 8 N keys of scores in the accumulator layout of m16n8:
 * s[j][0..1] row lane / 4, s[j][2..3] row lane / 4 + 8, keys 8 j + 2 (lane % 4) and the next. Keys from `valid` on
 * don't count; the first 8 SURE are known to. Turns s into exponentials, updates each row's largest score (times
 * `unit`), and returns in scale[] what the sums so far must be multiplied with. */
template <int N, int SURE = 0>
static __device__ __forceinline__ void vnp_softmax_step(float (&s)[N][4], int valid, float unit, float (&top)[2],
                                                        float (&scale)[2])
{
    if (valid < 8 * N) {
        const int key = (threadIdx.x & 3) * 2;
#pragma unroll
        for (int j = SURE; j < N; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (j * 8 + key + (e & 1) >= valid)
                    s[j][e] = -INFINITY;
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float m = fmaxf(top[r], vnp_quad_max(vnp_lane_max<N>(s, r)) * unit);
        scale[r] = vnp_exp2(top[r] - m);
        top[r] = m;
#pragma unroll
        for (int j = 0; j < N; j++) {
            s[j][2 * r] = vnp_exp2(fmaf(s[j][2 * r], unit, -m));
            s[j][2 * r + 1] = vnp_exp2(fmaf(s[j][2 * r + 1], unit, -m));
        }
    }
}

#endif
