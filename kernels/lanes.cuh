/* Sums over the lanes of a warp, each lane with the same result; always in the same order. */
#ifndef VNP_LANES_CUH
#define VNP_LANES_CUH

/* Over all 32. */
static __device__ __forceinline__ float vnp_warp_sum(float v)
{
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2)
        v += __shfl_xor_sync(~0u, v, lanes);
    return v;
}

/* Over four neighbours, which hold one row of a matrix unit's results. */
static __device__ __forceinline__ float vnp_quad_sum(float v)
{
    v += __shfl_xor_sync(~0u, v, 1);
    return v + __shfl_xor_sync(~0u, v, 2);
}

#endif
