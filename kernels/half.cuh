/* The 16-bit storage types behind one set of names, for kernels that are templates over them. */
#ifndef VNP_HALF_CUH
#define VNP_HALF_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

template <typename T>
struct vnp_half; /* pack: two floats, rounded to nearest even, in one word, first in the low half */

template <> struct vnp_half<__half> {
    static __device__ __forceinline__ uint32_t pack(float lo, float hi)
    {
        const __half2 h = __floats2half2_rn(lo, hi);
        return *reinterpret_cast<const uint32_t *>(&h);
    }
    static __device__ __forceinline__ float2 unpack(uint32_t w)
    {
        return __half22float2(*reinterpret_cast<const __half2 *>(&w));
    }
};

template <> struct vnp_half<__nv_bfloat16> {
    static __device__ __forceinline__ uint32_t pack(float lo, float hi)
    {
        const __nv_bfloat162 h = __floats2bfloat162_rn(lo, hi);
        return *reinterpret_cast<const uint32_t *>(&h);
    }
    static __device__ __forceinline__ float2 unpack(uint32_t w)
    {
        return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(&w));
    }
};

/* Eight elements as floats: 16 bytes of a 16-bit type, 32 of float. */
template <typename T> static __device__ __forceinline__ void vnp_load8(const T *p, float *v)
{
    const uint4 w = *reinterpret_cast<const uint4 *>(p);
    const uint32_t a[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float2 f = vnp_half<T>::unpack(a[i]);
        v[2 * i] = f.x, v[2 * i + 1] = f.y;
    }
}
template <> __device__ __forceinline__ void vnp_load8<float>(const float *p, float *v)
{
    const float4 a = reinterpret_cast<const float4 *>(p)[0], b = reinterpret_cast<const float4 *>(p)[1];
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

template <typename T> static __device__ __forceinline__ void vnp_store8(T *p, const float *v)
{
    uint4 w;
    w.x = vnp_half<T>::pack(v[0], v[1]), w.y = vnp_half<T>::pack(v[2], v[3]);
    w.z = vnp_half<T>::pack(v[4], v[5]), w.w = vnp_half<T>::pack(v[6], v[7]);
    *reinterpret_cast<uint4 *>(p) = w;
}
template <> __device__ __forceinline__ void vnp_store8<float>(float *p, const float *v)
{
    reinterpret_cast<float4 *>(p)[0] = make_float4(v[0], v[1], v[2], v[3]);
    reinterpret_cast<float4 *>(p)[1] = make_float4(v[4], v[5], v[6], v[7]);
}

#endif
